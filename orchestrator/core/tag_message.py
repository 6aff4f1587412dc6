"""The text of a release's tag: written and read here, so that both agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.pick import PickState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan


TaggedPick = tuple[str, str, str]  # state, source, result

_BROKEN = "Freeze broken: "


_PICK_LINE = re.compile(
    r"^Pick: (?P<state>clean|adapted) (?P<source>[0-9a-f]{40}) (?P<result>[0-9a-f]{40})$", re.MULTILINE
)


_PROMOTED = re.compile(r"^Promoted-From: (?P<version>\S+) (?P<tag>[0-9a-f]{40})$", re.MULTILINE)


def shipped(picks: Sequence[Pick]) -> list[Pick]:
    """The picks that become commits."""
    return [pick for pick in picks if pick.state in (PickState.CLEAN, PickState.ADAPTED)]


def commit_message(version: str, summary: str, picks: Sequence[Pick]) -> bytes:
    """The release commit's message."""
    lines = [f"chore(release): {version}", ""]
    lines += [summary, ""] if summary else []
    lines += [f"- {pick.subject} ({pick.source[:12]})" for pick in shipped(picks)]
    return ("\n".join(lines).rstrip("\n") + "\n").encode()


def tag_message(plan: Plan) -> str:
    """The annotated tag's message: a line for people and one for machines a pick (see `tagged_picks`).

    The tag of a promotion also names the candidate (see `promotion`).
    """
    since = f" since {plan.previous}" if plan.previous else ""
    lines = [f"{plan.version}: {plan.summary}" if plan.summary else plan.version, ""]
    if origin := plan.promoted_from:
        lines += [f"The commit and the images of {origin.version}, which were tested under that name."]
        lines += [f"Promoted-From: {origin.version} {origin.tag_object}", ""]
    lines += [f"{_BROKEN}{plan.freeze_broken}", ""] if plan.freeze_broken else []
    lines += [f"Picked onto {plan.branch}{since}:", ""]
    for pick in shipped(plan.picks):
        approved = f" (approved by {', '.join(pick.approved_by)})" if pick.approved_by else ""
        ours = pick.subject.startswith(("Pick: ", "Promoted-From: ", _BROKEN))  # they are read back
        subject = f"- {pick.subject}" if ours else pick.subject
        lines += [f"{subject}{approved}", f"Pick: {pick.state} {pick.source} {pick.result}", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def tagged_reason(message: str) -> str:
    """The reason for which a freeze was broken, by a tag's message; "" when none was."""
    return next((line.removeprefix(_BROKEN) for line in message.splitlines() if line.startswith(_BROKEN)), "")


def promotion(message: str) -> tuple[str, str] | None:
    """(version, tag object) of the candidate that a tag message names, None for any other tag."""
    found = _PROMOTED.search(message)
    return (found["version"], found["tag"]) if found else None


def tagged_picks(message: str) -> list[TaggedPick]:
    """(state, source, result) of each pick that a tag message lists."""
    return [(match["state"], match["source"], match["result"]) for match in _PICK_LINE.finditer(message)]
