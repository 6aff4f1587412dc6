"""Run the user's `verify:` commands on the tree of each pick, in a throw-away checkout."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

from orchestrator.changelog import shipped
from orchestrator.errors import UnprovedError
from orchestrator.model import Progress
from orchestrator.outcomes import Verified
from orchestrator.pipeline import Task, Workshop, never

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model import Pick, Plan

_TIMEOUT = 3600.0  # seconds a command may take
_TAIL = 30  # lines of its output shown on failure


def tasks(plan: Plan) -> tuple[Task, ...]:
    if not plan.verify:
        return ()
    return (Task(key="verify", title="run the verify commands on each pick", run=_run, probe=never),)


def _run(shop: Workshop) -> Verified:
    picks = shipped(shop.plan.picks)
    with shop.repository.scratch() as scratch:
        directory = scratch.path / "verify"
        for pick in picks:
            scratch.checkout(scratch.tree_of(pick.result), directory)
            for command in shop.plan.verify:
                shop.report(Progress(text=f"verify {pick.source[:12]}: {command}", item="verify"))
                _one(shop, pick, command, directory)
    return Verified(commands=len(shop.plan.verify), trees=len(picks))


def _one(shop: Workshop, pick: Pick, command: str, directory: Path) -> None:
    """Run one command; raises UnprovedError naming the pick that it fails on."""
    log = shop.store.logs / f"verify-{pick.source[:12]}.log"
    status = _execute(command, directory, log, {"RELEASE_VERSION": shop.plan.version, "RELEASE_PICK": pick.source})
    if status != 0:
        lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
        how = f"ran longer than {_TIMEOUT:.0f} s" if status is None else f"exited {status}"
        raise UnprovedError(
            f"verify failed on pick {pick.source[:12]} {pick.subject!r}: `{command}` {how}",
            where=str(log),
            remedy="the fix needs something that the branch lacks, or must be adapted (`backport:`)",
            detail="\n".join(lines),
            code="verify-failed",
            state="nothing was pushed",
        )


def _execute(command: str, directory: Path, log: Path, env: dict[str, str]) -> int | None:
    """Exit status, None at the timeout.  The command gets a process group of its own, ended as a whole."""
    with log.open("ab") as out:
        out.write(f"$ {command}\n".encode())
        out.flush()
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            start_new_session=True,
        )
        try:
            return process.wait(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
