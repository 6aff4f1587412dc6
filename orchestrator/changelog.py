"""The text of a release: changelog section, release commit, annotated tag.  Pure; the same plan, the same text.

No date appears: a text that depends on the day could not be planned.  git and the record carry the dates.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.model import PickState
from orchestrator.trailers import conventional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.model import Pick, PromotedFrom

_GROUPS = {
    "feat": "Added",
    "fix": "Fixed",
    "perf": "Performance",
    "revert": "Reverted",
    "docs": "Documentation",
    "build": "Build and dependencies",
    "ci": "Build and dependencies",
    "deps": "Build and dependencies",
}
_ORDER = ("Added", "Fixed", "Performance", "Reverted", "Changed", "Documentation", "Build and dependencies")
_SECTION = re.compile(r"^## ", re.MULTILINE)
_PICK_LINE = re.compile(
    r"^Pick: (?P<state>clean|adapted) (?P<source>[0-9a-f]{40}) (?P<result>[0-9a-f]{40})$", re.MULTILINE
)

_PROMOTED = re.compile(r"^Promoted-From: (?P<version>\S+) (?P<tag>[0-9a-f]{40})$", re.MULTILINE)


def shipped(picks: Sequence[Pick]) -> list[Pick]:
    """The picks that become commits."""
    return [pick for pick in picks if pick.state in (PickState.CLEAN, PickState.ADAPTED)]


def section(version: str, summary: str, picks: Sequence[Pick]) -> str:
    """The changelog section of a version, grouped by Conventional Commit type."""
    groups: dict[str, list[str]] = {}
    for pick in shipped(picks):
        parsed = conventional(pick.subject)
        scope = f"**{parsed.scope}:** " if parsed.scope else ""
        breaking = "**BREAKING** " if parsed.breaking else ""
        adapted = ", adapted" if pick.state is PickState.ADAPTED else ""
        reason = f" — {pick.reason}" if pick.reason else ""
        line = f"- {breaking}{scope}{parsed.text}{reason} (`{pick.source[:12]}`{adapted})"
        groups.setdefault(_GROUPS.get(parsed.type, "Changed"), []).append(line)
    parts = [f"## {version}", *([summary] if summary else [])]
    parts += [f"### {name}\n\n" + "\n".join(groups[name]) for name in _ORDER if name in groups]
    return "\n\n".join(parts) + "\n"


def insert(changelog: bytes | None, text: str) -> bytes:
    """The changelog with a new section above the newest one; all other bytes stay.  An absent file is begun."""
    if not changelog or not changelog.strip():
        return f"# Changelog\n\n{text}".encode()
    old = changelog.decode("utf-8", "surrogateescape")
    found = [
        match for match in _SECTION.finditer(old) if not old[match.start() :].lower().startswith("## [unreleased]")
    ]
    at = found[0].start() if found else len(old)
    before = old[:at] if old[:at].endswith("\n\n") or not old[:at] else old[:at].rstrip("\n") + "\n\n"
    joint = "\n" if found else ""
    return (before + text + joint + old[at:]).encode("utf-8", "surrogateescape")


def commit_message(version: str, summary: str, picks: Sequence[Pick]) -> bytes:
    """The release commit's message."""
    lines = [f"chore(release): {version}", ""]
    lines += [summary, ""] if summary else []
    lines += [f"- {pick.subject} ({pick.source[:12]})" for pick in shipped(picks)]
    return ("\n".join(lines).rstrip("\n") + "\n").encode()


def tag_message(
    version: str,
    summary: str,
    previous: str,
    branch: str,
    picks: Sequence[Pick],
    origin: PromotedFrom | None = None,
) -> str:
    """The annotated tag's message: a line for people and one for machines a pick (see `tagged_picks`).

    The tag of a promotion also names the candidate (see `promotion`).
    """
    since = f" since {previous}" if previous else ""
    lines = [f"{version}: {summary}" if summary else version, ""]
    if origin:
        lines += [f"The commit and the images of {origin.version}, which were tested under that name."]
        lines += [f"Promoted-From: {origin.version} {origin.tag_object}", ""]
    lines += [f"Picked onto {branch}{since}:", ""]
    for pick in shipped(picks):
        approved = f" (approved by {pick.approved_by})" if pick.approved_by else ""
        ours = pick.subject.startswith(("Pick: ", "Promoted-From: "))  # they are read back
        subject = f"- {pick.subject}" if ours else pick.subject
        lines += [f"{subject}{approved}", f"Pick: {pick.state} {pick.source} {pick.result}", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def promotion(message: str) -> tuple[str, str] | None:
    """(version, tag object) of the candidate that a tag message names, None for any other tag."""
    found = _PROMOTED.search(message)
    return (found["version"], found["tag"]) if found else None


def tagged_picks(message: str) -> list[tuple[str, str, str]]:
    """(state, source, result) of each pick that a tag message lists."""
    return [(match["state"], match["source"], match["result"]) for match in _PICK_LINE.finditer(message)]
