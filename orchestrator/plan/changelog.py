"""The text of a release: its section in the changelog.  Pure; the same plan, the same text.

Where the changelog has dates, a section has that of the release commit, which is planned: that of the newest pick.  No
text depends on the day on which it is made.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import conventional
from orchestrator.core.pick import PickState
from orchestrator.core.remote_url import commit_page
from orchestrator.core.tag_message import shipped
from orchestrator.plan import changelog_style
from orchestrator.plan.line_ends import line_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def grouped(picks: Sequence[Pick]) -> list[tuple[str, list[Pick]]]:
    """The picks that become commits, by title and in a fixed order; what breaks something comes first, and once."""
    groups: dict[str, list[Pick]] = {}
    for pick in shipped(picks):
        title = BREAKING if pick.breaking else _GROUPS.get(pick.type, OTHER)
        groups.setdefault(title, []).append(pick)
    return [(title, groups[title]) for title in _ORDER if title in groups]


def section(version: str, summary: str, picks: Sequence[Pick], page: str = "", heading: str = "") -> str:
    """The changelog section of a version, grouped by Conventional Commit type; links where there is a `page`."""
    parts = [heading or f"## {version}", *([markdown(summary)] if summary else [])]
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


def insert(changelog: bytes | None, version: str, day: str, section: Callable[[str], str]) -> bytes:
    """The changelog with a new section, made with the heading given, above the newest one, in its line ends.

    All other bytes stay, but for the links of versions below it.  An absent file is begun.
    """
    if not changelog or not changelog.strip():
        return f"# Changelog\n\n{section(f'## {version}')}".encode()
    old = changelog.decode("utf-8", "surrogateescape")
    text, at, end = section(changelog_style.heading(old, version, day)), changelog_style.place(old), line_end(changelog)
    made = _with_text(old, at, text, end.decode())
    return changelog_style.linked(old, made, version, end.decode()).encode("utf-8", "surrogateescape")


def _with_text(old: str, at: int, text: str, end: str) -> str:
    before = old[:at] if old[:at].endswith(end * 2) or not old[:at] else old[:at].rstrip("\r\n") + end * 2
    return before + (text + "\n" if at < len(old) else text).replace("\n", end) + old[at:]
