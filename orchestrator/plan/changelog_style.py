"""How a changelog writes the headings of its versions, and the links below it; and the next ones like these.  Pure.

What is known: `## v2.7.0`, `## [2.7.0] - 2026-11-28` as Keep a Changelog has it, with or without brackets, `v`,
product, date and link, also `## [2.7.0](URL) (2026-11-28)`, and headings that are underlined.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.versions import TagVersion, completed, parse_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADING = re.compile(r"^(?P<marks>#{1,3})[ \t](?P<text>[^\r\n]+)", re.MULTILINE)
_UNDERLINED = re.compile(r"^(?P<text>[^\s#>|-][^\r\n]*)\r?\n(?P<line>-{3,}|={3,})[ \t\r]*$", re.MULTILINE)
_TEXT = re.compile(
    r"(?P<lead>(?:(?i:version|release) )?)"
    r"(?P<open>\[?)(?P<version>[^\s\[\](),:]*[0-9]\.[0-9][^\s\[\](),:]*)(?P<close>\]?)"
    r"(?P<link>(?:\([^()\s]+\))?)(?P<rest>[\s\S]*)"  # which cannot fail, so nothing is tried twice
)
_DATED = re.compile(r"(?P<before>(?: [-\u2013\u2014]|,|:)? \(?)(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?P<after>\)?)")
_LINK = re.compile(r"^\[(?P<label>[^\]\r\n]+)\]:[ \t]*(?P<url>\S+)[ \t\r]*$", re.MULTILINE)
_RANGE = re.compile(r"(?P<page>.*/)(?P<old>[^/\s]+?)(?P<dots>\.{2,3})(?P<new>[^/\s]+)")
_FORMATS: Final = {
    ".rst": "reStructuredText", ".rest": "reStructuredText", ".adoc": "AsciiDoc", ".asciidoc": "AsciiDoc",
    ".org": "Org",
}  # fmt: skip
_MARKDOWN: Final = (".md", ".markdown", ".mdown", ".mkd")


@dataclass(frozen=True, kw_only=True)
class VersionHeading:
    """The heading of a version: where it begins, and its parts; `line` is what it is underlined with, "" for none."""

    start: int
    marks: str
    line: str
    parts: re.Match[str]
    version: TagVersion

    @property
    def written(self) -> str:
        """The version as it stands there."""
        return self.parts["version"]

    @property
    def prefix(self) -> str:
        return self.written.removesuffix(self.version.bare)

    def next(self, version: TagVersion, day: str) -> str:
        """The heading of another version, of that day, in the same way."""
        parts, name = self.parts, f"{self.prefix}{version.bare}"
        link = f"({_moved(parts['link'][1:-1], self.version.bare, version.bare)})" if parts["link"] else ""
        dated = _DATED.match(parts["rest"])
        date = f"{dated['before']}{day}{dated['after']}" if dated else ""
        text = f"{parts['lead']}{parts['open']}{name}{parts['close']}{link}{date}"
        return f"{text}\n{self.line[0] * max(len(text), 3)}" if self.line else f"{self.marks} {text}"


def format_of(path: str, changelog: bytes | None) -> str:
    """What a changelog is where it is no Markdown, "" where it is.

    By its name; one of another name is reStructuredText where its headings are underlined and none has a `#`.
    """
    name = path.lower().rpartition("/")[2]
    known = next((what for end, what in _FORMATS.items() if name.endswith(end)), "")
    if known or name.endswith(_MARKDOWN):
        return known
    text = (changelog or b"").decode("utf-8", "replace")
    return "reStructuredText" if _UNDERLINED.search(text) and not _HEADING.search(text) else ""


def version_headings(text: str) -> Iterator[VersionHeading]:
    """Those of versions that are out, in the order of the file."""
    found = [*_HEADING.finditer(text), *_UNDERLINED.finditer(text)]
    for each in sorted(found, key=lambda match: match.start()):
        parts, marks = _TEXT.fullmatch(_plain(each)), each.groupdict().get("marks") or ""
        version = _version(parts["version"]) if parts else None
        if parts and marks == "###" and parts["rest"].strip() and not _DATED.match(parts["rest"]):
            continue  # a part of a section that speaks of a version
        if parts and version and "unreleased" not in each["text"].lower():
            line = each.groupdict().get("line") or ""
            yield VersionHeading(start=each.start(), marks=marks, line=line, parts=parts, version=version)


def _plain(found: re.Match[str]) -> str:
    """The text of a heading, without a closing row of `#`."""
    return found["text"].strip().rstrip("#").rstrip()


def _version(text: str) -> TagVersion | None:
    found = parse_tag(text) or parse_tag(completed(text))
    return found if found and text.endswith(found.bare) else None


def heading(changelog: str, tag: str, day: str) -> str:
    """The heading of a version's section as the changelog writes its newest; where it has none as the tag is written.

    Where it has only `[Unreleased]` so far it is one of Keep a Changelog.
    """
    version = TagVersion.from_text(tag)
    newest = next(version_headings(changelog), None)
    if newest:
        return newest.next(version, day)
    unreleased = any(_plain(each).lower() == "[unreleased]" for each in _HEADING.finditer(changelog))
    return f"## [{version.bare}] - {day}" if unreleased else f"## {tag}"


def place(changelog: str) -> int:
    """Where the next section begins: above the newest one, else above the links at the end, else at the end."""
    if newest := next(version_headings(changelog), None):
        return newest.start
    sections = (each for each in _HEADING.finditer(changelog) if each["marks"] == "##")
    other = next((each.start() for each in sections if "unreleased" not in each["text"].lower()), None)
    if other is not None:
        return other
    lines = changelog.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or _LINK.match(lines[-1])):
        lines.pop()
    at = len("".join(lines))
    return at + len(changelog[at:]) - len(changelog[at:].lstrip()) if changelog[at:].strip() else len(changelog)


def day_of(changelog: str, tag: str) -> str:
    """The day in the heading of a version, "" where it has none."""
    bare = TagVersion.from_text(tag).bare
    found = next((each for each in version_headings(changelog) if each.version.bare == bare), None)
    dated = _DATED.match(found.parts["rest"]) if found else None
    return dated["date"] if dated else ""


# ------------------------------------------------------------------ links


def linked(before: str, after: str, tag: str, end: str) -> str:
    """A changelog with a new section (`after`) and the link of its version; `before` is it without.

    Only where the newest version before has one, or `[Unreleased]` has.  That of `[Unreleased]` then begins at the new
    version.
    """
    version, newest = TagVersion.from_text(tag), next(version_headings(before), None)
    links = {each["label"].lower(): each for each in _LINK.finditer(after)}
    open_, old = links.get("unreleased"), links.get(newest.written.lower()) if newest else None
    if newest is None and open_ is None:
        return after
    name = f"{newest.prefix if newest else ''}{version.bare}"
    if name.lower() in links or (newest and not (old and newest.parts["open"])):
        return after
    if newest and old:
        line = f"[{name}]: {_moved(old['url'], newest.version.bare, version.bare)}{end}"
    else:
        line = f"[{name}]: {_begun(open_['url'], tag) if open_ else ''}{end}"
    at = old.start() if old else _line_end(after, open_.end()) if open_ else len(after)
    after = after[:at] + line + after[at:]
    return _reopened(after, newest.version.bare if newest else "", version.bare, tag)


def unlinked(changelog: bytes, tag: str) -> bytes:
    """A changelog without the links of a version, and of what is not released."""
    bare = TagVersion.from_text(tag).bare

    def kept(line: bytes) -> bool:
        found = _LINK.match(line.decode("utf-8", "replace"))
        return found is None or not (found["label"].lower() == "unreleased" or found["label"].endswith(bare))

    return b"".join(line for line in changelog.splitlines(keepends=True) if kept(line))


def _line_end(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


def _begun(url: str, tag: str) -> str:
    """The link of the first version, by that of what is not released: `.../compare/v2.7.0...HEAD`."""
    return found["page"] + found["old"] + found["dots"] + tag if (found := _RANGE.fullmatch(url)) else url


def _moved(url: str, old: str, new: str) -> str:
    """The link of the next version: of a range the old one is the beginning; elsewhere it is named in its place."""
    found = _RANGE.fullmatch(url)
    if found and found["new"].endswith(old):
        before = found["new"]
        return f"{found['page']}{before}{found['dots']}{before.removesuffix(old)}{new}"
    return re.sub(rf"(?<![0-9.]){re.escape(old)}(?![0-9])", lambda _: new, url)


def _reopened(text: str, old: str, new: str, tag: str) -> str:
    """The link of what is not released, from the new version on, where it began at the old one."""
    found = next((each for each in _LINK.finditer(text) if each["label"].lower() == "unreleased"), None)
    url = _RANGE.fullmatch(found["url"]) if found else None
    if found is None or url is None or (old and not url["old"].endswith(old)):
        return text
    name = f"{url['old'].removesuffix(old)}{new}" if old else tag
    start = found.start("url")
    return text[:start] + f"{url['page']}{name}{url['dots']}{url['new']}" + text[found.end("url") :]
