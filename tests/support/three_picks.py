"""A release of a clean pick, one that a person resolves and a backport; and all who judge releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import release
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

BRANCH, TAG = "refs/heads/release/v2.7", "refs/tags/v2.7.1"
ME = "Signed-off-by: Mia Maintainer <mia@example.com>"


def declare(tale: Story, extra: str) -> None:
    """A clean fix of somebody else, one that conflicts, one with a backport that its picker signed off already."""
    clone = tale.clone
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    clone.commit("feat: other words", {"words.txt": "one\ntwo\nthree\n"})
    conflicting = clone.commit("fix(words): the second", {"words.txt": "one\n2\nthree\n"})
    large = clone.commit("fix(speed): less waiting", {"speed.py": "FAST = True\n", "new.py": "NEW = 1\n"})
    clone.git("checkout", "--quiet", "-b", "backports", "release/v2.7")
    backport = clone.commit(f"fix(speed): less waiting, for 2.7\n\n{ME}\n", {"speed.py": "FAST = 1\n"})
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(
        f"      - commit: {tale.fix}\n      - commit: {conflicting}\n"
        f"      - commit: {large}\n        backport: {backport}",
        extra=extra,
    )
    clone.commit("chore: declare v2.7.1", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main", "backports")


def resolve(tale: Story, expected: int) -> None:
    """Cut as far as the conflict, resolve it, go on."""
    paused = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert paused.code == 3, paused.err
    tree = Repo(tale.clone.path / ".git/release/v2.7.1/worktree")
    tree.write("words.txt", "two\n")
    tree.git("add", "words.txt")
    ran = release("continue", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == expected, ran.err


def copied_clone(tale: Story, tmp_path: Path) -> Repo:
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(tmp_path / "fresh"))
    return Repo(tmp_path / "fresh")


def judged_right(tale: Story, tmp_path: Path) -> None:
    for place in (tale.clone.path, copied_clone(tale, tmp_path).path):
        for command in (
            ("audit",),
            ("verify", "v2.7.1"),
            ("publish", "v2.7.1"),
            ("notes", "v2.7.1"),
            ("log", tale.fix),
        ):
            ran = release(*command, cwd=place)
            assert ran.code == 0, (place.name, command, ran.out, ran.err)
