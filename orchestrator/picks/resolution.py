"""What a person may do who resolves a conflict: change the files that the pick changes, or that conflict.

`continue`, the server's hook and the audit ask the same question.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.core.text import word
from orchestrator.git.objects import EMPTY_TREE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.git.merge.result import Merge
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Source

_NOT_THERE = ("modify/delete", "rename/delete")  # the branch may have the file in another folder


def resolution_fault(scratch: Scratch, source: Source, ours: str, made: str) -> str:
    """Why tree `made` resolves no conflict of the pick on tree `ours`, "" where it does; as the end of a sentence."""
    stand_in = source.stand_in
    commit, parent = (stand_in, next(iter(stand_in.parents), "")) if stand_in else (source.change, source.parent)
    before = scratch.tree_of(parent) if parent else EMPTY_TREE
    merge = _merged(scratch, before, ours, commit.tree, source.fix.strategy_options)
    if not merge.conflicts:
        return "" if merge.tree == made else "applies without a conflict, and gives other files"
    strays = _strays(scratch, merge, (before, commit.tree), ours, made)
    said = ", ".join(word(path) for path in strays[:5])
    return f"changes {said}, which neither the fix nor the conflict touches" if strays else ""


def strays(
    scratch: Scratch, commit: Commit, parent: str, ours: str, made: str, options: Sequence[str] = ()
) -> list[str]:
    """The files that tree `made` changes on tree `ours`, and neither the picked commit nor its conflict touches."""
    before = scratch.tree_of(parent) if parent else EMPTY_TREE
    return _strays(scratch, _merged(scratch, before, ours, commit.tree, options), (before, commit.tree), ours, made)


def _merged(scratch: Scratch, before: str, ours: str, theirs: str, options: Sequence[str]) -> Merge:
    scratch.use_attributes(ours)
    # whoever resolved it may have had no submodules
    return scratch.plain_pick(base=before, ours=ours, theirs=theirs, options=options)


def _strays(scratch: Scratch, merge: Merge, change: tuple[str, str], ours: str, made: str) -> list[str]:
    allowed = _paths(scratch, *change) | _paths(scratch, ours, merge.tree) | {each.path for each in merge.conflicts}
    moved = {PurePosixPath(each.path).name for each in merge.conflicts if each.kind in _NOT_THERE}
    changed = _paths(scratch, ours, made) - allowed
    return sorted(path for path in changed if PurePosixPath(path).name not in moved)


def _paths(scratch: Scratch, old: str, new: str) -> set[str]:
    return set(scratch.git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, "--").fields())
