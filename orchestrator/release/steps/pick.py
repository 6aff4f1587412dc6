"""Bring the planned commits into the repository under a private ref; for a promotion the branch with the candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError
from orchestrator.release.steps.outcomes import Outcome, Picked
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.session.kept_sources import keep

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan


def tasks(plan: Plan) -> tuple[Task, ...]:
    origin = plan.promoted_from
    title = f"bring the commit of {origin.version}" if origin else "pick the fixes"
    return (Task(key="pick", title=title, run=_run, probe=_probe),)


def _run(shop: TaskContext) -> Picked:
    """The scratch store made the commits a moment ago from the same inputs; ids are compared after the copy.

    Sources come along: what only the remote has may be gone there before the release is public.
    """
    _, tip = shop.plan.branch_move
    scratch = shop.doors.scratch()
    if kept := keep(scratch, shop.plan.version, shop.plan.sources, shop.plan.head):
        shop.store.adopt(scratch, kept, "sources")
    shop.store.adopt(scratch, tip, "candidate")
    found = shop.store.ref("candidate")
    if found != tip:
        raise MismatchError(f"the picks gave {found or 'nothing'}, the plan says {tip}", code="picks-differ-from-plan")
    return Picked(head=found)


def _probe(shop: TaskContext, _before: Outcome | None) -> Outcome | None:
    _, tip = shop.plan.branch_move
    return Picked(head=tip) if shop.store.ref("candidate") == tip else None
