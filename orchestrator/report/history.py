"""What history was asked for, as text for people: in which releases a fix is, what should perhaps be picked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.pick import PickState
from orchestrator.core.text import word
from orchestrator.report.plan import followup_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.picks.candidates import Candidate, Found
    from orchestrator.picks.released import Whereabouts
    from orchestrator.release.declare import Declared

_MARK = {PickState.CLEAN: "+", PickState.DUPLICATE: "=", PickState.EMPTY: "0", PickState.CONFLICT: "!"}
_FILES = 5  # conflicting files that are named; the rest are counted


def whereabouts_lines(found: Whereabouts) -> list[str]:
    """What `log` shows."""
    picked = f" (picked as {found.asked[:12]})" if found.asked != found.source else ""
    lines = [f"{found.source[:12]} {found.subject}{picked}"]
    for release in found.releases:
        branch = f" on {release.branch}" if release.branch else ""
        undone = f"  taken back by {release.undone_by[:12]}" if release.undone_by else ""
        lines.append(f"  {release.version}  as {release.sha[:12]}{branch}  ({', '.join(release.signals)}){undone}")
        lines += [f"    {release.yanked}"] if release.yanked else []
    return lines if found.releases else [*lines, "  in no release"]


def candidate_lines(found: Found) -> list[str]:
    """What `candidates` shows."""
    number = len(found.candidates)
    lines = [f"{number} candidate{'' if number == 1 else 's'} for {found.branch} at {found.base[:12]}", ""]
    lines += [line for candidate in found.candidates for line in _candidate_lines(candidate)]
    lines += [""] if found.candidates else []
    if found.already:
        more = "1 more is" if found.already == 1 else f"{found.already} more are"
        lines.append(f"  {more} on {found.branch} already, under other ids")
    if found.unsearched:
        lines.append(f"  for {found.unsearched} the time was too short to tell what they need: --effort SECONDS")
    if found.more:
        lines.append(f"  {found.more} older ones match too: --limit, or a closer filter")
    return lines


def _candidate_lines(candidate: Candidate) -> list[str]:
    who = candidate.author.partition(" <")[0]
    head = f"  {_MARK[candidate.forecast]}  {candidate.sha[:12]} {candidate.forecast:<9}"
    lines = [f"{head}  {candidate.subject}  ({who}, {candidate.date[:10]})"]
    if candidate.conflicts:
        files = [f"{word(each.path)} ({each.kind})" for each in candidate.conflicts]
        more = f" and {len(files) - _FILES} more" if len(files) > _FILES else ""
        lines.append(f"       in {', '.join(files[:_FILES])}{more}")
    if candidate.needs:
        lines.append(f"       needs {' and '.join(sha[:12] for sha in candidate.needs)} first")
    lines += [f"       closes {each.id} ({each.severity}): {each.why}" for each in candidate.closes]
    if candidate.declared_in:
        lines.append(f"       declared in {', '.join(candidate.declared_in)}")
    return lines + followup_lines(candidate.sha, candidate.followups)


def declared_lines(made: Declared) -> list[str]:
    """What `declare --from-branch` shows: each commit of the branch with its source, and the edit."""
    found = made.found.origins
    if not found:
        return [f"{made.branch} at {made.base[:12]} holds nothing that {made.version} does not declare"]
    lines = [f"{len(found)} on {made.branch} at {made.base[:12]} to declare for {made.version}", ""]
    for each in found:
        said = "made on the branch" if each.is_made_here else f"{_short(each.sources)}, by {each.by}"
        lines.append(f"  {each.change.sha[:12]}  {each.subject}  ({said})")
    lines += ["", *made.diff.splitlines(), ""]
    again = f"release declare {made.version} --from-branch --write"
    last = f"written: look at it, then: release plan {made.version}" if made.written else f"to write it: {again}"
    return [*lines, last]


def _short(ids: Sequence[str]) -> str:
    return " and ".join(sha[:12] for sha in ids)
