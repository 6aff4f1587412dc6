"""Freezes: whether one forbids a release now, and how it is broken with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.guard import policy_rules as rulebook
from orchestrator.plan import document

if TYPE_CHECKING:
    from orchestrator.core.declaration import Policy
    from orchestrator.core.plan import Plan


def apply_freeze(plan: Plan, policy: Policy, now: str, reason: str) -> Plan:
    """The plan with a problem where a freeze holds now, or with the reason for which it is broken.

    No part of the plan's id: that must not depend on the clock.
    """
    freeze = rulebook.frozen(policy, now)
    if freeze is None:
        return plan
    if reason:
        return replace(plan, freeze_broken=reason)
    return replace(plan, problems=(*plan.problems, rulebook.freeze_problem(freeze, document.command(plan))))


def without_freeze(plan: Plan) -> Plan:
    """The same plan for who only looks: a freeze is worth a note, and no reason not to plan."""
    notes = tuple(
        f"{problem.message}; a cut would be refused" for problem in plan.problems if problem.code == rulebook.FROZEN
    )
    rest = tuple(problem for problem in plan.problems if problem.code != rulebook.FROZEN)
    return replace(plan, problems=rest, notes=(*plan.notes, *notes))
