"""The tiers of tests, as tools/test.py runs them; a test belongs to the first whose mark it has.

`commands` is no mark that a file carries: those tests have it that have at hand what runs the program or makes a
repository.  The rest of those without another mark is `fast`.
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TIERS = ("docker", "hostile", "history", "commands", "fast")
_STARTERS = ("tests.support.cli", "tests.support.story")


def tier(item: pytest.Item) -> str:
    marks = {"history" if mark.name == "replay" else mark.name for mark in item.iter_markers()}
    return next((name for name in TIERS if name in marks), "fast")


def runs_commands(item: pytest.Item) -> bool:
    """Whether a test has the program or git at hand: by what its module imports, or by a fixture."""
    module: ModuleType = getattr(item, "module", sys)
    return "told_once" in getattr(item, "fixturenames", ()) or _starts(module)


@cache
def _starts(module: ModuleType) -> bool:
    found = {_origin(value) for value in vars(module).values()} - {module.__name__}
    ours = [name for name in found if name.startswith("tests.support.")]
    return any(name in _STARTERS or _starts(sys.modules[name]) for name in ours)


def _origin(value: object) -> str:
    """The module that something comes from; none for plain values."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""
