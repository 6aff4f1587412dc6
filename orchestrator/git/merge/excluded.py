"""A commit without the files that are not to be picked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.glob import owns
from orchestrator.git.objects import EMPTY_TREE
from orchestrator.git.trees import put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.git.trees import Entry

_NOTHING = "000000"  # the mode of what is not there


@dataclass(frozen=True, kw_only=True)
class WantedPart:
    """A commit of a scratch store that makes a part of another one's change, and says the same; `without` are the
    patterns that something was left out for.  The same commit and patterns always give the same id.
    """

    commit: Commit
    without: tuple[str, ...]
    is_empty: bool


def part_of(scratch: Scratch, commit: Commit, parent: str, patterns: Sequence[str]) -> WantedPart | None:
    """What is left of a commit's change against `parent` ("" for a root commit); None where that is all of it.

    A file that a pattern matches is as it was in the parent: one that was moved from there to where none matches is
    there twice.
    """
    before = scratch.tree_of(parent) if parent else EMPTY_TREE
    matched: dict[str, None] = {}
    entries: dict[str, Entry | None] = {}
    rows = scratch.git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", before, commit.tree, "--")
    fields = rows.fields()
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        if found := [pattern for pattern in patterns if owns(pattern, path)]:
            mode, _, sha, *_ = meta.removeprefix(":").split(" ")
            entries[path] = None if mode == _NOTHING else (mode, sha)
            matched |= dict.fromkeys(found)
    if not entries:
        return None
    tree = put(scratch, commit.tree, entries)
    made = scratch.write_commit(
        tree=tree,
        parents=(parent,) if parent else (),
        author=commit.author,
        committer=f"{commit.committer} {commit.when}".encode(),
        message=commit.message,
    )
    without = tuple(pattern for pattern in patterns if pattern in matched)
    return WantedPart(commit=scratch.commit(made), without=without, is_empty=tree == before)
