"""The conflict flow as it goes at 3 a.m.: typed in the wrong place, half deleted, odd names, hidden markers."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.text import word, words
from tests.release.test_resume import _git as git_in
from tests.release.test_resume import clash, pause
from tests.support.cli import release
from tests.support.remedies import works
from tests.support.story import LOADER, VERSION, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

__all__ = ["clash"]  # a fixture
pytestmark = pytest.mark.hostile

CLOSED = LOADER.replace("return 5\n", "return 55  # closed\n")


def resolve(tree: Path) -> None:
    (tree / "loader.py").write_text(CLOSED)
    git_in(tree, "add", "loader.py")


def on_branch(tale: Story, message: str, files: dict[str, str | bytes | None]) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.commit(message, files)
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")


def test_continue_is_typed_in_the_worktree(clash: Story) -> None:
    """There the message sends people; release.yaml of the checkout counts, and the worktree goes away under them."""
    _, tree = pause(clash)
    resolve(tree)
    done = release("continue", VERSION, cwd=tree)
    assert done.code == 0, done.err
    assert "return 55  # closed" in clash.remote.git("show", "release/v2.7:loader.py")


def test_abort_is_typed_in_the_worktree(clash: Story) -> None:
    before = clash.clone.snapshot()
    _, tree = pause(clash)
    assert release("status", cwd=tree).out.startswith(f"{VERSION}: paused")
    assert release("abort", cwd=tree).code == 0
    assert clash.clone.snapshot() == before


def test_config_of_a_pause_is_found_from_anywhere(clash: Story) -> None:
    """`-c` was relative to a subdirectory; `continue` runs elsewhere."""
    (clash.clone.path / "ops").mkdir()
    (clash.clone.path / "release.yaml").rename(clash.clone.path / "ops/r.yaml")
    assert release("cut", VERSION, "--yes", "-c", "r.yaml", cwd=clash.clone.path / "ops").code == 3
    tree = clash.clone.path / ".git/release" / VERSION / "worktree"
    resolve(tree)
    done = release("continue", cwd=tree)
    assert done.code == 0, done.err
    assert "ops/r.yaml" in clash.remote.git("ls-tree", "-r", "--name-only", "release/v2.7")


def test_worktree_deleted_by_hand_is_opened_again(clash: Story) -> None:
    _, tree = pause(clash)
    shutil.rmtree(tree)
    assert "removed" in release("status", cwd=clash.clone.path).out
    lost = release("continue", cwd=clash.clone.path)
    assert lost.code == 2
    assert "is gone" in lost.err
    assert release("cut", VERSION, "--yes", cwd=clash.clone.path).code == 3
    assert "<<<<<<<" in (tree / "loader.py").read_text()


@pytest.mark.wide
def test_a_backport_that_conflicts_is_resolved_once(clash: Story) -> None:
    clash.clone.git("checkout", "--quiet", "-b", "hand", "main")
    hand = clash.clone.commit("fix: by hand", {"loader.py": LOADER.replace("return 5\n", "return 5  # hand\n")})
    clash.clone.git("checkout", "--quiet", "main")
    clash.release_yaml(fix_line(clash.fix) + f"\n        backport: {hand}")
    _, tree = pause(clash)
    resolve(tree)
    done = release("continue", cwd=clash.clone.path)
    assert done.code == 0, done.err
    assert clash.remote.git("log", "-1", "--format=%s", "release/v2.7^") == "fix: by hand"
    clash.clone.git("clone", "--quiet", str(clash.remote.path), "../ci")
    clash.clone.git("push", "--quiet", "origin", "hand")
    published = clash.clone.path.parent / "ci"
    git_in(published, "fetch", "--quiet", "origin")
    assert release("publish", VERSION, cwd=published).code == 0


def test_attributes_hide_no_marker(tale: Story) -> None:
    """`git diff --check` is silent about files without a textual diff, and about longer markers."""
    hot = LOADER.replace("return 5\n", "return 55\n")
    on_branch(tale, "fix: hot", {"loader.py": hot, ".gitattributes": "*.py -diff conflict-marker-size=12\n"})
    tale.release_yaml(fix_line(tale.fix))
    _, tree = pause(tale)
    git_in(tree, "add", "loader.py")
    refused = release("continue", cwd=tale.clone.path)
    assert refused.code == 3
    assert "conflict markers are left at loader.py:" in refused.err
    assert f"  do: remove them, then cd {tree} && git add -- loader.py && release continue {VERSION}\n" in refused.err


NAMES = (
    "a b.py",
    "q\"uo'te.py",
    "tab\tx.py",
    "new\nline.py",
    "ünï.py",
    "esc\x1b[31m.py",
    "-dash.py",
    "$(touch pwn).py",
)


@pytest.mark.wide
def test_odd_file_names_are_pasted_as_they_are(tale: Story) -> None:
    """One line, no escape sequence, and the `git add` that is shown adds them all."""
    on_branch(tale, "fix: names", dict.fromkeys(NAMES, "x\n"))
    tale.clone.git("checkout", "--quiet", "-b", "odd", "release/v2.7")
    fix = tale.clone.commit("fix: \x1b[31mred", dict.fromkeys(NAMES, "y\n"))
    on_branch(tale, "fix: again", dict.fromkeys(NAMES, "z\n"))
    tale.release_yaml(fix_line(fix))
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert {conflict["path"] for conflict in plan["picks"][0]["conflicts"]} == set(NAMES)
    paused, tree = pause(tale)
    assert "\x1b" not in paused.err
    assert len(paused.err.splitlines()) == 7  # what happened; where, resolve, go on; skip; abort; in what state
    for name in NAMES:
        (tree / name).write_text("w\n")
    where, add = (
        line.strip().removeprefix("do: ")
        for line in paused.err.splitlines()
        if line.startswith(("  do: cd", "      git"))
    )
    works(f"{where} && {add}", tale.clone.path)  # the lines as they are, with all these names


@pytest.mark.wide
def test_file_names_that_are_not_utf8(tale: Story) -> None:
    name = os.fsdecode(b"caf\xe9.py")
    on_branch(tale, "fix: name", {name: "x\n"})
    tale.clone.git("checkout", "--quiet", "-b", "odd", "release/v2.7")
    fix = tale.clone.commit("fix: it", {name: "y\n"})
    on_branch(tale, "fix: again", {name: "z\n"})
    tale.release_yaml(fix_line(fix))
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert plan.json["picks"][0]["conflicts"][0]["path"] == name
    paused, tree = pause(tale)
    assert r"git add -- $'caf\xe9.py'" in paused.err
    git_in(tree, "add", "--all")
    assert release("continue", cwd=tale.clone.path).code == 3  # the markers are found
    (tree / name).write_text("w\n")
    git_in(tree, "add", "--all")
    assert release("continue", cwd=tale.clone.path).code == 0


def test_words_of_a_shell() -> None:
    assert words(["a", "ü/b-c_1.+@%,=:", "-d"]) == "a ü/b-c_1.+@%,=: -d"
    for odd in (*NAMES, "", "~x", "a\\b", "back\\\n'slash"):
        said = subprocess.run(["bash", "-c", f"printf %s {word(odd)}"], capture_output=True, check=True).stdout
        assert said == odd.encode()


@pytest.mark.wide
def test_a_sparse_checkout_gets_a_whole_worktree(clash: Story) -> None:
    """git refuses to add what is outside of the sparse part."""
    clash.clone.git("sparse-checkout", "set", "--no-cone", "/README.md")
    clash.release_yaml(fix_line(clash.fix))
    _, tree = pause(clash)
    resolve(tree)
    done = release("continue", cwd=clash.clone.path)
    assert done.code == 0, done.err
    assert not (clash.clone.path / "loader.py").exists()


def test_a_merge_driver_of_the_user_decides_nothing(clash: Story) -> None:
    """Neither in the plan nor in the worktree: the conflict that was planned is the one to resolve."""
    mark = clash.clone.path.parent / "ran"
    clash.clone.git("config", "merge.custom.driver", f"touch {mark}")
    attributes = clash.clone.path / ".git/info/attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("*.py merge=custom\n")
    _, tree = pause(clash)
    assert "<<<<<<< HEAD\n" in (tree / "loader.py").read_text()
    assert not mark.exists()


def contents(tale: Story) -> dict[str, bytes]:
    """Every file of clone and `.git`, without the objects, the cache and the lock that stands beside it."""
    top = tale.clone.path
    kept = {top / ".git/release/cache.sqlite", top / ".git/release/lock"}
    files = [path for path in top.rglob("*") if path.is_file() and "objects" not in path.parts and path not in kept]
    return {str(path.relative_to(top)): path.read_bytes() for path in files}


def objects(tale: Story) -> set[str]:
    return set(tale.clone.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split())


@pytest.mark.wide
def test_abort_leaves_no_byte_but_unreachable_objects(clash: Story) -> None:
    """Packed refs, FETCH_HEAD, ORIG_HEAD, a stash and a dirty file stay; so do `.git/worktrees` and `.git/logs`."""
    clash.clone.write("README.md", "# stashed\n")
    clash.clone.git("stash")
    clash.clone.write("README.md", "# dirty\n")
    clash.clone.git("fetch", "--quiet", "origin", "main")
    clash.clone.git("update-ref", "ORIG_HEAD", "HEAD")
    clash.clone.git("pack-refs", "--all")
    before, known = contents(clash), objects(clash)
    _, tree = pause(clash)
    resolve(tree)
    hooks = clash.clone.path.parent / "remote.git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-receive").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-receive").chmod(0o755)
    assert release("continue", cwd=clash.clone.path).code == 7  # a resolution, a candidate, a tag object
    assert release("abort", VERSION, cwd=clash.clone.path).code == 0
    assert contents(clash) == before
    unreachable = clash.clone.git("fsck", "--unreachable").splitlines()
    assert objects(clash) - known <= {line.split()[2] for line in unreachable}
