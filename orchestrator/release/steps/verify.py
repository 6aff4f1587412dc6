"""The user's `verify:` commands, on the tree of each pick."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import Exit, UnprovedError, UsageError
from orchestrator.release.steps.outcomes import Verified
from orchestrator.release.steps.runner import Task, Workshop, never
from orchestrator.release.verifying import verify

if TYPE_CHECKING:
    from orchestrator.core.results import Plan


def tasks(plan: Plan) -> tuple[Task, ...]:
    if not plan.verify:
        return ()
    return (Task(key="verify", title="run the verify commands on each pick", run=_run, probe=never),)


def _run(shop: Workshop) -> Verified:
    """Raises UnprovedError naming the first pick that a command fails on."""
    proof = verify(shop.plan, shop.doors.scratch(), logs=shop.store.logs, report=shop.report)
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
