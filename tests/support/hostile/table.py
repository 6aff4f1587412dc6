"""Hostile pushes by name: each is a function that makes its refspecs, and the code by which it must be refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.guarded import BRANCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.guarded import Guarded

Specs = list[str]
CASES: dict[str, tuple[Callable[[Guarded], Specs], str]] = {}


def case(code: str) -> Callable[[Callable[[Guarded], Specs]], Callable[[Guarded], Specs]]:
    """Register a hostile push: its refspecs, and the code by which it is refused."""

    def register(function: Callable[[Guarded], Specs]) -> Callable[[Guarded], Specs]:
        CASES[function.__name__] = (function, code)
        return function

    return register


def branch(commit: str) -> Specs:
    return [f"{commit}:{BRANCH}"]
