"""Pauses in odd places: a file where a folder is, and a release that was begun in another worktree of the clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.printed import types
from tests.support.remedies import commands, said, told, typed, works
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile
LINK = "a link"


def branched(
    tale: Story, ours: dict[str, str], theirs: dict[str, str | None], before: dict[str, str] | None = None
) -> None:
    """The branch has `ours` since its first version, and the fix makes `theirs` of the source, which had `before`."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: ours", dict(ours))
    clone.git("tag", "--force", "-a", "-m", "again", "v2.7.0")
    clone.git("checkout", "--quiet", "main")
    if before:
        clone.commit("feat: before", dict(before))
    for path, text in theirs.items():
        if text == LINK:
            (clone.path / path).symlink_to("README.md")
            clone.git("add", path)
    fix = clone.commit("fix: theirs", {path: text for path, text in theirs.items() if text != LINK})
    clone.git("push", "--quiet", "--force", "origin", "main", "release/v2.7", "v2.7.0")
    tale.release_yaml(f"      - commit: {fix}")


def paused(tale: Story, cwd: Path | None = None) -> Ran:
    ran = release("cut", "v2.7.1", "--yes", cwd=cwd or tale.clone.path)
    assert ran.code == 3, ran.err
    return ran


def made(tale: Story) -> dict[str, str]:
    """What the released version holds in the places that the test is about."""
    names = tale.remote.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "v2.7.1").split("\n")
    return {name: tale.remote.git("show", f"v2.7.1:{name}") for name in names if name.startswith(("d", "other"))}


@pytest.mark.wide(4)
@pytest.mark.parametrize(
    ("ours", "theirs", "there"),
    [
        ({"d é": "ours\n"}, {"d é/-x": "theirs\n"}, {"d é/-x": "theirs"}),
        ({"d": "ours\n"}, {"d": LINK}, {"d": "README.md"}),
        ({"d/x": "ours\n"}, {"d": "theirs\n"}, {"d/x": "ours"}),
    ],
    ids=["a folder for a file", "a link for a file", "nothing to take"],
)
def test_a_file_where_a_folder_is(
    tale: Story, ours: dict[str, str], theirs: dict[str, str | None], there: dict[str, str]
) -> None:
    """Git puts one of the two aside under a name that nobody has: no command is printed that `continue` refuses."""
    branched(tale, ours, theirs)
    (remedy,) = told(paused(tale).err)
    assert "keeps what" not in remedy, "it would change nothing"
    if ours == there:
        assert "release continue" not in remedy
        assert "git " not in remedy
        open_ = release("continue", "v2.7.1", cwd=tale.clone.path)
        assert (open_.code, "[unresolved]" in open_.err) == (3, True)
        works(said(open_, "release skip").replace('"..."', "no-place"), tale.clone.path)
    else:
        works(commands(remedy)[0], tale.clone.path)
    assert made(tale) == there
    assert release("verify", "v2.7.1", cwd=tale.clone.path).code == 0


@types("git/worktree.py: git rm -r --quiet --force -- {}",
       "git/worktree.py: git restore --source=HEAD --staged --worktree -- {}")  # fmt: skip
@pytest.mark.wide(2)
@pytest.mark.parametrize("before", [{}, {"d é/-x": "before\n"}], ids=["a new folder", "a folder of the source"])
def test_a_file_that_a_folder_would_replace_is_kept(tale: Story, before: dict[str, str]) -> None:
    branched(tale, {"d é": "ours\n"}, {"d é/-x": "theirs\n", "other": "more\n"}, before)
    (remedy,) = told(paused(tale).err)
    (keeping,) = [each for each in commands(remedy) if each.startswith("git rm -r")]
    works(f"cd .git/release/v2.7.1/worktree && {keeping} && release continue v2.7.1", tale.clone.path)
    assert made(tale) == {"d é": "ours", "other": "more"}


def linked(tale: Story) -> tuple[Path, Path]:
    """Two more worktrees of the clone; release.yaml is in the first only, which has conflicting words."""
    branched(tale, {"words.txt": "one\n"}, {"words.txt": "two\n"})
    begun, other = (tale.clone.path.parent / name for name in ("begun here", "other"))
    for path in (begun, other):
        tale.clone.git("worktree", "add", "--quiet", "--detach", str(path), "main")
    (tale.clone.path / "release.yaml").rename(begun / "release.yaml")
    return begun, other


def resolve(tale: Story) -> None:
    tree = Repo(tale.clone.path / ".git/release/v2.7.1/worktree")
    tree.write("words.txt", "one and two\n")
    tree.git("add", "words.txt")


@pytest.mark.wide
@types("release/resume.py: release continue {} --config FILE", "release/resume.py: release abort {}")
def test_a_release_goes_on_from_any_worktree_of_its_clone(tale: Story) -> None:
    """By the release.yaml of the one that it was begun in; where that is gone, nothing is decided, and it is said."""
    begun, other = linked(tale)
    text = (begun / "release.yaml").read_text()
    paused(tale, begun)
    status = release("status", "v2.7.1", "--json", cwd=other).json["releases"][0]
    assert status["state"] == "paused"
    resolve(tale)
    tale.clone.git("worktree", "remove", "--force", str(begun))
    for command in (("continue", "v2.7.1"), ("skip", "v2.7.1", "--reason", "no")):
        gone = release(*command, cwd=other)
        assert (gone.code, "[config-missing]" in gone.err) == (2, True), gone.err
        assert f"{begun}, which is gone" in gone.err
    assert release("status", "v2.7.1", "--json", cwd=other).json["releases"][0]["state"] == "paused"
    given = tale.clone.path.parent / "given.yaml"
    given.write_text(text)
    works(said(gone, "release continue").replace("FILE", str(given)), other)
    assert "already-public" in typed(said(gone, "release abort"), other).stderr
    assert tale.remote.git("show", "v2.7.1:words.txt") == "one and two"
    assert release("verify", "v2.7.1", cwd=other).code == 0


@pytest.mark.wide(4)
@pytest.mark.parametrize("command", ["continue", "skip", "abort"])
def test_from_a_worktree_without_a_release_yaml(tale: Story, command: str) -> None:
    begun, other = linked(tale)
    paused(tale, begun)
    resolve(tale) if command == "continue" else None
    more = ' --reason "no need"' if command == "skip" else ""
    done = typed(f"release {command} v2.7.1{more}", other)
    assert done.returncode == 0, done.stderr
    released = bool(tale.remote.git("for-each-ref", "refs/tags/v2.7.1"))
    assert released is (command != "abort")
