"""Picks whose outcome the files alone tell, without a merge of whole trees.

A file that is regular in three trees (before the fix, after it, and on the branch) is merged by its content at its
path, whatever else there is: git takes a file for the beginning of a rename only where a side has it no more, for the
end of one only where the base had it not, and moves into a renamed folder only what a side adds.  So

- a pick that changes nothing but such files gives the branch's tree with these files merged, and
- where such a file conflicts, the pick does, whatever becomes of its other files.

A file that the pick adds is added where the branch has nothing in its place and every folder on the way that the source
had: then the branch has renamed none of them.  One that it removes is removed where the branch has it unchanged.  Not
where a pick does both, for then something may have been renamed.

The files that all three have differently are merged by git itself, in trees that hold nothing else; of any other the
outcome is the side that changed.  A pick that this does not decide is left to a merge of the whole trees, which is slow
where many files were moved: git looks for each of them among all that the branch has and the source had not.

Equal patch-ids would not do: with context, git may still find a conflict or another place for an equal patch; without,
nothing is said about where it landed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.git import batch
from orchestrator.git.batch import Pack, Trees
from orchestrator.git.objects import parse_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.git.changes import ChangedFile, CommitChange
    from orchestrator.git.merge.result import Merge
    from orchestrator.git.objects import TreeItem
    from orchestrator.git.scratch import Scratch

ANOTHER: Final = "another tree than the target's"

_Content = tuple[str, str]  # mode and blob
_NOTHING: Final[_Content] = ("", "")


@dataclass(frozen=True, kw_only=True)
class PickedFiles:
    """A pick by its files: the change of `source` (taken back where `backward`), applied on the tree `ours`, and the
    change that `target` made there, whose tree is `made`.
    """

    source: CommitChange
    target: CommitChange
    base: str  # the tree that the change begins with
    ours: str
    made: str
    backward: bool = False


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file that the pick changes in place, adds or removes: before the fix, after it, on the branch, and as the
    target has it.
    """

    base: _Content
    theirs: _Content
    ours: _Content
    made: _Content

    @property
    def merged(self) -> _Content | None:
        """What comes out where at most one side changed the content; None where both did."""
        base, ours, theirs = self.base[1], self.ours[1], self.theirs[1]
        mode = self.theirs[0] if self.ours[0] == self.base[0] else self.ours[0]
        if ours in (base, theirs):
            return mode, theirs
        return (mode, ours) if base == theirs else None


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What is known of a pick; `whole`: it changes nothing but these files; `touched`: what the target changes."""

    files: Mapping[bytes, _File]
    whole: bool
    touched: frozenset[bytes]

    @property
    def open(self) -> dict[bytes, _File]:
        return {path: file for path, file in self.files.items() if file.merged is None}

    @property
    def as_made(self) -> bool:
        """Whether the target is what comes out, as far as no content is to be merged."""
        return self.touched <= self.files.keys() and all(
            file.merged in (None, file.made) for file in self.files.values()
        )


def decide(scratch: Scratch, picks: Sequence[PickedFiles]) -> list[str | None]:
    """The target's tree, ANOTHER, or "" for a conflict, of each pick; None for one that is not decided here."""
    items = _Items(scratch)
    questions = [_question(items, each) for each in picks]
    pack = Pack()
    asked = [each for each in questions if each.open]
    outcomes = batch.picks(scratch, [_reduced(pack, each) for each in asked], pack)
    merges = {id(each): merge for each, merge in zip(asked, outcomes, strict=True)}
    return [_outcome(each, merges.get(id(each)), pick.made) for each, pick in zip(questions, picks, strict=True)]


def _outcome(question: _Question, merge: Merge | None, made: str) -> str | None:
    if merge and merge.conflicts:
        return ""
    if not question.whole or (question.open and not merge):
        return None
    return made if question.as_made and (merge is None or _is_made(question, merge)) else ANOTHER


def _question(items: _Items, pick: PickedFiles) -> _Question:
    changed = {file.path: file for file in pick.target.files}
    asked = {file.path: _sides(file)[::-1] if pick.backward else _sides(file) for file in pick.source.files}
    mixed = {base == _NOTHING for base, theirs in asked.values() if _NOTHING in (base, theirs)} == {True, False}
    files = {}
    for path, (base, theirs) in asked.items():
        ours, made = _sides(changed[path]) if path in changed else (items.at(pick.ours, path),) * 2
        file = _File(base=base, theirs=theirs, ours=ours, made=made)
        if _regular(base, theirs, ours) or (not mixed and _is_alone(items, pick, path, file)):
            files[path] = file
    whole = bool(files) and len(files) == len(pick.source.files)
    return _Question(files=files, whole=whole, touched=pick.target.paths)


def _is_alone(items: _Items, pick: PickedFiles, path: bytes, file: _File) -> bool:
    """Whether a file is added or removed, and nothing else on the branch decides about it."""
    if file.base == _NOTHING:
        return _regular(file.theirs) and file.ours == _NOTHING and items.has_way(pick.base, pick.ours, path)
    return file.theirs == _NOTHING and _regular(file.base) and file.ours == file.base


def _sides(file: ChangedFile) -> tuple[_Content, _Content]:
    old, _, new = file.modes.decode().partition(" ")
    before, after = (old, file.before.decode()), (new, file.after.decode())
    return before if int(old) else _NOTHING, after if int(new) else _NOTHING


def _regular(*contents: _Content) -> bool:
    return all(mode.startswith("100") for mode, _ in contents)


def _reduced(pack: Pack, question: _Question) -> Trees:
    """The pick of the files that are to be merged, and no others."""
    sides = (
        {path: file.base for path, file in question.open.items()},
        {path: file.ours for path, file in question.open.items()},
        {path: file.theirs for path, file in question.open.items()},
    )
    base, ours, theirs = map(pack.tree, sides)
    return Trees(base=base, ours=ours, theirs=theirs)


def _is_made(question: _Question, merge: Merge) -> bool:
    return merge.tree == Pack().tree({path: file.made for path, file in question.open.items()})


class _Items:
    """What trees hold, each read once."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._trees: dict[str, dict[bytes, TreeItem]] = {}

    def at(self, tree: str, path: bytes) -> _Content:
        """Mode and id at a path; nothing where there is none."""
        *folders, name = path.split(b"/")
        for folder in folders:
            item = self._of(tree).get(folder)
            if item is None or not item.is_tree:
                return _NOTHING
            tree = item.sha
        found = self._of(tree).get(name)
        return (found.mode, found.sha) if found else _NOTHING

    def has_way(self, base: str, ours: str, path: bytes) -> bool:
        """Whether `ours` has each folder on the way to a path that `base` has, and nothing else in the place of one."""
        for folder in path.split(b"/")[:-1]:
            before, here = (self._of(tree).get(folder) if tree else None for tree in (base, ours))
            if here is None or not here.is_tree:
                return here is None and (before is None or not before.is_tree)
            base = before.sha if before and before.is_tree else ""
            ours = here.sha
        return True

    def _of(self, tree: str) -> dict[bytes, TreeItem]:
        if tree not in self._trees:
            self._trees[tree] = {item.name: item for item in parse_tree(self._scratch.read(tree)[1])}
        return self._trees[tree]
