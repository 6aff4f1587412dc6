"""The text of a release: changelog section, release commit, annotated tag.  Pure; the same plan, the same text.

No date appears: a text that depends on the day could not be planned.  git and the record carry the dates.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import conventional
from orchestrator.core.pick import PickState
from orchestrator.core.remote_url import commit_page
from orchestrator.core.tag_message import shipped
from orchestrator.plan.line_ends import line_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.pick import Pick


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
    """The changelog with a new section above the newest one, in its line ends; all other bytes stay.

    An absent file is begun.
    """
    if not changelog or not changelog.strip():
        return f"# Changelog\n\n{text}".encode()
    old = changelog.decode("utf-8", "surrogateescape")
    found = [
        match for match in _SECTION.finditer(old) if not old[match.start() :].lower().startswith("## [unreleased]")
    ]
    at = found[0].start() if found else len(old)
    end = line_end(changelog).decode()
    before = old[:at] if old[:at].endswith(end * 2) or not old[:at] else old[:at].rstrip("\r\n") + end * 2
    new = (text + "\n" if found else text).replace("\n", end)
    return (before + new + old[at:]).encode("utf-8", "surrogateescape")
