"""The marked places of a pipeline file that belong to its people: kept when the file is made again.

A place is two comments with the same words, and what stands between them is nobody else's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENS: Final = re.compile(r"[ \t]*(?:#|//) >>> your own (?P<name>[a-z -]+)")
_CLOSES: Final = re.compile(r"[ \t]*(?:#|//) <<< your own (?P<name>[a-z -]+)")


class BadRegionError(ValueError):
    """A place that is opened and not closed, or there twice."""


def region(name: str, indent: int, comment: str = "#") -> str:
    """An empty place."""
    before = " " * indent + comment
    return f"{before} >>> your own {name}\n{before} <<< your own {name}\n"


def of_people(text: str) -> dict[str, str]:
    """Name of a place -> what stands in it, where there is anything.  Raises BadRegionError."""
    _, found = _apart(text)
    return {name: own for name, own in found.items() if own.strip()}


def emptied(text: str) -> str:
    """The text without what people put into its places.  Raises BadRegionError."""
    ours, _ = _apart(text)
    return ours


def _apart(text: str) -> tuple[str, dict[str, str]]:
    ours: list[str] = []
    own: dict[str, str] = {}
    inside = ""
    for line in text.splitlines(keepends=True):
        opens, closes = _OPENS.fullmatch(line.rstrip("\r\n")), _CLOSES.fullmatch(line.rstrip("\r\n"))
        if inside and not (closes and closes["name"] == inside):
            if opens or closes:
                raise BadRegionError(inside)
            own[inside] += line
            continue
        if opens and opens["name"] in own:
            raise BadRegionError(opens["name"])
        if closes and not inside:
            raise BadRegionError(closes["name"])
        ours.append(line)
        inside = opens["name"] if opens else ""
        if inside:
            own[inside] = ""
    if inside:
        raise BadRegionError(inside)
    return "".join(ours), own


def with_own(text: str, own: Mapping[str, str]) -> str:
    """The text with what people have in its places; what has no place in it any more is left out."""
    lines = []
    for line in text.splitlines(keepends=True):
        lines.append(line)
        opens = _OPENS.fullmatch(line.rstrip("\n"))
        if opens:
            lines.append(own.get(opens["name"], ""))
    return "".join(lines)


def without_place(text: str, own: Mapping[str, str]) -> list[str]:
    """The places of `own` that a text has not."""
    _, there = _apart(text)
    return [name for name in own if name not in there]
