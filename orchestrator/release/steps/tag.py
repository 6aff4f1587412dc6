"""Make the annotated tag object, private until `land`.

Signed where the user's git configuration says so; where policy wants it and git does not, nothing is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.plan import TAG
from orchestrator.core.tag_message import tag_message
from orchestrator.git.tags import is_signed, make_tag
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Tagged(Outcome):
    tag_object: str

    def part(self) -> dict[str, Any]:
        return {"tag": self.tag_object}


def tasks(_plan: Plan) -> tuple[Task, ...]:
    return (Task(key=TAG, title="make the tag object", run=_run, probe=_probe),)


def _run(context: TaskContext) -> Tagged:
    plan = context.plan
    message = tag_message(plan)
    with context.repository.scratch() as scratch:
        tag_object = make_tag(
            context.repository,
            scratch,
            name=plan.version,
            commit=plan.head,
            message=message,
            tagger=f"{plan.committer} {plan.when}",
            rule=plan.signed_tag,
        )
        context.state.adopt(scratch, {"tag": tag_object})
    return Tagged(tag_object=tag_object)


def _probe(context: TaskContext, _before: Outcome | None) -> Outcome | None:
    """A tag object that names the planned commit is taken again: a signature made twice would differ."""
    found = context.state.ref("tag")
    if not found or context.repository.resolve(found) != context.plan.head:
        return None
    if context.plan.signed_tag and not is_signed(context.repository.git, found):  # made before policy wanted it
        return None
    return Tagged(tag_object=found)
