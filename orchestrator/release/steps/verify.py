"""The user's `verify:` commands, on the tree of each pick."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

from orchestrator.core.credentials import PASSWORD
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit, UnprovedError, UsageError
from orchestrator.core.pick import PickState
from orchestrator.core.record import RecordedVerify
from orchestrator.core.results import Problem, Progress
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext, never

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.core.declaration import VerifyCommand
    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.git.scratch import Scratch


@dataclass(frozen=True, kw_only=True)
class Verified(Outcome):
    commands: int
    trees: int

    def part(self) -> dict[str, Any]:
        return {"verify": RecordedVerify(commands=self.commands, trees=self.trees)}


def tasks(plan: Plan) -> tuple[Task, ...]:
    if not plan.verify:
        return ()
    return (Task(key="verify", title="run the verify commands on each pick", run=_run, probe=never),)


def _run(context: TaskContext) -> Verified:
    """Raises UnprovedError naming the first pick that a command fails on."""
    proof = verify(context.plan, context.session.scratch, logs=context.state.logs, report=context.report)
    if problem := proof.problem:
        kind = UnprovedError if problem.exit_code == Exit.UNPROVED else UsageError
        raise kind(
            problem.message,
            where=problem.where,
            remedy=problem.remedy,
            detail=proof.tail,
            code=problem.code,
            state="nothing was pushed",
        )
    return Verified(commands=proof.commands, trees=proof.trees)


_KIND = "verify"  # of rows in the cache


_TAIL = 30  # lines of its output shown on failure
_TAIL_BYTES = 1 << 16  # at most, read of its end
_LONGEST = 500  # characters of one of these lines


_NAMED = 5  # picks named in a message


_OF_A_SHELL = {126: " (a program cannot be executed)", 127: " (a program is not found)"}


@dataclass(frozen=True, kw_only=True)
class VerifyResult:
    """What the commands said: on how many trees, how many times one had to be run, and the first that failed."""

    commands: int
    trees: int
    ran: int
    problem: Problem | None = None
    tail: str = ""  # the last lines that the failing command wrote


def verify(plan: Plan, scratch: Scratch, *, logs: Path, report: Callable[[Progress], None]) -> VerifyResult:
    """Run what is not known to pass, pick by pick, and stop at the first failure.

    Of a plan with a conflict, the picks before it: what follows will be applied to another tree.
    """
    conflict = next((at for at, pick in enumerate(plan.picks) if pick.state is PickState.CONFLICT), len(plan.picks))
    return _Bench(plan, [pick for pick in plan.picks[:conflict] if pick.result], scratch, logs, report).prove()


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One command on one tree: that of `picks[number]`, or of the branch before any pick (-1)."""

    command: VerifyCommand
    number: int
    tree: str
    key: str


class _Bench:
    def __init__(
        self, plan: Plan, picks: Sequence[Pick], scratch: Scratch, logs: Path, report: Callable[[Progress], None]
    ) -> None:
        self.plan = plan
        self.picks = picks
        self.scratch = scratch
        self.logs = logs
        self.report = report
        self.ran = 0
        self._written: set[Path] = set()
        self._directories: dict[tuple[str, ...], Path] = {}

    def prove(self) -> VerifyResult:
        if problem := self._missing_path():
            return self._proof(problem)
        jobs = [self._job(command, number) for number in range(len(self.picks)) for command in self.plan.verify]
        known = set(self.scratch.cache.get(_KIND, [job.key for job in jobs]))
        for job in jobs:
            if job.key not in known and (how := self._run(job)):
                tail = self._tail(job)
                return self._proof(self._blame(job, how), tail)
            known.add(job.key)
        return self._proof()

    def _proof(self, problem: Problem | None = None, tail: str = "") -> VerifyResult:
        return VerifyResult(
            commands=len(self.plan.verify), trees=len(self.picks), ran=self.ran, problem=problem, tail=tail
        )

    # -------------------------------------------------------------- what is run

    def _job(self, command: VerifyCommand, number: int) -> _Job:
        from orchestrator.git.trees import partial_tree

        tree = partial_tree(self.scratch, self._tree(number), command.paths)
        told = [value for name, value in self._told(number).items() if name in command.run]
        text = "\0".join((command.run, *told))
        return _Job(
            command=command, number=number, tree=tree, key=f"{tree} {hashlib.sha256(text.encode()).hexdigest()}"
        )

    def _tree(self, number: int) -> str:
        return self.scratch.tree_of(self.plan.base if number < 0 else self.picks[number].result)

    def _told(self, number: int) -> dict[str, str]:
        """What a command is told in its environment; one that names a variable is run again for another value."""
        return {
            "RELEASE_VERSION": self.plan.version,
            "RELEASE_PICK": "" if number < 0 else self.picks[number].source,
        }

    def _run(self, job: _Job) -> str:
        """How the command failed, "" when it passed."""
        from orchestrator.git.worktree import checkout

        command, on = job.command, self._name(job)
        self.report(Progress(text=f"verify {on}: {_short(command)}", item="verify"))
        directory = self._directories.setdefault(command.paths, self.scratch.path / f"verify-{len(self._directories)}")
        checkout(self.scratch, job.tree, directory)
        self.ran += 1
        log = self._log(job)
        log.parent.mkdir(parents=True, exist_ok=True)
        env = without_secrets(self.plan) | self._told(job.number)
        status = execute_shell(command.run, command.timeout, directory, log, env, append=log in self._written)
        self._written.add(log)
        if status == 0:
            self.scratch.cache.put(_KIND, {job.key: b"passed"})
            self.scratch.cache.save()  # a command may take an hour: it must not be lost with this process
            return ""
        return how_it_failed(status, command.timeout)

    def _name(self, job: _Job) -> str:
        return "base" if job.number < 0 else self.picks[job.number].source[:12]

    def _log(self, job: _Job) -> Path:
        return self.logs / f"verify-{self._name(job)}.log"

    def _tail(self, job: _Job) -> str:
        """The end of what the job's command wrote: it was the last to write there."""
        return tail_of(self._log(job), job.command.run)

    # -------------------------------------------------------------- what is said

    def _blame(self, job: _Job, how: str) -> Problem:
        """Where the command fails first: on a pick, or on the branch already."""
        log = self._log(job)
        before = self._job(job.command, -1)
        if job.number == 0 and (before.tree == job.tree or self._fails(before)):
            said = f"on {self.plan.branch} itself at {self.plan.base[:12]}, before any pick"
            remedy = f"see {log}; repair the branch or the command: no pick is to blame"
        else:
            pick = self.picks[job.number]
            passed = [each.source[:12] for each in self.picks[: job.number]]
            shown = ", ".join(passed[:_NAMED]) + (", …" if len(passed) > _NAMED else "")
            less = f"the {len(passed)} before it pass: {shown}" if passed else f"{self.plan.branch} without it passes"
            said = f"on pick {pick.source[:12]} {pick.subject!r}, {job.number + 1} of {len(self.picks)} ({less})"
            remedy = f"see {log}; it needs something that the branch lacks, or must be adapted (`backport:`)"
        return Problem(
            code="verify-failed",
            message=f"verify: `{_short(job.command)}` {how} {said}",
            where=self._place(job.command),
            remedy=remedy,
            exit_code=Exit.UNPROVED,
        )

    def _fails(self, job: _Job) -> bool:
        return not self.scratch.cache.get(_KIND, [job.key]) and bool(self._run(job))

    def _missing_path(self) -> Problem | None:
        """A path that is in no tree: the command would look at nothing, and might call that a success."""
        from orchestrator.git.trees import has_path

        for command in self.plan.verify:
            for path in command.paths:
                if not any(has_path(self.scratch, self._tree(at), path) for at in range(-1, len(self.picks))):
                    return Problem(
                        code="verify-no-path",
                        message=f"verify: {path!r} is not on {self.plan.branch}, and no pick brings it",
                        where=self._place(command),
                        remedy="correct `paths:`",
                        exit_code=Exit.USAGE,
                    )
        return None

    def _place(self, command: VerifyCommand) -> str:
        return f"{self.plan.config_path}:{command.line}"


def _short(command: VerifyCommand) -> str:
    first, *rest = command.run.strip().splitlines()
    return f"{first} …" if rest else first


def execute_shell(
    text: str, timeout: float, directory: Path, log: Path, env: Mapping[str, str], *, append: bool, stdin: bytes = b""
) -> int | None:
    """Exit status, None at the timeout.  The command gets a process group of its own, ended as a whole."""
    with log.open("ab" if append else "wb") as out, tempfile.TemporaryFile() as given:
        out.write(f"$ {text}\n".encode())
        out.flush()
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            ["/bin/sh", "-c", text],
            cwd=directory,
            stdin=given,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
        try:
            ended = _ends(process.pid, timeout)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing of the group is left
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
    return status if ended else None


def how_it_failed(status: int | None, timeout: float) -> str:
    """In words; "" where it passed."""
    if status is None:
        return f"ran longer than {timeout:g} s and was killed"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"exited {status}{_OF_A_SHELL.get(status, '')}" if status else ""


def tail_of(log: Path, command: str) -> str:
    """The end of what a command wrote, short enough to be read."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    lines = text.rpartition(f"$ {command}\n")[2].splitlines()[-_TAIL:]
    return "\n".join(line if len(line) <= _LONGEST else f"… {line[-_LONGEST:]}" for line in lines)


def without_secrets(plan: Plan) -> dict[str, str]:
    """The environment that a command of release.yaml gets: not what logs in and what signs."""
    secrets = (PASSWORD, *(plan.sign.secrets if plan.sign else ()))
    return {name: value for name, value in os.environ.items() if name not in secrets}


def _ends(pid: int, timeout: float) -> bool:
    """Whether a child ends in time.  It is not reaped, so that its id stays that of its group."""
    deadline, pause = time.monotonic() + timeout, 0.001
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return True
