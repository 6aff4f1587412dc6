"""Patterns with `*`, `**` and `?`, as CODEOWNERS and `.dockerignore` have them, matched in linear time.

A backtracking regular expression takes minutes for `a*a*a*a*a*b`.  Here a pattern is a row of places, and the state of
a match is the set of places that the text so far may have led to, kept as the bits of one number.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST = 1024  # characters of one pattern
_KEPT = 20_000  # steps that a pattern remembers


@dataclass(frozen=True, kw_only=True)
class GlobState:
    """One place of a row: the characters that lead to the next one, those that lead nowhere, and how many places may
    be passed over without any.
    """

    leads: Callable[[str], bool]
    stays: Callable[[str], bool]
    passes: tuple[int, ...] = ()


def _never(_char: str) -> bool:
    return False


def _always(_char: str) -> bool:
    return True


def _is_slash(char: str) -> bool:
    return char == "/"


def _is_no_slash(char: str) -> bool:
    return char != "/"


Part = tuple[GlobState, ...]
WITHIN: Part = (GlobState(leads=_never, stays=_is_no_slash, passes=(1,)),)  # [^/]*
ANYTHING: Part = (GlobState(leads=_never, stays=_always, passes=(1,)),)  # .*
FOLDERS: Part = (  # (.*/)?
    GlobState(leads=_never, stays=_never, passes=(1, 2)),
    GlobState(leads=_is_slash, stays=_always),
)


def one_of(accepts: Callable[[str], bool]) -> Part:
    """One character."""
    return (GlobState(leads=accepts, stays=_never),)


ANY_BUT_SLASH = one_of(_is_no_slash)


def literal(text: str) -> Part:
    """These very characters."""
    return tuple(GlobState(leads=char.__eq__, stays=_never) for char in text)


class Glob:
    """A pattern, made of parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._places = [place for part in parts for place in part]
        end = len(self._places)
        self._reached = [0] * end + [1 << end]  # by place: it, and what may be passed over to from it
        for at in range(end - 1, -1, -1):
            self._reached[at] = 1 << at
            for further in self._places[at].passes:
                self._reached[at] |= self._reached[at + further]
        self.start = self._reached[0]
        self._end = 1 << end
        self._steps: dict[tuple[int, str], int] = {}

    def after(self, state: int, text: str) -> int:
        """The state after more text; 0 when nothing can match any more."""
        for char in text:
            if not state:
                break
            following = self._steps.get((state, char))
            state = self._step(state, char) if following is None else following
        return state

    def accepts(self, state: int) -> bool:
        """Whether the text that led to this state matches as a whole."""
        return bool(state & self._end)

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        return self.accepts(self.after(self.start, text))

    def _step(self, state: int, char: str) -> int:
        found, left = 0, state & ~self._end
        while left:
            at = (left & -left).bit_length() - 1
            left &= left - 1
            place = self._places[at]
            if place.stays(char):
                found |= self._reached[at]
            if place.leads(char):
                found |= self._reached[at + 1]
        if len(self._steps) >= _KEPT:
            self._steps.clear()
        self._steps[state, char] = found
        return found


_PART = re.compile(r"(?:(?<=/)|^)\*\*(?:/|$)|\*+|\?|[^*?]", re.DOTALL)


@cache
def _owned(pattern: str) -> Glob:
    """A pattern of CODEOWNERS, up to the file or folder that it names."""
    anchored = "/" in pattern.rstrip("/")
    parts: list[Part] = [] if anchored else [FOLDERS]
    for part in _PART.findall(pattern.strip("/")):
        if part == "**/":
            parts.append(FOLDERS)
        elif part == "?":
            parts.append(ANY_BUT_SLASH)
        else:
            parts.append(WITHIN if part[0] == "*" else literal(part))
    return Glob(parts)


def owns(pattern: str, path: str) -> bool:
    """Whether a pattern of CODEOWNERS matches a file: gitignore's rules, except that `docs/*` does not reach below."""
    glob, shallow, folder = _owned(pattern), pattern.endswith("/*"), pattern.endswith("/")
    *above, name = path.split("/")
    state = glob.start
    for part in above:
        state = glob.after(state, part)
        if glob.accepts(state) and not shallow:
            return True
        state = glob.after(state, "/")
    return glob.accepts(glob.after(state, name)) and not folder
