"""The line crossed once: branch and tag, in one atomic push, with leases on both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import MismatchError
from orchestrator.git import push
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.tag import Tagged

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Landed(Outcome):
    branch: str
    head: str
    tag_object: str
    note: str = ""

    def part(self) -> dict[str, Any]:
        return {"tag": self.tag_object}


def tasks(plan: Plan) -> tuple[Task, ...]:
    title = "push the tag" if plan.promoted_from else "push branch and tag"
    return (Task(key="land", title=title, run=_run, probe=_probe),)


def _run(context: TaskContext) -> Landed:
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    old, new = plan.branch_move
    push.land(
        context.repository,
        remote=plan.remote,
        branch=plan.branch,
        old=old,
        new=new,
        tag=plan.version,
        tag_object=tag_object,
    )
    return _landed(context)


def _landed(context: TaskContext) -> Landed:
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    old, new = plan.branch_move
    note = push.publish_tag_locally(
        context.repository, tag=plan.version, tag_object=tag_object, branch=plan.branch, old=old, new=new
    )
    return Landed(branch=plan.branch, head=plan.head, tag_object=tag_object, note=note)


def _probe(context: TaskContext, before: Outcome | None) -> Outcome | None:
    """The remote decides.  The journal saying `landed` and the remote saying otherwise is not ours to repair."""
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    there = context.repository.ls_remote(plan.remote, f"refs/tags/{plan.version}").refs.get(f"refs/tags/{plan.version}")
    if there == tag_object:
        return before if isinstance(before, Landed) else _landed(context)
    if before is not None or there:
        raise MismatchError(
            f"tag {plan.version}: the journal says {tag_object}, {plan.remote} has {there or 'none'}",
            remedy="somebody moved or removed the tag; put it back, or release the next version",
            code="tag-differs",
        )
    return None
