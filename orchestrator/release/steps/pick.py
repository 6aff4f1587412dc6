"""Bring the planned commits into the repository under a private ref; what is on the branch already, with the branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.session.kept_sources import keep

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Picked(Outcome):
    head: str


def tasks(plan: Plan) -> tuple[Task, ...]:
    origin = plan.promoted_from
    title = f"bring the commit of {origin.version}" if origin else "pick the fixes"
    title = "bring what landed" if plan.landed else title
    return (Task(key="pick", title=title, run=_run, probe=_probe),)


def _run(context: TaskContext) -> Picked:
    """The scratch store made the commits a moment ago from the same inputs; ids are compared after the copy.

    Sources come along: what only the remote has may be gone there before the release is public.
    """
    _, tip = context.plan.branch_move
    scratch = context.session.scratch
    if context.plan.landed and not scratch.has(tip):
        context.repository.bring(scratch, context.plan.remote, [f"refs/heads/{context.plan.branch}"])
    kept = keep(scratch, context.plan.version, context.plan.sources, context.plan.head)
    context.state.adopt(scratch, {"sources": kept, "candidate": tip} if kept else {"candidate": tip})
    found = context.state.ref("candidate")
    if found != tip:
        raise MismatchError(f"the picks gave {found or 'nothing'}, the plan says {tip}", code="picks-differ-from-plan")
    return Picked(head=found)


def _probe(context: TaskContext, _before: Outcome | None) -> Outcome | None:
    _, tip = context.plan.branch_move
    return Picked(head=tip) if context.state.ref("candidate") == tip else None
