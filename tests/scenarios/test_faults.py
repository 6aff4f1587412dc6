"""The fault matrix: what a killed git or a power loss leaves, at the points where it can; the same command heals it.

docs/how-it-is-safe.md has the table; a row is a point at which the tool died, and what was found broken afterwards.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.kills import killed_at, killed_cut
from tests.support.story import VERSION, Repo, fix_line, story

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile

OURS = f"refs/release/{VERSION}"
PICKED, TAGGED, PUSHED = 4, 6, 7  # the record of the journal before which the tool dies


def lock(*names: str) -> Callable[[Repo], None]:
    def damage(clone: Repo) -> None:
        for name in names:
            path = clone.path / ".git" / f"{name}.lock"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (time.time() - 60,) * 2)

    return damage


def ref(name: str, content: bytes) -> Callable[[Repo], None]:
    return lambda clone: _write(clone.path / ".git" / OURS / name, content)


def cut_off(name: str, size: int | None) -> Callable[[Repo], None]:
    """An object of which only the first bytes came to the disk; None: not even the file."""

    def damage(clone: Repo) -> None:
        sha = clone.rev(f"{OURS}/{name}")
        path = clone.path / ".git/objects" / sha[:2] / sha[2:]
        if size is None:
            path.unlink()
        else:
            _write(path, path.read_bytes()[:size])

    return damage


def _write(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


FAULTS: dict[str, tuple[int, Callable[[Repo], None]]] = {
    "locks left on the release's own refs": (PICKED, lock(f"{OURS}/tag", f"{OURS}/candidate")),
    "locks left on record and notes": (TAGGED, lock(f"refs/release-records/{VERSION}", "refs/notes/release")),
    "an empty ref, picked": (PICKED, ref("candidate", b"")),
    "a ref of zeros, tagged": (TAGGED, ref("tag", b"\0" * 41)),
    "a ref to nothing, tagged": (TAGGED, ref("candidate", b"1" * 40 + b"\n")),
    "an empty ref, pushed": (PUSHED, ref("tag", b"")),
    "a ref to nothing, pushed": (PUSHED, ref("tag", b"1" * 40 + b"\n")),
    "the commit is gone": (PICKED, cut_off("candidate", None)),
    "the commit is empty": (TAGGED, cut_off("candidate", 0)),
    "the commit is cut off": (TAGGED, cut_off("candidate", 20)),
    "a tree is empty": (PICKED, cut_off("candidate^{tree}", 0)),
    "a tree is gone": (TAGGED, cut_off("candidate^{tree}", None)),
    "a file is empty": (TAGGED, cut_off("candidate:CHANGELOG.md", 0)),
    "a file is gone": (PICKED, cut_off("candidate:CHANGELOG.md", None)),
    "the tag object is cut off": (TAGGED, cut_off("tag", 20)),
    "the tag object is empty, pushed": (PUSHED, cut_off("tag", 0)),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    tale = story(tmp_path_factory.mktemp("undisturbed"))
    tale.release_yaml(fix_line(tale.fix))
    done = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    return done.json["commit_sha"], done.json["tag_object"]


@pytest.mark.wide(16)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_command_heals(tale: Story, undisturbed: tuple[str, str], fault: str) -> None:
    tale.release_yaml(fix_line(tale.fix))
    number, damage = FAULTS[fault]
    killed_cut(tale.clone.path, "before", number, VERSION)
    damage(tale.clone)
    again = release("cut", VERSION, "--yes", "--json", cwd=tale.clone.path)
    assert again.code == 0, again.err
    assert (tale.remote.rev("release/v2.7"), tale.remote.rev(f"refs/tags/{VERSION}")) == undisturbed
    assert tale.remote.git("fsck", "--connectivity-only") == ""


def test_abort_heals_too(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    killed_cut(tale.clone.path, "before", TAGGED, VERSION)
    for damage in (ref("tag", b""), cut_off("candidate", 0), lock(f"{OURS}/candidate")):
        damage(tale.clone)
    ran = release("abort", VERSION, cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    assert tale.clone.git("for-each-ref", "refs/release") == ""
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def test_a_yank_heals_too(tale: Story) -> None:
    """Power fails when its mark is public: the ref is empty, the object is empty, a lock is left."""
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    args = ("yank", VERSION, "--reason", "loses a batch", "--yes")
    assert killed_at(tale.clone.path, "after", 1, "orchestrator.git.push:push_new_refs", *args) != 0
    cut_off("yank", 0)(tale.clone)
    ref("yank", b"")(tale.clone)
    lock(f"refs/release-yanks/{VERSION}", f"{OURS}/yank")(tale.clone)
    again = release(*args, cwd=tale.clone.path)
    assert again.code == 0, again.err
    assert "was damaged" in again.err
    assert "was not written to its end" in again.err
    shown = release("show", VERSION, cwd=tale.clone.path)
    assert "YANKED" in shown.out, shown.err
    assert tale.clone.git("for-each-ref", f"{OURS}/yank") == ""
