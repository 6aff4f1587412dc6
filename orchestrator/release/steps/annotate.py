"""Write a git note on each picked source commit: in which release it is, as which commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import NOWHERE, REGISTRY
from orchestrator.core.tag_message import shipped
from orchestrator.git import notes
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Annotated(Outcome):
    notes: int


def tasks(plan: Plan) -> tuple[Task, ...]:
    if plan.records in (NOWHERE, REGISTRY):
        return ()
    title = "note the release on the source commits"
    return (Task(key="annotate", title=title, run=_run, probe=lambda *_: None, once=True),)


def _run(context: TaskContext) -> Annotated:
    """Writing a line that is there already changes nothing, so this may run any number of times."""
    plan = context.plan
    lines = {pick.source: f"in {plan.version} as {pick.carrier} on {plan.branch}" for pick in shipped(plan.picks)}
    place = context.repository.kept_on
    if lines and context.repository.keeps_records and (place is None or place.keeps(notes.REF)):
        seen = context.seen.get(notes.REF)
        notes.publish(context.repository, remote=plan.remote, lines=lines, committer=plan.committer, seen=seen)
    return Annotated(notes=len(lines))
