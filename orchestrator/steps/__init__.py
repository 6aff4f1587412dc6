"""THE ORDER.  A release is this list; registering a step is one word in it.

Everything before `land` is private; `land` is the one line crossed; what follows is small and can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.steps import annotate, build, land, pick, promote, record, smoke, tag, upload, verify

if TYPE_CHECKING:
    from orchestrator.model import Plan
    from orchestrator.pipeline import Step, Task

CUT: tuple[Step, ...] = (pick, verify, tag, build, smoke, upload, land, promote, record, annotate)

# The CI entry on a tag push: branch and tag are public already, the image is not.
PUBLISH: tuple[Step, ...] = (build, smoke, upload, promote, record, annotate)


def tasks(order: tuple[Step, ...], plan: Plan) -> tuple[Task, ...]:
    """Every task of a plan, in order."""
    return tuple(task for step in order for task in step.tasks(plan))
