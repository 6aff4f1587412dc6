"""What became of the picked fixes on the source: which were taken back, which need another fix, where they live."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit
from orchestrator.core.pick import PickState
from orchestrator.core.results import Problem
from orchestrator.git.batch import outside
from orchestrator.picks import containing_branches
from orchestrator.picks.equivalents import twins
from orchestrator.picks.followups import FIXES, FIXUP, REVERT, followups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.pick import FollowUp, Pick
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.containing_branches import ContainingBranches
    from orchestrator.picks.sources import Source

REVERTED = "reverted"  # the word under `allow:`
_SPEAKS = {FIXES: "fixes", FIXUP: "is a fixup of"}


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """The picks with follow-ups and homes filled in, and what is to be said of them."""

    picks: tuple[Pick, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def aftermath(
    repository: Repository,
    scratch: Scratch,
    sources: Sequence[Source],
    picks: Sequence[Pick],
    *,
    base: str,
    tips: Mapping[str, str],
    remote: str,
) -> Aftermath:
    """Look at the source tips for what became of the fixes.  Without tips nothing is known and nothing said."""
    where = containing_branches.find(
        repository, scratch, [source.commit.sha for source in sources], list(tips.values()), remote
    )
    later = followups(scratch, sources, tips, where)
    told = tuple(
        replace(pick, followups=later.get(pick.source, ()), lives_on=where.said(pick.source)) for pick in picks
    )
    entries = {source.commit.sha: source for source in sources}
    return Aftermath(
        picks=told,
        problems=tuple(_reverted(scratch, told, entries, tips)),
        notes=(*_elsewhere(told, where, tips), *_left_out(scratch, told, entries, base)),
    )


def _reverted(
    scratch: Scratch, picks: Sequence[Pick], sources: Mapping[str, Source], tips: Mapping[str, str]
) -> list[Problem]:
    """A problem for each pick that the source has taken back, unless its entry knows of it.

    Where the revert is declared too, fixes.py has said so.
    """
    found = []
    for pick in picks:
        revert = taken_back(pick)
        fix = sources[pick.source].fix
        if pick.state in (PickState.DUPLICATE, PickState.EMPTY) or revert is None or revert.sha in sources:
            continue
        if REVERTED not in fix.allow:
            on = _holder(scratch, revert.sha, tips) or pick.lives_on
            found.append(
                Problem(
                    code="reverted-pick",
                    message=f"{pick.source[:12]} {pick.subject!r} was reverted on {on}"
                    f" by {revert.sha[:12]} {revert.subject!r}",
                    where=str(fix.place),
                    remedy="remove the entry, or add `allow: [reverted]` and a `reason:` to it to pick it all the same",
                    exit_code=Exit.DECISION,
                )
            )
    return found


def taken_back(pick: Pick) -> FollowUp | None:
    """The revert because of which the source has the fix no longer, None when it has."""
    return next(
        (each for each in pick.followups if each.kind == REVERT and each.of == pick.source and each.stands), None
    )


def _holder(scratch: Scratch, sha: str, tips: Mapping[str, str]) -> str:
    """The first source tip whose history has the commit."""
    names = (name for name, tip in tips.items() if not outside(scratch, [sha], [tip]))
    return next(names, "")


def _elsewhere(picks: Sequence[Pick], where: ContainingBranches, tips: Mapping[str, str]) -> list[str]:
    """A line for each fix that is not on a source branch yet: allowed, but said aloud."""
    names = ", ".join(tips)
    return [
        f"{pick.source[:12]} {pick.subject!r} is not on {names} yet; "
        + (f"it lives on {pick.lives_on}" if pick.lives_on else "no branch here holds it")
        for pick in picks
        if where.outside(pick.source)
    ]


def _left_out(scratch: Scratch, picks: Sequence[Pick], declared: Mapping[str, Source], base: str) -> list[str]:
    """A line, with the edit, for each fix of a fix that is neither declared nor on the branch already."""
    missing = {each.sha: each for pick in picks for each in wanted(pick) if each.sha not in declared}
    commits = {sha: scratch.commit(sha) for sha in missing}
    there = twins(scratch, base, {sha: next(iter(each.parents), "") for sha, each in commits.items()})
    return [
        f"{sha[:12]} {each.subject!r} {_SPEAKS[each.kind]} {each.of[:12]}, and is not picked;"
        f" to take it along, add: - commit: {sha[:12]}"
        for sha, each in missing.items()
        if sha not in there
    ]


def wanted(pick: Pick) -> list[FollowUp]:
    """The fixes of a pick, and of those in turn, that nobody has taken back since."""
    found: dict[str, FollowUp] = {}
    todo = [pick.source]
    while todo:
        of = todo.pop(0)
        new = [each for each in pick.followups if each.of == of and each.kind in _SPEAKS and each.stands]
        todo += [each.sha for each in new if each.sha not in found]
        found |= {each.sha: each for each in new}
    return list(found.values())
