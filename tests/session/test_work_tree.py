"""What a branch brings is read as it stands there: a link to somebody's secret is refused, and nothing of it shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.session.work_tree import files_below, refuse_link, written
from tests.support.cli import release
from tests.support.story import fix_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.story import Story

pytestmark = pytest.mark.hostile

SECRET = "hunter2-of-the-runner"
IMAGE = "image:\n  repository: registry.example.com/x\n  lock: image/locks\n  patches: image/patches\n"


def declare(tale: Story) -> Path:
    """release.yaml with a lock and a patch folder; returns a folder outside of the repository that holds secrets."""
    tale.release_yaml(fix_line(tale.fix), extra=IMAGE)
    for name in ("locks", "patches"):
        (tale.clone.path / "image" / name).mkdir(parents=True)
    (tale.clone.path / "image/locks/all.txt").write_text(f"pip==1.0 --hash=sha256:{'a' * 64}\n")
    outside = tale.clone.path.parent / "outside"
    (outside / "torch-2.7.0").mkdir(parents=True)
    for name in ("all.txt", "release.yaml", "torch-2.7.0/0001-x.patch"):
        (outside / name).write_text(f"{SECRET}: {SECRET}\n")
    (outside / "locks").mkdir()
    (outside / "locks/all.txt").write_text(f"{SECRET}\n")
    (outside / "patches").symlink_to(outside)
    return outside


def linked(tale: Story, path: str, target: Path) -> None:
    """Put a link where a file or folder of the work tree is."""
    place = tale.clone.path / path
    if place.is_dir():
        place.rename(tale.clone.path.parent / "moved")
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(target)


PLACES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "release.yaml itself": ("release.yaml", lambda outside: outside / "release.yaml"),
    "release.yaml, of the process": ("release.yaml", lambda _: Path("/proc/self/environ")),
    "the lock folder": ("image/locks", lambda outside: outside),
    "a file of the lock": ("image/locks/all.txt", lambda outside: outside / "all.txt"),
    "the patch folder": ("image/patches", lambda outside: outside),
    "a file among the patches": ("image/patches/0001-x.patch", lambda outside: outside / "all.txt"),
    "a folder among the patches": ("image/patches/torch-2.7.0", lambda outside: outside / "torch-2.7.0"),
    "the folder above both": ("image", lambda outside: outside),
}


@pytest.mark.parametrize("case", PLACES)
def test_check_follows_no_link(tale: Story, case: str) -> None:
    path, target = PLACES[case]
    linked(tale, path, target(declare(tale)))
    ran = release("check", cwd=tale.clone.path, env={"SECRET": SECRET})
    assert (ran.code, "[symbolic-link]" in ran.err) == (2, True), ran.err
    assert f"error: {path}" in ran.err
    assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize("command", ["plan", "patch list", "candidates", "cut v2.7.1 --yes", "doctor"])
def test_no_command_reads_a_linked_release_yaml(tale: Story, command: str) -> None:
    linked(tale, "release.yaml", declare(tale) / "release.yaml")
    ran = release(*command.split(), cwd=tale.clone.path)
    assert (ran.code, "release.yaml is a symbolic link" in ran.out + ran.err) == (2, True), ran.err
    assert SECRET not in ran.out + ran.err


def test_a_patch_is_not_written_through_a_link(tale: Story) -> None:
    outside = declare(tale)
    linked(tale, "image/patches", outside)
    before = sorted(outside.rglob("*"))
    ran = release("patch", "import", "--repo", ".", tale.fix, cwd=tale.clone.path)
    assert (ran.code, "[symbolic-link]" in ran.err) == (2, True), ran.err
    assert sorted(outside.rglob("*")) == before


def test_it_is_the_work_tree_that_is_asked_however_it_was_reached(tale: Story) -> None:
    """Runners stand in linked folders (macOS: /tmp): that link is theirs, those below are the branch's."""
    outside = declare(tale)
    door = tale.clone.path.parent / "door"
    door.symlink_to(tale.clone.path)
    assert release("check", "-C", str(door), cwd=tale.remote.path).code == 0
    linked(tale, "image/locks", outside)
    for place in (door, door / "image"):
        ran = release("check", "-C", str(place), "-c", str(door / "release.yaml"), cwd=tale.remote.path)
        assert (ran.code, SECRET in ran.err) == (2, False), ran.err


def test_a_release_yaml_that_a_person_keeps_elsewhere_may_be_a_link(tale: Story) -> None:
    declare(tale)
    elsewhere = tale.clone.path.parent / "central.yaml"
    (tale.clone.path / "release.yaml").rename(elsewhere.with_name("real.yaml"))
    elsewhere.symlink_to("real.yaml")
    assert release("check", "-c", str(elsewhere), cwd=tale.clone.path).code == 0


def test_files_below_are_found_in_order_and_loops_end(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a", "c/d/e"):
        (tmp_path / "top/f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "top/f" / name).write_text(name)
    top = tmp_path / "top"
    found = [path.relative_to(top / "f").as_posix() for path in files_below(top, top / "f")]
    assert found == ["a", "b/1", "b/2", "c/d/e"]
    (top / "f/c/loop").symlink_to(top)
    with pytest.raises(UsageError, match="f/c/loop is a symbolic link"):
        list(files_below(top, top / "f"))


def test_dots_lead_past_no_link(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top/self").symlink_to(".")
    for path in ("top/self/x", "top/self/../x", "top/../top/self"):
        with pytest.raises(UsageError):
            refuse_link(tmp_path / "top", tmp_path / path)
    for path in ("top/new/../x", "top/../x"):
        refuse_link(tmp_path / "top", tmp_path / path)
    refuse_link(tmp_path / "top", Path(os.devnull))


def test_a_pipe_is_no_release_yaml(tmp_path: Path) -> None:
    """Opening one would wait until somebody writes into it."""
    os.mkfifo(tmp_path / "release.yaml")
    assert written(tmp_path, tmp_path / "release.yaml") is None
