"""A regular expression matched by hand, as `re` does it by going back, and every step counted: no clock is needed."""

from __future__ import annotations

import importlib
import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sre: Any = importlib.import_module("re._constants")  # what re itself parses with, since Python 3.11
parser: Any = importlib.import_module("re._parser")

_SPACE = " \t\n\r\f\v"
_UNBOUNDED = 1000
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


class TooManyStepsError(Exception):
    """More steps than the limit."""


class Matcher:
    """One pattern; `steps` are those of the last call."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        text = pattern.pattern
        self.flags = pattern.flags
        is_bytes = isinstance(text, bytes)
        flags = pattern.flags & ~re.UNICODE if is_bytes else pattern.flags
        self.tree = parser.parse(text.decode("latin-1") if is_bytes else text, flags)
        self.steps = 0

    def count(self, text: str, *, search: bool, whole: bool, limit: int) -> int:
        """The steps of a match at the beginning, or of a search; `whole` as `fullmatch`."""
        self.steps, self._limit, self._text = 0, limit, text
        starts = range(len(text) + 1) if search else range(1)
        for start in starts:
            if self._run(list(self.tree), start, {}, lambda at, _: not whole or at == len(text)):
                break
        return self.steps

    def _run(self, nodes: list[Any], at: int, groups: dict[int, tuple[int, int]], then: Callable[..., bool]) -> bool:
        self.steps += 1
        if self.steps > self._limit:
            raise TooManyStepsError
        if not nodes:
            return then(at, groups)
        (op, value), rest = nodes[0], nodes[1:]
        name = op.name

        def go_on(place: int, found: dict[int, tuple[int, int]]) -> bool:
            return self._run(rest, place, found, then)

        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return at < len(self._text) and one(op, value, self._text[at], self.flags) and go_on(at + 1, groups)
        if name == "AT":
            return self._at(value.name, at) and go_on(at, groups)
        if name in _REPEATS:
            return self._repeat(value, name, at, groups, go_on)
        return self._composed(name, value, at, groups, go_on)

    def _composed(self, name: str, value: Any, at: int, groups: dict[int, tuple[int, int]], go_on: Any) -> bool:
        if name == "BRANCH":
            return any(self._run(list(each), at, groups, go_on) for each in value[1])
        if name == "SUBPATTERN":
            number, *_, inner = value

            def close(place: int, found: dict[int, tuple[int, int]]) -> bool:
                return bool(go_on(place, found if number is None else {**found, number: (at, place)}))

            return self._run(list(inner), at, groups, close)
        if name in ("ASSERT", "ASSERT_NOT"):
            return self._looks(value, at, groups) == (name == "ASSERT") and bool(go_on(at, groups))
        if name == "GROUPREF":
            start, end = groups.get(value, (0, 0))
            same = self._text[start:end]
            self.steps += len(same)
            return self._text.startswith(same, at) and bool(go_on(at + len(same), groups))
        if name == "ATOMIC_GROUP":
            return self._atomic(list(value), at, groups, go_on)
        raise NotImplementedError(name)

    def _looks(self, value: Any, at: int, groups: dict[int, tuple[int, int]]) -> bool:
        direction, inner = value
        place = at - inner.getwidth()[0] if direction < 0 else at
        return place >= 0 and self._run(list(inner), place, groups, lambda *_: True)

    def _atomic(
        self, nodes: list[Any], at: int, groups: dict[int, tuple[int, int]], go_on: Callable[..., bool]
    ) -> bool:
        ends: list[tuple[int, dict[int, tuple[int, int]]]] = []

        def keep(place: int, found: dict[int, tuple[int, int]]) -> bool:
            ends.append((place, found))
            return True

        return self._run(nodes, at, groups, keep) and go_on(*ends[0])

    def _repeat(self, value: Any, name: str, at: int, groups: dict[int, tuple[int, int]], go_on: Any) -> bool:
        least, most, inner = value
        nodes = list(inner)
        if name == "POSSESSIVE_REPEAT":
            return self._atomic([(sre.MAX_REPEAT, value)], at, groups, go_on)

        def more(place: int, found: dict[int, tuple[int, int]], number: int) -> bool:
            def again(end: int, known: dict[int, tuple[int, int]]) -> bool:
                return end > place and more(end, known, number + 1)

            self.steps += 1
            if number < least:
                return self._run(nodes, place, found, lambda end, known: more(end, known, number + 1))
            can = most == sre.MAXREPEAT or number < most
            if name == "MIN_REPEAT":
                return go_on(place, found) or (can and self._run(nodes, place, found, again))
            return (can and self._run(nodes, place, found, again)) or go_on(place, found)

        return more(at, groups, 0)

    def _at(self, where: str, at: int) -> bool:
        text, size = self._text, len(self._text)
        lines = bool(self.flags & re.MULTILINE)
        if where in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
            return at == 0 or (lines and where == "AT_BEGINNING" and text[at - 1] == "\n")
        if where == "AT_END":
            return at == size or (at == size - 1 and text[at] == "\n") or (lines and text[at] == "\n")
        if where == "AT_END_STRING":
            return at == size
        sides = [0 <= place < size and _is("WORD", text[place]) for place in (at - 1, at)]
        return (sides[0] != sides[1]) == (where == "AT_BOUNDARY")


def one(op: Any, value: Any, char: str, flags: int) -> bool:
    """Whether a node of one character takes this one."""
    name = op.name
    if name == "ANY":
        return char != "\n" or bool(flags & re.DOTALL)
    if name in ("LITERAL", "NOT_LITERAL"):
        same = chr(value) == char or (bool(flags & re.IGNORECASE) and chr(value).lower() == char.lower())
        return bool(same == (name == "LITERAL"))
    negated = bool(value) and value[0][0].name == "NEGATE"
    found = any(_in(each, char, flags) for each in value)
    return found != negated


def _in(each: Any, char: str, flags: int) -> bool:
    op, value = each[0].name, each[1]
    chars = {char, char.lower(), char.upper()} if flags & re.IGNORECASE else {char}
    if op == "LITERAL":
        return chr(value) in chars
    if op == "RANGE":
        return any(value[0] <= ord(other) <= value[1] for other in chars if len(other) == 1)
    if op == "CATEGORY":
        kind = value.name.removeprefix("CATEGORY_").removeprefix("UNI_")
        return bool(_is(kind.removeprefix("NOT_"), char) != kind.startswith("NOT_"))
    return False


def _is(kind: str, char: str) -> bool:
    if kind == "DIGIT":
        return unicodedata.category(char) == "Nd"
    return char in _SPACE if kind == "SPACE" else char.isalnum() or char == "_"


_CANDIDATES = "ab0 \t\n.-_/:<>()[]{}\"'`\\@,=#*+$?!;&|~^AZx\x1b%9fd\x00e"


def accepted(op: Any, value: Any, flags: int) -> list[str]:
    """Some characters that a node of one character takes."""
    if op.name == "LITERAL":
        return [chr(value)]
    found = [char for char in _CANDIDATES if one(op, value, char, flags)]
    if not found:
        found = [chr(each[1] if each[0].name == "LITERAL" else each[1][0]) for each in value
                 if each[0].name in ("LITERAL", "RANGE")]  # fmt: skip
    return found


def sample(nodes: Any, flags: int) -> str:
    """A short text that the pattern takes, as far as it looks neither ahead nor behind."""
    parts = []
    for op, value in nodes:
        name = op.name
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            parts.append(accepted(op, value, flags)[0])
        elif name == "BRANCH":
            parts.append(sample(value[1][0], flags))
        elif name == "SUBPATTERN":
            parts.append(sample(value[-1], flags))
        elif name == "ATOMIC_GROUP":
            parts.append(sample(value, flags))
        elif name in _REPEATS:
            parts.append(sample(value[2], flags) * max(value[0], 1 if value[0] or value[1] == 1 else 0))
    return "".join(parts)


def loops(nodes: Any, flags: int, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each repetition without a bound that matters, with a text that leads to it."""
    for op, value in nodes:
        name = op.name
        if name == "BRANCH":
            for each in value[1]:
                yield from loops(each, flags, before)
        elif name == "SUBPATTERN":
            yield from loops(value[-1], flags, before)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from loops(value[1], flags, before)
            before += sample(value[1], flags) if value[0] < 0 and name == "ASSERT" else ""
        elif name == "ATOMIC_GROUP":
            yield from loops(value, flags, before)
        elif name in _REPEATS:
            if value[1] >= _UNBOUNDED:
                yield before, value[2]
            yield from loops(value[2], flags, before)
        before += sample([(op, value)], flags)


def alphabet(nodes: Any, flags: int) -> list[str]:
    """A character of each kind that the pattern tells apart, and one that it knows nothing of."""
    found: list[str] = []

    def walk(each: Any) -> None:
        for op, value in each:
            name = op.name
            if name in ("LITERAL", "IN"):
                found.extend(accepted(op, value, flags)[:1])
            elif name == "BRANCH":
                for branch in value[1]:
                    walk(branch)
            elif name in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
                walk(value[-1])
            elif name == "ATOMIC_GROUP":
                walk(value)
            elif name in _REPEATS:
                walk(value[2])

    walk(nodes)
    return list(dict.fromkeys(found))
