"""Bring the planned commits into the repository under a private ref."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import MismatchError
from orchestrator.outcomes import Outcome, Picked
from orchestrator.pipeline import Task, Workshop

if TYPE_CHECKING:
    from orchestrator.model import Plan


def tasks(_plan: Plan) -> tuple[Task, ...]:
    return (Task(key="pick", title="pick the fixes", run=_run, probe=_probe),)


def _run(shop: Workshop) -> Picked:
    """The scratch store made the commits a moment ago from the same inputs; ids are compared after the copy."""
    shop.store.adopt(shop.doors.scratch(), shop.plan.head, "candidate")
    found = shop.store.ref("candidate")
    if found != shop.plan.head:
        raise MismatchError(
            f"the picks gave {found or 'nothing'}, the plan says {shop.plan.head}", code="picks-differ-from-plan"
        )
    return Picked(head=found)


def _probe(shop: Workshop, _before: Outcome | None) -> Outcome | None:
    return Picked(head=shop.plan.head) if shop.store.ref("candidate") == shop.plan.head else None
