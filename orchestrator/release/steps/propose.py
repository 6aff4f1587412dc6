"""Propose the release: its commits on a branch of their own, its tag object beside it, and a pull request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.errors import RefusedError
from orchestrator.core.plan import PROPOSE, candidate_ref
from orchestrator.core.results import Progress
from orchestrator.landing import candidate, request
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.tag import Tagged

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan
    from orchestrator.landing.candidate import ProposedRefs


@dataclass(frozen=True, kw_only=True)
class ProposedRequest(Outcome):
    """`url` is the page of the request, or what a person opens it with; `number` 0 where it is not known."""

    branch: str
    head: str
    tag_object: str
    url: str
    number: int = 0


def tasks(plan: Plan) -> tuple[Task, ...]:
    return (Task(key=PROPOSE, title=f"propose it as {plan.request}", run=_run, probe=_probe),)


def _run(context: TaskContext) -> ProposedRequest:
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    before = candidate.candidate(context.repository, plan.remote, plan.version, plan.request)
    _refuse_foreign(context, before)
    candidate.propose(context.repository, plan, tag_object, before)
    forge, why = request.connect(context.session, plan.remote)
    if forge is None:
        url = request.by_hand(context.repository.remote_url(plan.remote), plan)
        context.report(Progress(text=f"the request is yours to open ({why}): {url}"))
        return ProposedRequest(branch=plan.request, head=plan.head, tag_object=tag_object, url=url)
    found = request.ensure(forge, plan)
    return ProposedRequest(
        branch=plan.request, head=plan.head, tag_object=tag_object, url=found.url, number=found.number
    )


def _refuse_foreign(context: TaskContext, there: ProposedRefs) -> None:
    """A branch of that name that holds something else than what was proposed here is somebody's own."""
    plan, ref = context.plan, candidate_ref(context.plan.version)
    if there.branch_head in ("", plan.head):
        return
    if there.tag_object and not context.session.scratch.has(there.tag_object):
        context.repository.bring(context.session.scratch, plan.remote, [ref])
    ours = context.session.scratch.resolve(there.tag_object) if there.tag_object else ""
    if ours != there.branch_head:
        raise RefusedError(
            f"branch {plan.request} is on {plan.remote} already, at {there.branch_head[:12]}: no plan made that",
            where=plan.request,
            remedy=f"look at it, then remove it: git push {plan.remote} :refs/heads/{plan.request}",
            code="candidate-branch-taken",
            state=candidate.PRIVATE,
        )


def _probe(context: TaskContext, before: Outcome | None) -> Outcome | None:
    """The remote decides; a branch that the forge removed after the merge, or a person, is not made again here."""
    plan = context.plan
    if not isinstance(before, ProposedRequest):
        return None
    there = candidate.candidate(context.repository, plan.remote, plan.version, plan.request)
    if there.branch_head not in ("", plan.head):
        raise request.changed(plan, there.branch_head, f"branch {plan.request}")
    return before if there.tag_object == before.tag_object else None
