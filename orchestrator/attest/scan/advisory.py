"""What a database says of a vulnerability: OSV's records, and the JSON of Debian's security tracker.

https://ossf.github.io/osv-schema/ and https://security-tracker.debian.org/tracker/data/json.  Others wrote these
documents: a part that is not what the schema says counts as not there, and no part of it is believed more than another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cvss import CVSS2, CVSS3, CVSS4, CVSSError

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS: Final = ("unknown", "none", "low", "medium", "high", "critical")  # from the least
_WORDS: Final = {"moderate": "medium", "important": "high", "unimportant": "none", "negligible": "none"}
_RATINGS: Final = (("CVSS_V4", CVSS4), ("CVSS_V3", CVSS3), ("CVSS_V2", CVSS2))  # the newest counts
_COMMIT: Final = re.compile(r"[0-9a-f]{40}\Z")
_COMMIT_PAGE: Final = re.compile(r"/commits?/([0-9a-f]{40})\b")
_RELEASES: Final = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}


@dataclass(frozen=True, kw_only=True)
class VersionRange:
    """From `introduced` ("0": the beginning) up to, not with, `fixed`; or up to and with `last`; or without an end."""

    introduced: str
    fixed: str = ""
    last: str = ""


@dataclass(frozen=True, kw_only=True)
class AffectedPackage:
    """One package that an advisory is about.  `ecosystem` is OSV's word: `PyPI`, `Debian:12`."""

    ecosystem: str
    name: str
    ranges: tuple[VersionRange, ...] = ()
    versions: tuple[str, ...] = ()
    severity: str = ""

    @property
    def key(self) -> str:
        return key(self.name)


def key(name: str) -> str:
    """Equal for names that an ecosystem may take for one."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True, kw_only=True)
class Advisory:
    """`fixes` are the upstream commits that correct it, where its database knows them."""

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    severity: str = "unknown"
    affected: tuple[AffectedPackage, ...] = ()
    fixes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.id, *self.aliases)


def osv(value: object) -> Advisory | None:
    """An OSV record; None for one that was withdrawn.  Raises DocumentError for what is none."""
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or not value["id"]:
        raise DocumentError("is no OSV record: it has no `id`")
    if value.get("withdrawn"):
        return None
    affected = tuple(each for row in _rows(value.get("affected")) if (each := _affected(row)))
    return Advisory(
        id=value["id"],
        aliases=tuple(dict.fromkeys(_texts(value.get("aliases")) + _texts(value.get("upstream")))),
        summary=(_text(value.get("summary")) or _text(value.get("details"))).partition("\n")[0][:200],
        severity=_severity(value),
        affected=affected,
        fixes=tuple(dict.fromkeys(_fixes(value))),
    )


def _affected(row: dict[str, Any]) -> AffectedPackage | None:
    package = row.get("package")
    if not isinstance(package, dict) or not _text(package.get("name")):
        return None
    ranges = [each for found in _rows(row.get("ranges")) if found.get("type") != "GIT" for each in _ranges(found)]
    return AffectedPackage(
        ecosystem=_text(package.get("ecosystem")),
        name=_text(package.get("name")),
        ranges=tuple(ranges),
        versions=tuple(_texts(row.get("versions"))),
        severity=_severity(row),
    )


def _ranges(row: dict[str, Any]) -> Iterator[VersionRange]:
    """Each `introduced` with the end that follows it."""
    begun = ""
    for event in _rows(row.get("events")):
        if start := _text(event.get("introduced")):
            if begun:
                yield VersionRange(introduced=begun)
            begun = start
        fixed, last = _text(event.get("fixed")), _text(event.get("last_affected"))
        if begun and (fixed or last):
            yield VersionRange(introduced=begun, fixed=fixed, last=last)
            begun = ""
    if begun:
        yield VersionRange(introduced=begun)


def _fixes(value: dict[str, Any]) -> Iterator[str]:
    for row in _rows(value.get("affected")):
        for found in _rows(row.get("ranges")):
            if found.get("type") == "GIT":
                events = (_text(event.get("fixed")) for event in _rows(found.get("events")))
                yield from (each for each in events if _COMMIT.match(each))
    for reference in _rows(value.get("references")):
        if reference.get("type") == "FIX" and (page := _COMMIT_PAGE.search(_text(reference.get("url")))):
            yield page[1]


def _severity(row: dict[str, Any]) -> str:
    """By its CVSS vector, else in its database's words."""
    scores = {_text(each.get("type")): _text(each.get("score")) for each in _rows(row.get("severity"))}
    for kind, rating in _RATINGS:
        if kind in scores:
            try:
                return level(str(rating(scores[kind]).severities()[0]))
            except (CVSSError, ValueError, KeyError, IndexError):  # a vector that is none
                continue
    for place in ("database_specific", "ecosystem_specific"):
        said = row.get(place)
        if isinstance(said, dict) and (word := _text(said.get("severity")) or _text(said.get("urgency"))):
            return level(word)
    return level(scores.get("Ubuntu", ""))


def level(word: str) -> str:
    """One of LEVELS for a database's word."""
    plain = word.strip().lower().rstrip("*")
    plain = _WORDS.get(plain, plain)
    return plain if plain in LEVELS else "unknown"


# ------------------------------------------------------------------ Debian's tracker


def tracker(value: object) -> Iterator[Advisory]:
    """Debian's data: source package -> vulnerability -> release -> status.  Raises DocumentError for what is none."""
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise DocumentError("is neither OSV records nor the JSON of Debian's security tracker")
    for package, found in value.items():
        for name, row in found.items():
            if isinstance(row, dict) and (affected := tuple(_of_releases(package, row.get("releases")))):
                summary = _text(row.get("description")).partition("\n")[0][:200]
                worst = max((each.severity for each in affected), key=LEVELS.index)
                yield Advisory(id=name, summary=summary, severity=worst, affected=affected)


def _of_releases(package: str, releases: object) -> Iterator[AffectedPackage]:
    names = {name: number for number, name in _RELEASES.items()}
    for name, row in releases.items() if isinstance(releases, dict) else ():
        if name not in names or not isinstance(row, dict) or row.get("status") not in ("open", "resolved"):
            continue
        fixed = _text(row.get("fixed_version")) if row["status"] == "resolved" else ""
        if fixed != "0":  # "0": the release never had it
            span = VersionRange(introduced="0", fixed=fixed)
            yield AffectedPackage(
                ecosystem=f"Debian:{names[name]}",
                name=package,
                ranges=(span,),
                severity=level(_text(row.get("urgency"))),
            )


# ------------------------------------------------------------------ what others wrote


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _rows(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
