"""Every expected failure: a class, an exit code, a remedy.

Only the command line prints and exits; everything below raises one of these.  Exit codes are a contract
(README, "Exit codes"; checked by a test).
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from orchestrator.core.results import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exit(IntEnum):
    """Process exit codes, each with one meaning."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFLICT = 3
    REFUSED = 4
    DECISION = 5
    UNPROVED = 6
    REMOTE = 7
    LOCKED = 8
    MISMATCH = 9
    WAITING = 10
    INTERRUPTED = 130


EXIT_MEANINGS: dict[Exit, str] = {
    Exit.DONE: "done, or already done",
    Exit.UNEXPECTED: "unexpected: disk, permissions, a closed pipe or git failed; or a bug, and a log file is named",
    Exit.USAGE: "usage or configuration is wrong",
    Exit.CONFLICT: "paused on a conflict (`plan`: a pick would conflict)",
    Exit.REFUSED: "refused by policy: version rule, existing tag, no confirmation",
    Exit.DECISION: "a duplicate, an empty or reverted pick, or a missing prerequisite needs a decision",
    Exit.UNPROVED: "verify, build, smoke or a hook failed; `verify`: not all was checked; `scan`: a finding is open",
    Exit.REMOTE: "git remote, Docker Engine or registry failed after retries",
    Exit.LOCKED: "another release holds the lock",
    Exit.MISMATCH: "what is public does not match what was declared or recorded; `duplicates`: there are some",
    Exit.WAITING: "proposed; its pull request is not merged yet: run the same command again then",
    Exit.INTERRUPTED: "interrupted by ctrl-C or SIGTERM; run the same command again",
}


class ReleaseError(Exception):
    """An expected failure.

    `message` is one line on what happened; `where` a place (`release.yaml:12:5`, a path, a reference);
    `remedy` what to type or change; `code` a stable kebab-case word for machines; `state` a line on what
    was kept or left undone.  Never put a secret in any of them: they reach terminals, logs and journals.
    """

    exit_code: ClassVar[Exit] = Exit.UNEXPECTED
    default_code: ClassVar[str] = "unexpected"

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        remedy: str = "",
        code: str = "",
        state: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy
        self.code = code or self.default_code
        self.state = state
        self.detail = detail  # several lines, such as the tail of a build log

    @property
    def status(self) -> Exit:
        """The exit code of this very error."""
        return self.exit_code


class UsageError(ReleaseError):
    """A flag, an argument or the environment is wrong."""

    exit_code = Exit.USAGE
    default_code = "usage"


class ConfigError(UsageError):
    """release.yaml is wrong; `problems` holds every fault found, each with its place."""

    default_code = "config"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.message, where=first.where, remedy=first.remedy, code=first.code)
        self.problems = tuple(problems)


# When a plan has several problems, the exit code is that of the first kind here: what a person must settle first.
_PRECEDENCE = (
    Exit.USAGE, Exit.MISMATCH, Exit.REFUSED, Exit.REMOTE, Exit.UNPROVED, Exit.DECISION, Exit.CONFLICT,
)  # fmt: skip


class ProblemsError(ReleaseError):
    """A plan that cannot be carried out; `problems` holds every reason."""

    default_code = "problems"

    def __init__(self, problems: Sequence[Problem]) -> None:
        number = len(problems)
        super().__init__(
            f"{number} problem{'s' if number > 1 else ''} found; nothing was changed", state="nothing was changed"
        )
        self.problems = tuple(problems)

    @property
    def status(self) -> Exit:
        return worst(self.problems)


def worst(problems: Sequence[Problem]) -> Exit:
    """The exit code that stands for these problems; DONE when there is none."""
    codes = {problem.exit_code for problem in problems}
    return next((code for code in _PRECEDENCE if code in codes), Exit.UNEXPECTED if codes else Exit.DONE)


class PausedError(ReleaseError):
    """A pick conflicts and waits in its worktree."""

    exit_code = Exit.CONFLICT
    default_code = "conflict"


class RefusedError(ReleaseError):
    """A rule says no."""

    exit_code = Exit.REFUSED
    default_code = "refused"


class DecisionError(ReleaseError):
    """A duplicate, an empty pick or a missing prerequisite: only a person can decide."""

    exit_code = Exit.DECISION
    default_code = "decision"


class UnprovedError(ReleaseError):
    """verify, build, smoke or a hook before a step failed."""

    exit_code = Exit.UNPROVED
    default_code = "unproved"


class RemoteError(ReleaseError):
    """A git remote, an engine or a registry did not do what it was asked."""

    exit_code = Exit.REMOTE
    default_code = "remote"


class LockedError(ReleaseError):
    """Another release of this repository is running."""

    exit_code = Exit.LOCKED
    default_code = "locked"


class MismatchError(ReleaseError):
    """Two facts that must be equal are not."""

    exit_code = Exit.MISMATCH
    default_code = "mismatch"


class WaitingError(ReleaseError):
    """A release is proposed, and nobody has merged its request yet."""

    exit_code = Exit.WAITING
    default_code = "waiting"


class InterruptedRunError(ReleaseError):
    """ctrl-C or SIGTERM."""

    exit_code = Exit.INTERRUPTED
    default_code = "interrupted"


def as_problem(error: ReleaseError) -> Problem:
    """An error as one problem among others."""
    return Problem(
        code=error.code, message=error.message, where=error.where, remedy=error.remedy, exit_code=error.exit_code
    )
