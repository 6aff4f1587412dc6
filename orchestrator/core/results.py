"""Frozen values that every floor speaks of.  No behaviour beyond small derived properties."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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


# ------------------------------------------------------------------ picks and plans


# ------------------------------------------------------------------ talk


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A line of progress.  `item` names the moving part; `current`, `total` are bytes (layers) or steps."""

    text: str
    item: str = ""
    current: int | None = None
    total: int | None = None
    is_log: bool = False  # a raw line of somebody else's log


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
