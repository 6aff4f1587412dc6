"""One fix on the release branch, as a value: where it came from, what it became, and what stands in its way."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import Before, ObjectId, ObjectIdOrNone


def _names(value: object) -> object:
    """Approvals: before there could be several of them, records had one text."""
    return value if not isinstance(value, str) else [value] if value else []


class PickState(StrEnum):
    """What becomes of a declared fix on the line."""

    CLEAN = "clean"
    ADAPTED = "adapted"  # a person resolved it, or a `backport:` stands in
    DUPLICATE = "duplicate"  # on the branch already under another id
    EMPTY = "empty"  # applying it changes nothing
    CONFLICT = "conflict"


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A path that does not merge; `kind` in git's own words: content, modify/delete, add/add, ..."""

    path: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Submodule:
    """A submodule at the commit that a pick brings it to: the branch had another one than the source before it."""

    path: str
    commit: ObjectId


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Where a conflict of the same id was resolved before: the pick of a released version."""

    commit: ObjectId
    version: str


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A later commit that speaks of a pick, or of an earlier follow-up of it (`of`).

    `kind` is the strongest of what it says: `revert` (takes it back, or the merge that brought it), `fixes` (a
    `Fixes:` trailer, or "fixes <id>" in its text), `fixup` (subject `fixup!`, `squash!` or `amend!`), `mention`
    (names the id).  `stands` is false for what was itself taken back, and for a revert in spite of which the
    change is there: under another id, or on a branch without the revert.
    """

    sha: str
    kind: str
    subject: str
    of: str = ""  # full id; the pick's own also where a copy of it is spoken of
    stands: bool = True


@dataclass(frozen=True, kw_only=True)
class Pick:
    """One source commit judged against the line.  Ids are full; `result` is "" when nothing is made."""

    source: ObjectId
    subject: str
    state: PickState
    result: ObjectIdOrNone = ""
    conflicts: tuple[Conflict, ...] = ()
    duplicate_of: str = ""
    duplicate_by: tuple[str, ...] = ()  # the signals, strongest first: picks/equivalents.py
    since_previous: bool = False  # a duplicate that came to the branch after the version before: this version has it
    prerequisites: tuple[str, ...] = ()  # source commits with which it was seen to apply, in the order to pick them
    search: str = ""  # how the search for them ended, "" when none was needed
    near: tuple[str, ...] = ()  # without a proof: missing source commits of the same lines or files, likeliest first
    followups: tuple[FollowUp, ...] = ()
    applied: str = ""  # the commit whose change was applied, where it is not `source` (backport, resolution)
    mainline: int = 0
    declared: str = ""  # the entry as written
    reason: str = ""
    approved_by: Annotated[tuple[str, ...], Before(_names)] = ()
    author: str = ""  # "Name <mail>"
    type: str = ""  # Conventional Commit type, "" when the subject has none
    breaking: str = ""  # what it breaks, in its own words; "" for nothing that its message tells
    confirm: bool = False  # release.yaml wants a person's yes to it
    exclude: tuple[str, ...] = ()  # patterns that files of its source are left out for
    strategy_options: tuple[str, ...] = ()  # with which git merges it
    resolution: Resolution | None = None  # it is resolved as that was; of one in conflict, it could be
    forwarded: tuple[Submodule, ...] = ()  # submodules that it moved otherwise than its source: fast-forwards
    lives_on: str = ""  # the branches that hold a source which is on no source branch, "" for one that is

    @property
    def carrier(self) -> str:
        """The commit that brings it in this version, "" when none does."""
        return self.result or (self.duplicate_of if self.since_previous else "")

    @property
    def besides(self) -> tuple[str, ...]:
        """In words, what it is besides the change of its source; of what was there already nothing is told."""
        if self.state is PickState.DUPLICATE:
            return ()
        without = (f"without {', '.join(self.exclude)}",) if self.exclude else ()
        how = "can be resolved" if self.state is PickState.CONFLICT else "is resolved"
        before = self.resolution
        as_before = (f"{how} as in {before.version} ({before.commit[:12]})",) if before else ()
        options = (f"merged with {', '.join(self.strategy_options)}",) if self.strategy_options else ()
        return (
            *without,
            *options,
            *as_before,
            *(f"submodule {each.path} is fast-forwarded to {each.commit[:12]}" for each in self.forwarded),
        )


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A declared fix that a person left out at a conflict, with the reason given."""

    source: ObjectId
    subject: str
    reason: str
