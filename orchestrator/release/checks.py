"""Checks: each is one function, and its docstring is its page in the docs.

A check that cannot run here says so (skipped, with the reason); it never passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit, ReleaseError
from orchestrator.core.results import CheckResult, CheckState, Problem

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A check's result, with the exit code that a failure stands for."""

    result: CheckResult
    code: str = ""
    where: str = ""
    exit_code: Exit = Exit.USAGE

    @property
    def problem(self) -> Problem:
        return Problem(
            code=self.code or self.result.name,
            message=self.result.message,
            where=self.where,
            remedy=self.result.remedy,
            exit_code=self.exit_code,
        )


class SkipCheck(Exception):  # noqa: N818  # not an error: the word for "could not be run here"
    """Raised by a check that cannot run here; the text is the reason."""


def run_check(name: str, check: Callable[[], str]) -> Finding:
    """Run one check: what it returns is what it saw; what it raises is why it failed."""
    try:
        return Finding(result=CheckResult(name=name, state=CheckState.PASSED, message=check()))
    except SkipCheck as reason:
        return Finding(result=CheckResult(name=name, state=CheckState.SKIPPED, message=str(reason)))
    except ReleaseError as error:
        result = CheckResult(name=name, state=CheckState.FAILED, message=error.message, remedy=error.remedy)
        return Finding(result=result, code=error.code, where=error.where, exit_code=error.status)
