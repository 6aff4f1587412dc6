"""The text of a release: changelog section, release commit, annotated tag.  Pure; the same plan, the same text.

No date appears: a text that depends on the day could not be planned.  git and the record carry the dates.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import conventional
from orchestrator.core.remote_url import commit_page
from orchestrator.core.results import PickState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.results import Pick, Plan

BREAKING, OTHER = "Breaking changes", "Other changes"
_GROUPS = {
    "feat": "Features",
    "feature": "Features",
    "fix": "Fixes",
    "perf": "Performance",
    "revert": "Reverts",
    "docs": "Documentation",
    "build": "Build and dependencies",
    "ci": "Build and dependencies",
    "deps": "Build and dependencies",
}
_ORDER = tuple(dict.fromkeys((BREAKING, *_GROUPS.values(), OTHER)))
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")  # CommonMark: a run of backticks ends at the next as long
_MENTION = re.compile(r"(?<![^\W_])(@\w[\w@/-]*)")
_MARKUP = re.compile(r"[\\<\[\]`]|&(?=#?\w+;)")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_BLOCKS = tuple("#>+*~=_-")  # what begins a heading, a quotation, a list, a fence, a rule
_NUMBERED = re.compile(r"^([0-9]+)(?=[.)])")
_SECTION = re.compile(r"^## ", re.MULTILINE)
_BROKEN = "Freeze broken: "
_PICK_LINE = re.compile(
    r"^Pick: (?P<state>clean|adapted) (?P<source>[0-9a-f]{40}) (?P<result>[0-9a-f]{40})$", re.MULTILINE
)

_PROMOTED = re.compile(r"^Promoted-From: (?P<version>\S+) (?P<tag>[0-9a-f]{40})$", re.MULTILINE)


def shipped(picks: Sequence[Pick]) -> list[Pick]:
    """The picks that become commits."""
    return [pick for pick in picks if pick.state in (PickState.CLEAN, PickState.ADAPTED)]


def grouped(picks: Sequence[Pick]) -> list[tuple[str, list[Pick]]]:
    """The picks that become commits, by title and in a fixed order; what breaks something comes first, and once."""
    groups: dict[str, list[Pick]] = {}
    for pick in shipped(picks):
        title = BREAKING if pick.breaking else _GROUPS.get(pick.type, OTHER)
        groups.setdefault(title, []).append(pick)
    return [(title, groups[title]) for title in _ORDER if title in groups]


def section(version: str, summary: str, picks: Sequence[Pick], page: str = "") -> str:
    """The changelog section of a version, grouped by Conventional Commit type; links where there is a `page`."""
    parts = [f"## {version}", *([markdown(summary)] if summary else [])]
    for title, members in grouped(picks):
        parts.append(f"### {title}\n\n" + "\n".join(f"- {_entry(pick, page)}" for pick in members))
    return "\n\n".join(parts) + "\n"


def _entry(pick: Pick, page: str) -> str:
    """`**scope:** subject: what it breaks — reason (commit, adapted; approved by ...)`."""
    parsed = conventional(pick.subject)
    scope = f"**{markdown(parsed.scope)}:** " if parsed.scope else ""
    breaks = f": {markdown(pick.breaking)}" if pick.breaking not in ("", parsed.text) else ""
    reason = f" — {markdown(pick.reason)}" if pick.reason else ""
    name = f"`{pick.source[:12]}`"
    told = f"[{name}]({commit_page(page, pick.source)})" if page else name
    told += ", adapted" if pick.state is PickState.ADAPTED else ""
    told += f"; approved by {markdown(', '.join(pick.approved_by))}" if pick.approved_by else ""
    return f"{scope}{markdown(parsed.text)}{breaks}{reason} ({told})"


def markdown(text: str) -> str:
    """Foreign text as a line of a Markdown page: no HTML, links, blocks or mentions of its own; code spans stay.

    A mention becomes a code span, which no forge looks into.
    """
    line = "".join(char if char.isprintable() else " " for char in text).strip()
    pieces, at = list[str](), 0
    for span in _CODE.finditer(line):
        pieces += [*_quiet(line[at : span.start()]), span[0]]
        at = span.end()
    pieces += _quiet(line[at:])
    told = "".join(
        f" {piece}" if piece[:1] == "`" == before[-1:] else piece for before, piece in pairwise(["", *pieces])
    )
    return _NUMBERED.sub(r"\1\\", told) if told[:1].isdigit() else f"\\{told}" if told[:1] in _BLOCKS else told


def _quiet(text: str) -> list[str]:
    """What is not in a code span, in pieces."""
    parts = _MENTION.split(text)
    return [f"`{part}`" if number % 2 else _marked(part) for number, part in enumerate(parts) if part]


def _marked(text: str) -> str:
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), text)


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


def tagged_picks(message: str) -> list[tuple[str, str, str]]:
    """(state, source, result) of each pick that a tag message lists."""
    return [(match["state"], match["source"], match["result"]) for match in _PICK_LINE.finditer(message)]
