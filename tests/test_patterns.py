"""No regular expression of ours goes back more than in proportion to its text: what others wrote is matched by them.

Every pattern of the package is matched against texts made to hurt it, by a matcher that counts its steps: a text twice
as long may cost a little more than twice the steps.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator
from tests.support.backtracking import Matcher, TooManyStepsError, alphabet, loops, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.hostile

ROOT = Path(orchestrator.__file__).parent
SHORT, LONG = 12, 24
_SEARCHING = {"search", "findall", "finditer", "sub", "subn", "split"}
_ANCHORED = {"match", "fullmatch"}
_INLINE = _ANCHORED | _SEARCHING


def uses(tree: ast.Module) -> dict[str, set[str]]:
    """Name -> the methods that a module calls on it."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, set()).add(node.attr)
    return found


def patterns(place: Path) -> Iterator[tuple[str, re.Pattern[Any], bool, bool]]:
    """Those below a place with a name, and those that are written where they are used: where, which, how."""
    for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        tree = ast.parse(path.read_text())
        module = path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        if module.endswith("__main__"):
            continue
        called = uses(tree)
        for name, value in vars(importlib.import_module(module)).items():
            if not isinstance(value, re.Pattern):
                continue
            methods = called.get(name, set())
            ways = {(False, "match" not in methods)} if methods & _ANCHORED else set()
            ways |= {(True, False)} if methods & _SEARCHING else set()
            for search, whole in sorted(ways or {(True, False)}):  # who imports a pattern may do anything with it
                yield f"{module}.{name}", value, search, whole
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.args[:1], list)
                and isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.func.attr in _INLINE
                and node.args and isinstance(node.args[0], ast.Constant)
            ):  # fmt: skip
                search, whole = node.func.attr in _SEARCHING, node.func.attr == "fullmatch"
                yield f"{module}:{node.lineno}", re.compile(node.args[0].value), search, whole


def hostile(matcher: Matcher) -> Iterator[tuple[str, str, str]]:
    """What comes before, what is repeated, what comes after."""
    letters = alphabet(matcher.tree, matcher.flags)
    places = [("", None), *loops(matcher.tree, matcher.flags)]
    pumps = [*letters[:8], *(one + other for one in letters[:3] for other in letters[:3] if one != other)]
    for before, inner in places:
        own = sample(matcher.tree if inner is None else inner, matcher.flags)
        for pump in dict.fromkeys([own or "a", *pumps]):
            yield before, pump, "\x01"
        yield before, own or "a", "\n\x01"


@cache
def growth(pattern: re.Pattern[Any], *, search: bool, whole: bool) -> tuple[str, int, int] | None:
    """A text and its steps at one length and at twice that, where they grow faster than the text."""
    matcher = Matcher(pattern)
    sys.setrecursionlimit(50_000)  # the matcher calls itself for each character
    for before, pump, after in hostile(matcher):
        try:
            short = matcher.count(before + pump * SHORT + after, search=search, whole=whole, limit=20_000)
        except TooManyStepsError:
            return f"{before[:40]!r} + {pump!r} * n + {after!r}", 20_000, 0
        try:
            twice = matcher.count(before + pump * LONG + after, search=search, whole=whole, limit=3 * short + 200)
        except TooManyStepsError:
            twice = 3 * short + 200
        if twice > 2.6 * short + 100:
            return f"{before[:40]!r} + {pump!r} * n + {after!r}", short, twice
    return None


@pytest.mark.wide(8)
@pytest.mark.parametrize(
    "name", sorted(path.name for path in ROOT.iterdir() if path.suffix in ("", ".py") and path.name[:2] != "__")
)
def test_steps_grow_with_the_text(name: str) -> None:
    """Of a room, or a module outside of them."""
    found = {
        where: grown
        for where, pattern, search, whole in patterns(ROOT / name)
        if (grown := growth(pattern, search=search, whole=whole))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "search"),
    [(r"(a+)+b", False), (r"^.*?<[^>]*>$", False), (r"a*a*b", False), (r"\s*x", True), (r"(?:a|a)*b", False),
     (r"^(?P<n>.*?) ?<(?P<m>[^>]*)> (\d+)$", False), (r"<[^>]*>", True), (r"x(?:\s|\w)*\d+y", False)],
)  # fmt: skip
def test_the_counting_finds_what_goes_back(text: str, search: bool) -> None:
    assert growth(re.compile(text), search=search, whole=False) is not None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(r"a(b|c)*d", "abcbcd"), (r"^x(?=y)y\Z", "xy"), (r"(['\"]).*?\1", "'a'"), (r"(?<!a)b", "ab"), (r"(?i)AbC", "aBc"),
     (r"[^\W_]+", "é1"), (r"\bfoo\b", "a foo"), (r"a{2,3}b", "aab"), (r"^b$", "a")],
)  # fmt: skip
def test_the_matcher_agrees_with_re(pattern: str, text: str) -> None:
    compiled = re.compile(pattern)
    found: list[int] = []
    matcher = Matcher(compiled)
    matcher.count(text, search=False, whole=False, limit=10**4)

    def end(at: int, _groups: object) -> bool:
        found.append(at)
        return True

    run = matcher._run(list(matcher.tree), 0, {}, end)
    match = compiled.match(text)
    assert run == (match is not None)
    if match:
        assert found[-1] == match.end()
