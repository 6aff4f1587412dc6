"""What counts for one line of a guarded repository, and what the tag of a pushed release says that people decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit, ReleaseError
from orchestrator.core.pick import PickState
from orchestrator.core.tag_message import (
    SKIPPED,
    shipped,
    tagged_account,
    tagged_picks,
    terms_fault,
    told_resolution,
    told_terms,
    told_twice,
)
from orchestrator.picks.resolutions.known import Earlier, KnownResolutions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.core.pick import Pick
    from orchestrator.core.results import Problem
    from orchestrator.core.tag_message import TagRow
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.guard.proposed import ProposedVersions


@dataclass(frozen=True, kw_only=True)
class Protected:
    """What counts for one line.  `tips` are its source branches, `tags` the version tags, `names` what may be named."""

    config: Config
    path: str  # of release.yaml
    branch: str  # the protected one, where release.yaml was read
    tips: Mapping[str, str]
    heads: Mapping[str, str]  # every branch that was there before the push
    tags: Mapping[str, str]  # name -> commit
    names: Repository
    now: int  # seconds
    proposed: ProposedVersions


@dataclass(frozen=True, kw_only=True)
class ProvedRelease:
    """A proved release commit, the picks below it, and the sources that its tag leaves out with a reason."""

    version: str
    commit: str
    picks: tuple[Pick, ...]
    skipped: tuple[str, ...] = ()


class RefusedCommitError(ReleaseError):
    """A commit that may not stand on a release branch; becomes a Problem at once."""

    exit_code = Exit.REFUSED

    @classmethod
    def of(cls, problem: Problem) -> RefusedCommitError:
        return cls(problem.message, where=problem.where, remedy=problem.remedy, code=problem.code)


def decisions(version: str, message: str) -> dict[str, TagRow]:
    """Source -> what the tag of a release says of it.  Raises where it says two things of one."""
    rows = tagged_account(message)
    decided = {row.source: row for row in rows}
    if twice := told_twice(message):
        raise RefusedCommitError(
            f"tag {version} says two things of {twice[:12]}",
            where=version,
            remedy=f"make it: release cut {version}",
            code="tag-differs",
        )
    return decided


def told_earlier(scratch: Scratch, decided: Mapping[str, TagRow], refs: Mapping[str, str]) -> Earlier:
    """Where the tag says that conflicts were resolved before, to be held against it and the `refs` after the push."""
    told = {source: before for source, row in decided.items() if (before := told_resolution(row.terms))}
    prefix = "refs/tags/"
    tags = {ref.removeprefix(prefix): sha for ref, sha in refs.items() if ref.startswith(prefix)} if told else {}
    return Earlier(known=KnownResolutions(scratch=scratch, tags=lambda: tags), told=told, all_here=True)


def resolved_in(decided: Mapping[str, TagRow], place: Collection[str]) -> dict[str, str]:
    """Source -> the commit that resolved its conflict, of those that a tag lists and that are `place`d."""
    return {
        row.source: row.commit for row in decided.values() if row.state == PickState.ADAPTED and row.commit in place
    }


def listing_fault(message: str, release: ProvedRelease) -> str:
    """Where a tag lists other picks than were proved, or other terms of them; "" where it agrees."""
    brought = shipped(release.picks)
    listed = [(pick.state.value, pick.source, pick.carrier) for pick in brought]
    picks = [(pick.state.value, pick.source, pick.duplicate_of) for pick in release.picks if pick not in brought]
    left_out = sorted([*picks, *((SKIPPED, source, "") for source in release.skipped)])
    left = sorted((row.state, row.source, row.commit) for row in tagged_account(message) if not row.shipped)
    if tagged_picks(message) != listed or left != left_out:
        return "does not list the picks that it stands on"
    return terms_fault(told_terms(message), release.picks)


def is_left_out(row: TagRow | None) -> bool:
    """Whether a person left it out, and says why."""
    return row is not None and row.state == SKIPPED and bool(row.reason.strip())


def by_hand_order(row: TagRow | None, place: Mapping[str, int]) -> int:
    """What was picked by hand comes before what the release made, in the order of the branch."""
    by_hand = row is not None and row.shipped and not row.made
    return place.get(row.commit, len(place)) if row and by_hand else len(place)
