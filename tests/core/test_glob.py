"""Patterns whose time grows with the text alone, and which mean what the backtracking expression meant."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.glob import ANY_BUT_SLASH, ANYTHING, FOLDERS, WITHIN, Glob, Part, literal
from tests.support.sample import examples
from tests.support.waiting import within

PARTS: dict[str, Part] = {
    "[^/]*": WITHIN, ".*": ANYTHING, "(?:.*/)?": FOLDERS, "[^/]": ANY_BUT_SLASH, "a": literal("a"), "/": literal("/"),
}  # fmt: skip


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(st.sampled_from(sorted(PARTS)), max_size=7), st.lists(st.text(alphabet="ab/", max_size=8), max_size=8))
def test_it_matches_as_the_expression_does(parts: list[str], texts: list[str]) -> None:
    glob, expression = Glob([PARTS[part] for part in parts]), re.compile("".join(parts), re.DOTALL)
    assert [glob.matches(text) for text in texts] == [expression.fullmatch(text) is not None for text in texts]


def test_no_pattern_takes_long() -> None:
    for part in (WITHIN, FOLDERS, ANYTHING):
        with within():
            assert not Glob([*[literal("a"), part] * 300, literal("b")]).matches("a" * 2000)
            assert not Glob([*[part, literal("a")] * 300, literal("b")]).matches("a/" * 1000)
