"""Which commits of a range or branch are on the release branch already, under other ids.

The check to run before a source branch is merged, and in CI.  Unlike `git cherry` it knows `-x` trailers, picks
whose surroundings differ, and commits that were taken back on the release branch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.git import changes
from orchestrator.picks.equivalents import RULES, Undone, match
from orchestrator.session.branch_state import branch_tip, commit_named, refuse_incomplete, source_tips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.git.scratch import Scratch
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
    refuse_incomplete(session.repository, config.remote)
    base = branch_tip(session.repository, session.scratch, config, offline=session.options.offline)
    start, heads, shown = _range(session, config, wanted)
    examined, found = examine(session.scratch, base, start, heads)
    return DuplicateReport(branch=config.branch, base=base, range=shown, examined=examined, duplicates=found)


def examine(scratch: Scratch, base: str, start: str, heads: Sequence[str]) -> tuple[int, tuple[Duplicate, ...]]:
    """(commits examined, duplicates) of what the heads have and `start` ("" for none) and `base` have not."""
    key = json.dumps([RULES, base, start, sorted(heads)])
    if known := scratch.cache.get("duplicates", [key]):
        examined, rows = json.loads(known[key])
        return examined, tuple(_duplicate(*row) for row in rows)
    wanted = changes.wide_log(scratch, *heads, "--not", base, *([start] if start else []))
    own = changes.log(scratch, base, "--not", *heads)
    twins = match(scratch, wanted, own, own, Undone(own, own).commits, every_signal=False)
    rows = [
        (change.sha, change.message.partition("\n")[0], twin.sha, twin.signals)
        for change in reversed(wanted)
        if (twin := twins.get(change.sha))
    ]
    scratch.cache.put("duplicates", {key: json.dumps([len(wanted), rows]).encode()})
    return len(wanted), tuple(_duplicate(*row) for row in rows)


def _duplicate(commit: str, subject: str, twin: str, signals: Sequence[str]) -> Duplicate:
    return Duplicate(commit=commit, subject=subject, duplicate_of=twin, signals=tuple(signals))


def _range(session: Session, config: Config, wanted: str) -> tuple[str, list[str], str]:
    """(start or "", heads, how to call it)."""
    if not wanted:
        tips, problems = source_tips(session.repository, config)
        if problems:
            raise UsageError(problems[0].message, where=problems[0].where, remedy=problems[0].remedy, code="no-source")
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
