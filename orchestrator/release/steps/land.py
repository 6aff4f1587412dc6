"""The line crossed once: branch and tag, in one atomic push, with leases on both; or a pull request that proposes it.

Proposed are its commits on a branch of their own, and its tag object beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import NOTES
from orchestrator.core.errors import InterruptedRunError, MismatchError, RefusedError
from orchestrator.core.plan import LAND, PROPOSE, candidate_ref
from orchestrator.core.record import record_ref
from orchestrator.core.results import Progress
from orchestrator.git import push
from orchestrator.landing import candidate, request
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.tag import Tagged
from orchestrator.session.kept_sources import sources_ref
from orchestrator.session.pushes import Pushes, put_back

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan
    from orchestrator.landing.candidate import ProposedRefs


@dataclass(frozen=True, kw_only=True)
class Landed(Outcome):
    branch: str
    head: str
    tag_object: str
    note: str = ""
    is_public = True

    def part(self) -> dict[str, Any]:
        return {"tag": self.tag_object}


def tasks(plan: Plan) -> tuple[Task, ...]:
    if plan.request and not plan.landed:
        title = f"propose it as {plan.request}"
        return (Task(key=PROPOSE, title=title, run=_propose, probe=_is_proposed),)
    title = "push the branch, then the tag" if plan.one_by_one else "push branch and tag"
    title = "push the tag" if plan.promoted_from or plan.landed else title
    return (Task(key=LAND, title=title, run=_run, probe=_probe),)


def _run(context: TaskContext) -> Landed:
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    old, new = plan.branch_move
    pushes = Pushes(context.state, context.session.now)
    with pushes.begun() as lent:
        if context.session.interrupted():  # the last look before the line that is crossed once
            raise InterruptedRunError("interrupted before the push", code="not-pushed", state="nothing is public")
        also = _asked_later(context)
        try:
            shown = push.land(
                context.repository,
                remote=plan.remote,
                branch=plan.branch,
                old=old,
                new=new,
                tag=plan.version,
                tag_object=tag_object,
                lent=lent,
                tell=context.session.terminal.note,
                one_by_one=plan.one_by_one,
                also=also,
            )
        except MismatchError as error:
            raise (_earlier(context, pushes) or error) from None
    context.seen.update({ref: shown.refs.get(ref, "") for ref in also})
    return _landed(context)


def _asked_later(context: TaskContext) -> tuple[str, ...]:
    """Refs that the steps behind ask for, where they are refs of the remote: one question does for all."""
    version = context.plan.version
    here = context.repository.keeps_records and context.repository.kept_on is None
    return (record_ref(version), sources_ref(version), NOTES) if here else ()


def _earlier(context: TaskContext, pushes: Pushes) -> MismatchError | None:
    """The error where the tag that is there is one that this clone pushed before it made a new plan."""
    version, remote, tag_ref = context.plan.version, context.plan.remote, f"refs/tags/{context.plan.version}"
    if context.repository.ls_remote(remote, tag_ref).refs.get(tag_ref) not in pushes.earlier():
        return None
    return MismatchError(
        f"the push of an earlier plan of {version} arrived at {remote} meanwhile",
        remedy=f"run the same command again: it goes on with that one; release cut {version}",
        code="earlier-push",
    )


def _landed(context: TaskContext) -> Landed:
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    old, new = plan.branch_move
    note = push.publish_tag_locally(
        context.repository,
        remote=plan.remote,
        tag=plan.version,
        tag_object=tag_object,
        branch=plan.branch,
        old=old,
        new=new,
    )
    return Landed(branch=plan.branch, head=plan.head, tag_object=tag_object, note=note)


def _probe(context: TaskContext, before: Outcome | None) -> Outcome | None:
    """The remote decides.  The journal saying `landed` and the remote saying otherwise is not ours to repair."""
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    there = context.repository.ls_remote(plan.remote, f"refs/tags/{plan.version}").refs.get(f"refs/tags/{plan.version}")
    if there == tag_object:
        _reach_all(context, tag_object)
        return before if isinstance(before, Landed) and not before.note else _landed(context)
    if before is not None or there:
        raise MismatchError(
            f"tag {plan.version}: the journal says {tag_object}, {plan.remote} has {there or 'none'}",
            remedy=f"somebody moved or removed the tag; put it back: "
            f"{put_back(plan.remote, plan.version, tag_object, there or '')}, then run the same command again"
            f"   | release abort {plan.version}",
            code="tag-differs",
        )
    return None


def _reach_all(context: TaskContext, tag_object: str) -> None:
    """Where the remote has several push URLs: at each of them."""
    plan = context.plan
    old, new = plan.branch_move
    branch_ref, tag_ref = f"refs/heads/{plan.branch}", f"refs/tags/{plan.version}"
    push.reach_all(
        context.repository, remote=plan.remote,
        leases=(f"--force-with-lease={branch_ref}:{old}", f"--force-with-lease={tag_ref}:"),
        moves={branch_ref: new, tag_ref: tag_object}, one_by_one=plan.one_by_one,
    )  # fmt: skip


# ------------------------------------------------------------------ by a pull request


@dataclass(frozen=True, kw_only=True)
class ProposedRequest(Outcome):
    """`url` is the page of the request, or what a person opens it with; `number` 0 where it is not known."""

    branch: str
    head: str
    tag_object: str
    url: str
    number: int = 0


def _propose(context: TaskContext) -> ProposedRequest:
    plan, tag_object = context.plan, context.outcome(Tagged).tag_object
    before = candidate.candidate(context.repository, plan.remote, plan.version, plan.request)
    _refuse_foreign(context, before)
    candidate.propose(context.repository, plan, tag_object, before, context.state.ref("sources"))
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
    if there.branch_head in ("", plan.head) or _is_rebased(context, there.branch_head):
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


def _is_rebased(context: TaskContext, head: str) -> bool:
    """Whether a forge rebased what was proposed, by its button, to the very files that are proposed now."""
    from orchestrator.landing import forms  # few need it

    plan, scratch = context.plan, context.session.scratch
    if not scratch.has(head):
        context.repository.bring(scratch, plan.remote, [f"refs/heads/{plan.request}"])
    there, ours = forms.line(scratch, plan.base, head), forms.proposed(plan).commits
    return [*map(scratch.tree_of, there)] == [*map(scratch.tree_of, ours)]


def _is_proposed(context: TaskContext, before: Outcome | None) -> Outcome | None:
    """The remote decides; a branch that the forge removed after the merge, or a person, is not made again here."""
    plan = context.plan
    if not isinstance(before, ProposedRequest):
        return None
    there = candidate.candidate(context.repository, plan.remote, plan.version, plan.request)
    if there.branch_head not in ("", plan.head):
        raise request.changed(plan, there.branch_head)
    return before if there.tag_object == before.tag_object else None
