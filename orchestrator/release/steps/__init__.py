"""THE ORDER.  A release is this list; registering a step is one word in it.

Everything before `land` is private; `land` is the one line crossed; what follows is small and can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.release.steps import (
    annotate,
    build,
    join,
    land,
    offer,
    pick,
    promote,
    record,
    sign,
    smoke,
    tag,
    take,
    upload,
    verify,
)

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan
    from orchestrator.release.steps.runner import Step, Task

CUT: tuple[Step, ...] = (pick, verify, tag, build, smoke, upload, join, sign, land, promote, record, annotate)

# The CI entry on a tag push: branch and tag are public already, the image is not.
PUBLISH: tuple[Step, ...] = (build, smoke, upload, offer, join, sign, promote, record, annotate)

# The images are built from the tag, by another: what is kept for that one goes with it.
TAG_ONLY: tuple[Step, ...] = (pick, verify, tag, land, record)

# Landed by a pull request: people merge what was proposed, and what landed goes on from there.
PROPOSED: tuple[Step, ...] = (pick, verify, tag, land)
LANDED: tuple[Step, ...] = (pick, verify, tag, build, smoke, upload, join, sign, land, promote, record, annotate)

# A tested candidate gets its final name: nothing is built, and no byte of an image moves.
PROMOTE: tuple[Step, ...] = (pick, tag, take, sign, land, promote, record, annotate)

# The same, where the tag is public already.
PROMOTE_TAG: tuple[Step, ...] = (take, sign, promote, record, annotate)


def order(plan: Plan) -> tuple[Step, ...]:
    """The steps of a plan."""
    if plan.promoted_from:
        return PROMOTE_TAG if plan.tag_object else PROMOTE
    if plan.request and not plan.tag_object and not plan.landed:
        return PROPOSED
    if plan.built_by:
        return TAG_ONLY
    if plan.request and not plan.tag_object:
        return LANDED
    return PUBLISH if plan.tag_object else CUT


def tasks(plan: Plan) -> tuple[Task, ...]:
    """Every task of a plan, in order."""
    return tuple(task for step in order(plan) for task in step.tasks(plan))


def keys(plan: Plan) -> tuple[str, ...]:
    """The names of its tasks, in order."""
    return tuple(task.key for task in tasks(plan))
