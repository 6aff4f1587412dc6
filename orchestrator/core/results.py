"""Frozen values that every floor speaks of.  No behaviour beyond small derived properties."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

# ------------------------------------------------------------------ release.yaml, as values


@dataclass(frozen=True, kw_only=True)
class Place:
    """A position in a file, 1-based; printed as `file:line:column`, the form editors jump to."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


# ------------------------------------------------------------------ problems


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that stops a release: stable kebab-case `code`, one line, a place, what to do."""

    code: str
    message: str
    where: str = ""
    remedy: str = ""
    exit_code: int = 2  # a value of errors.Exit

    @property
    def file(self) -> str:
        """The file that it is in, "" for none."""
        return re.sub(r":[0-9]+(:[0-9]+)?$", "", self.where)


MAX_SHOWN = 50  # faults of a file; the rest is counted


def at_most(problems: Iterable[Problem], code: str = "more-faults") -> list[Problem]:
    """The first faults of each file, and how many more it has: whoever has thousands reads no thousands."""
    found = list(problems)
    number = Counter(each.file for each in found)
    seen: Counter[str] = Counter()
    shown = []
    for each in found:
        seen[each.file] += 1
        if seen[each.file] <= MAX_SHOWN:
            shown.append(each)
        elif seen[each.file] == number[each.file]:
            more = f"and {number[each.file] - MAX_SHOWN} more faults"
            shown.append(Problem(code=code, message=more, where=each.file, exit_code=each.exit_code))
    return shown


# ------------------------------------------------------------------ picks and plans


# ------------------------------------------------------------------ talk


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A line of progress.  `item` names the moving part; `current`, `total` are steps, or bytes of a layer."""

    text: str
    item: str = ""
    current: int | None = None
    total: int | None = None
    is_log: bool = False  # a raw line of somebody else's log
    in_bytes: bool = False  # `item` is a layer on its way; its size may not be known yet


class CheckState(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # could not be run here; `message` says why


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The outcome of one check; a check that could not run is skipped with a reason, never passed."""

    name: str
    state: CheckState
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0
