"""Hooks in a repository: put there, taken away, and run.  A hook of somebody else is never written over."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import conventional
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ProblemsError, RefusedError, UsageError
from orchestrator.git.process import TimeUpError
from orchestrator.guard.push import PushGuard
from orchestrator.guard.received_push import Pushing, Receiving, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from orchestrator.core.results import Problem

PATIENCE = 300.0  # seconds for judging one push
_MOST_REFS = 50_000  # in one push
_LINE = re.compile(r"([0-9a-f]{40}) ([0-9a-f]{40}) (refs/\S.*)")
_FREE = re.compile(r"(Merge |Revert |Reapply |fixup! |squash! |amend! |chore\(release\): )")
_THEIRS = ("no-protected-branch", "no-config")
_ENDING = "# ------------------------ >8"  # `git commit --verbose` puts the diff below


@dataclass(frozen=True, kw_only=True)
class Clock:
    """`now` in seconds since the epoch, `monotonic` for limits."""

    now: int
    monotonic: Callable[[], float]


# ------------------------------------------------------------------ installation


# ------------------------------------------------------------------ running on the server


def receive(receiving: Receiving, updates: Sequence[Update], clock: Clock, *, each: bool = False) -> list[str]:
    """Judge a push; returns what of it was not checked, and why.

    Raises ProblemsError with every refusal; any other error refuses too.
    """
    problems, unchecked = _judge(receiving, updates, clock, each=each)
    if problems:
        raise ProblemsError(problems)
    return unchecked


def _judge(
    receiving: Receiving, updates: Sequence[Update], clock: Clock, *, each: bool = False
) -> tuple[list[Problem], list[str]]:
    with receiving.scratch() as scratch:
        end = clock.monotonic() + PATIENCE
        scratch.git.remaining = lambda: end - clock.monotonic()
        try:
            guard = PushGuard(receiving=receiving, scratch=scratch, now=clock.now, each=each)
            return guard.problems(updates), guard.unchecked
        except TimeUpError as error:
            raise RefusedError(
                f"judging this push took more than {PATIENCE:.0f} seconds",
                where=str(receiving.gitdir),
                remedy="push in parts: the source branch first, then fewer picks at a time",
                code="push-too-large",
            ) from error


def read_updates(text: str) -> list[Update]:
    """`old new ref` a line, as git feeds pre-receive.  Raises UsageError."""
    lines = text.split("\n")
    rows = [_LINE.fullmatch(line) for line in lines if line]
    if not rows or len(rows) > _MOST_REFS or None in rows:
        raise UsageError(
            f"not what git tells this hook: {len(rows)} lines",
            remedy=f"let git start the hook; at most {_MOST_REFS} refs in one push",
            code="hook-input",
        )
    return [Update(old=row[1], new=row[2], ref=row[3]) for row in rows if row]


def push_updates(text: str) -> list[Update]:
    """`local-ref local-id remote-ref remote-id` a line, as git feeds pre-push."""
    rows = [line.rsplit(" ", 3) for line in text.split("\n") if line.strip()]
    if any(len(row) != 4 for row in rows):
        raise UsageError("not what git tells a pre-push hook", remedy="let git start it", code="hook-input")
    return [Update(ref=ref, old=old, new=new) for _, new, ref, old in rows]


# ------------------------------------------------------------------ running at a person's


def push(start: Path, remote: str, updates: Sequence[Update], clock: Clock) -> None:
    """Refuse what a guarded remote would refuse, by what was last fetched from it.

    Where nothing is known of the remote, or it has no release.yaml, it is the remote's business.
    """
    receiving = Pushing.of(start, remote, updates)
    found = _judge(receiving, updates, clock)[0] if receiving else []
    if problems := [each for each in found if each.code not in _THEIRS]:
        raise ProblemsError(problems)


def check_message(text: str, where: str) -> None:
    """Raises RefusedError unless the subject is a Conventional Commit, or one that git writes by itself."""
    lines = [line for line in text.partition(_ENDING)[0].split("\n") if not line.startswith("#")]
    subject = next((line for line in lines if line.strip()), "")
    if subject and not _FREE.match(subject) and not conventional(subject).type:
        raise RefusedError(
            f"the subject {subject[:72]!r} is no Conventional Commit",
            where=where,
            remedy="write it as `fix(scope): what was wrong`; your text is kept: git commit -eF " + where,
            code="not-conventional",
        )
