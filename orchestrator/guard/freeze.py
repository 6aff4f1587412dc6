"""Freezes: whether one forbids a release now, and how it is broken with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.plan import Judgement
from orchestrator.guard import policy_rules as rulebook

if TYPE_CHECKING:
    from orchestrator.core.declaration import Policy


def judge_freeze(policy: Policy, now: str, reason: str, command: str, *, looking: bool = False) -> Judgement:
    """A problem where a freeze holds now, or the reason for which it is broken; `command` is what breaks it.

    For who is only `looking`, a freeze is worth a note, and no reason not to plan.  No part of a plan's id: that must
    not depend on the clock.
    """
    freeze = rulebook.frozen(policy, now)
    if freeze is None:
        return Judgement()
    if reason:
        return Judgement(freeze_broken=reason)
    problem = rulebook.freeze_problem(freeze, command)
    if looking:
        return Judgement(notes=(f"{problem.message}; a cut would be refused",))
    return Judgement(problems=(problem,))
