"""Which commits of a range or branch are on the release branch already, under other ids.

The check to run before a source branch is merged, and in CI.  Unlike `git cherry` it knows `-x` trailers, picks
whose surroundings differ, and commits that were taken back on the release branch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.git import changes
from orchestrator.picks.equivalents import Undone, match, signal_rules
from orchestrator.picks.merged.brought import brought, named_merges, taken_back
from orchestrator.picks.presence import Carrier, Presence
from orchestrator.session.branch_state import branch_and_sources, commit_named
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.git.changes import CommitChange
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.equivalents import Equivalent
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """A commit of the range, and the commit of the release branch that carries its change."""

    commit: str
    subject: str
    duplicate_of: str
    signals: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DuplicateReport:
    """`examined` counts the commits of the range without merges; `duplicates` is oldest first."""

    branch: str
    base: str
    range: str
    examined: int
    duplicates: tuple[Duplicate, ...]


def duplicates(session: Session, wanted: str) -> DuplicateReport:
    """Examine `A..B`, a branch, or ("") the source branches.  Raises UsageError for a range that cannot be."""
    config = session.config()
    offline = session.options.offline
    have_history(session.repository, config.remote, offline=offline)
    base, tips, problems = branch_and_sources(session.repository, session.scratch, config, offline=offline)
    if problems and not wanted:
        raise UsageError(problems[0].message, where=problems[0].where, remedy=problems[0].remedy, code="no-source")
    start, heads, shown = _range(session, config, wanted, tips)
    have_contents(session.repository, session.scratch, (base, *heads), offline=offline)
    examined, found = examine(session.scratch, base, start, heads)
    return DuplicateReport(branch=config.branch, base=base, range=shown, examined=examined, duplicates=found)


def examine(scratch: Scratch, base: str, start: str, heads: Sequence[str]) -> tuple[int, tuple[Duplicate, ...]]:
    """(commits examined, duplicates) of what the heads have and `start` ("" for none) and `base` have not."""
    key = json.dumps([signal_rules(), base, start, sorted(heads)])
    if known := scratch.cache.get("duplicates", [key]):
        examined, rows = json.loads(known[key])
        return examined, tuple(_duplicate(*row) for row in rows)
    wanted = changes.wide_log(scratch, *heads, "--not", base, *([start] if start else []))
    own = changes.log(scratch, base, "--not", *heads)
    merges = named_merges(scratch, own)
    merged = brought(scratch, base, merges, own, {change.sha for change in wanted})
    gone = Undone(own, own, taken_back(scratch, merges, own))
    twins = match(scratch, wanted, own, own, gone, merged=merged, every_signal=False)
    twins = _standing(scratch, base, wanted, own, twins)
    rows = [
        (change.sha, change.message.partition("\n")[0], twin.sha, twin.signals)
        for change in reversed(wanted)
        if (twin := twins.get(change.sha))
    ]
    scratch.cache.put("duplicates", {key: json.dumps([len(wanted), rows]).encode()})
    return len(wanted), tuple(_duplicate(*row) for row in rows)


def _standing(
    scratch: Scratch, base: str, wanted: Sequence[CommitChange], own: Sequence[CommitChange],
    twins: Mapping[str, Equivalent],
) -> dict[str, Equivalent]:  # fmt: skip
    """Those whose change is in the tree: what somebody wrote over is not on the branch any more."""
    sources = {change.sha: change for change in wanted if change.sha in twins}
    there = {change.sha: change for change in own}
    carriers = [Carrier(source=sources[sha], twin=there[each.sha]) for sha, each in twins.items() if each.sha in there]
    over = Presence(scratch=scratch, tip=base, later=own).overwritten(carriers)
    return {sha: each for sha, each in twins.items() if sha not in over}


def _duplicate(commit: str, subject: str, twin: str, signals: Sequence[str]) -> Duplicate:
    return Duplicate(commit=commit, subject=subject, duplicate_of=twin, signals=tuple(signals))


def _range(session: Session, config: Config, wanted: str, tips: Mapping[str, str]) -> tuple[str, list[str], str]:
    """(start or "", heads, how to call it); the source branches without a word."""
    if not wanted:
        return "", list(dict.fromkeys(tips.values())), ", ".join(tips)
    if "..." in wanted:
        raise UsageError(f"{wanted} is a symmetric difference", remedy="write A..B", code="bad-range")
    first, dots, last = wanted.partition("..")
    if not dots:
        return "", [commit_named(session.repository, config.remote, wanted)], wanted
    start, end = (
        commit_named(session.repository, config.remote, first or "HEAD"),
        commit_named(session.repository, config.remote, last or "HEAD"),
    )
    if not session.scratch.rev_list("--max-count=1", end, f"^{start}"):
        turned = session.scratch.rev_list("--max-count=1", start, f"^{end}")
        raise UsageError(
            f"range {wanted} has no commits",
            remedy=f"it is reversed: write {last}..{first}" if turned else "both ends are the same history",
            code="empty-range",
        )
    return start, [end], wanted
