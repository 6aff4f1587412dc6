"""One release: prepare, execute, pause, resume, abort."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, ProblemsError, RefusedError, UsageError
from orchestrator.core.pick import PickState
from orchestrator.core.plan import LAND
from orchestrator.core.results import CheckState
from orchestrator.core.text import word
from orchestrator.git.merge.excluded import part_of
from orchestrator.git.push import holds
from orchestrator.picks.resolutions.known import Question, known_here
from orchestrator.plan import document
from orchestrator.release import steps
from orchestrator.release.adopt import close, finished_elsewhere, refuse_another_product
from orchestrator.release.confirm import Answers, ask
from orchestrator.release.modes import landing
from orchestrator.release.modes.paused import conflict
from orchestrator.release.prepare import prepare
from orchestrator.release.step_hooks import tasks as hooked
from orchestrator.release.steps.land import ProposedRequest
from orchestrator.release.steps.promote import Floated, Promoted
from orchestrator.release.steps.runner import TaskContext, execute
from orchestrator.session.heal import heal
from orchestrator.session.journal import Journal
from orchestrator.session.pushes import Pushes, put_back, tag_of
from orchestrator.session.state import Paused, ReleaseState, in_progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.core.reference import Reference
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.resolutions.known import Reused
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a cut ended: the plan, and the digests by image reference.  `already` when nothing had to be done."""

    plan: Plan
    digests: Mapping[Reference, str]
    tag_object: str
    already: bool = False
    notes: tuple[str, ...] = ()  # what was left as it was, and why
    waits_for: str = ""  # the platform that another job has yet to upload: nothing has the version's name so far
    built_by: str = ""  # who is to build the images from the tag: plan.built_by


def cut(session: Session, version: str, *, yes: bool, plan_file: Path | None = None, each: bool = False) -> Cut:
    """Make a release, or go on with one; `each` asks for every pick.

    Raises PausedError at a conflict, ProblemsError for anything else.
    """
    refuse_offline(session)
    wanted = document.load(plan_file) if plan_file else None
    with session.lock():
        return cut_locked(session, version, yes=yes, wanted=wanted, each=each)


def refuse_offline(session: Session) -> None:
    """Raises UsageError: what a cut starts from is asked of the remote."""
    if session.options.offline:
        raise UsageError("a cut needs the remote", remedy="leave --offline out", code="offline-cut")


def cut_locked(session: Session, version: str, *, yes: bool, wanted: Plan | None = None, each: bool = False) -> Cut:
    """As `cut`, for who holds the lock; `wanted` is the plan that must still hold."""
    _heal(session, version)
    refuse_another_product(session, version)
    if done := _adopted(session, version):
        return done
    if landed_before := landing.begun(session, version):
        return carry_on(session, landed_before)
    proposed = landing.waiting(session, version)
    if landed := landing.landed_here(session, version, proposed):
        return go_on_landed(session, *landed)
    on = proposed[1].request if proposed else ""
    stored = _public_already(session, version)
    if stored:
        if wanted:
            _must_equal(wanted, stored_plan(session, stored))
        return carry_on(session, stored)
    plan = prepare(session, version, proposed_on=on)
    if wanted:
        _must_equal(wanted, plan)
    state = _not_paused(session, plan)
    answers = ask(session, state, plan, each=each, redraft=partial(prepare, session, plan.version, proposed_on=on))
    plan = answers.plan
    if wanted:
        _must_equal(wanted, plan)
    _refuse_or_pause(session, state, answers, yes=yes)
    journal = session.journal(state)
    old = journal.plan()
    if old is None or (old.get("plan_id"), old.get("freeze_broken", "")) != (plan.plan_id, plan.freeze_broken):
        if old is not None:
            session.terminal.note(
                "the inputs of this release have changed since it was begun: starting with a new plan"
            )
            set_aside(session, state, journal)
        plan = begin(session, plan, journal, yes=yes, answers=answers)
    else:
        answers.keep(state)
        plan = _as_begun(session, state, plan, journal)
    return _execute(session, state, plan, journal)


def _as_begun(session: Session, state: ReleaseState, plan: Plan, journal: Journal) -> Plan:
    """The plan that the journal was opened with, which is this one; signed commits of it are by the same key."""
    if not plan.sign_commits:
        return plan
    from orchestrator.release import signing

    begun = document.recall(journal.plan() or {}, str(journal.path))
    if signing.is_by_this_key(session, state, begun):
        return begun
    session.terminal.note("commits are signed in another way than when this release was begun: they are signed anew")
    set_aside(session, state, journal)
    return _opened(session, state, plan, journal)


def _opened(session: Session, state: ReleaseState, plan: Plan, journal: Journal) -> Plan:
    """The journal's first record: the plan, with its commits signed where they are to be."""
    if plan.sign_commits:
        from orchestrator.release import signing

        plan = signing.signed(session, state, plan)
    journal.append("opened", plan=document.encode(plan))
    return plan


def _not_paused(session: Session, plan: Plan) -> ReleaseState:
    """The state of a plan's release.  Raises PausedError while a person resolves a conflict of it."""
    state = ReleaseState(session.repository, plan.version)
    if paused := state.paused():
        if state.worktree.exists:
            raise conflict(state, paused)
        state.unpause()  # somebody removed the worktree: the conflict is opened again
    return state


def set_aside(session: Session, state: ReleaseState, journal: Journal) -> None:
    """Make room for another plan.  A push of this one that may still arrive is known when it does.

    Raises LockedError while it is under way.
    """
    pushes = Pushes(state, session.now)
    pushes.refuse_under_way()
    if journal.touched(LAND):
        pushes.keep(state.ref("tag"))
    journal.restart()
    state.forget_candidate()


def _public_already(session: Session, version: str) -> ReleaseState | None:
    """The state of a release whose tag is on the remote: its stored plan is obeyed, release.yaml is not read.

    Without a version: the one release here that has landed and is not finished.
    """
    for name in [version] if version else in_progress(session.repository):
        state = ReleaseState(session.repository, name)
        journal = Journal(state.journal_path, session.now)
        data, tag_object = journal.plan(), state.ref("tag") or tag_of(journal)
        pushes = Pushes(state, session.now)
        earlier = pushes.earlier()
        if not data or not (journal.touched(LAND) or earlier) or (journal.closed and not version):
            continue
        ref = f"refs/tags/{name}"
        branch, remote = str(data["branch"]), str(data["remote"])
        refs = session.repository.ls_remote(remote, ref, f"refs/heads/{branch}")
        there = refs.refs.get(ref, "")
        if there and there == tag_object and journal.touched(LAND):
            pushes.have(str(data["remote"]), there)
            return state
        if there in earlier:
            session.terminal.note(f"the push of an earlier plan of {name} has arrived: going on with that plan")
            pushes.go_back(there, remote)
            return state
        landed = bool(journal.outcome(LAND))
        if not (there or landed) and holds(session.repository, remote, branch, refs.branch(branch), str(data["head"])):
            return state  # the forge moved the branch to it, by a pull request, say: only the tag is missing
        if journal.outcome(LAND):
            raise MismatchError(
                f"tag {name}: this clone landed {tag_object}, {data['remote']} has {there or 'none'}",
                where=str(state.journal_path),
                remedy=f"somebody moved or removed the tag; put it back: {put_back(remote, name, tag_object, there)}"
                f", then run the same command again   | release abort {name}",
                code="tag-differs",
            )
    return None


def _heal(session: Session, version: str) -> None:
    for name in [version] if version else in_progress(session.repository):
        heal(ReleaseState(session.repository, name), session.terminal.note)


def _adopted(session: Session, version: str) -> Cut | None:
    """A release that was begun here and finished elsewhere, taken over: its digests are those of its record."""
    state = ReleaseState(session.repository, version) if version else None
    journal = session.journal(state) if state else None
    if not (state and journal and journal.plan()):
        return None
    plan = stored_plan(session, state)
    if not (found := finished_elsewhere(session, plan, journal)):
        return None
    note = close(session, plan, journal, found)
    notes = (f"{version} {found.said} on {plan.remote}", *([note] if note else []))
    return Cut(plan=plan, digests=found.digests, tag_object=found.tag_object, already=True, notes=notes)


def carry_on(session: Session, state: ReleaseState) -> Cut:
    """Obey the stored plan."""
    return _execute(session, state, stored_plan(session, state), session.journal(state))


def stored_plan(session: Session, state: ReleaseState) -> Plan:
    """The plan that the journal was opened with."""
    journal = Journal(state.journal_path, session.now)
    return document.recall(journal.plan() or {}, str(journal.path))


def _must_equal(old: Plan, new: Plan) -> None:
    if old.plan_id != new.plan_id:
        raise RefusedError(
            "the plan file is stale: " + "; ".join(document.differences(old, new)),
            remedy=f"look again: release plan {new.version} --out FILE",
            code="stale-plan",
            state="nothing was changed",
        )


def _refuse_or_pause(session: Session, state: ReleaseState, answers: Answers, *, yes: bool) -> None:
    """Problems stop a cut; when conflicts are all there is, the first one is opened for a person."""
    plan = answers.plan
    others = [problem for problem in plan.problems if problem.code not in ("conflict", "missing-prerequisite")]
    if others:
        if not any(each.code == "version-exists" for each in others):
            landing.refuse_open_proposal(session, plan)  # then that is what is wrong
        raise ProblemsError(plan.problems)
    pick = next((pick for pick in plan.picks if pick.state is PickState.CONFLICT), None)
    if pick:
        answers.keep(state)
        part = _part(session.scratch, pick, state.ref(f"resolved/{pick.source}"))
        paused = Paused(
            source=pick.source,
            applied=pick.applied,
            tip=_tip_before(plan, pick),
            mainline=0 if pick.applied else pick.mainline,
            files=tuple(conflict.path for conflict in pick.conflicts),
            config=str(session.config_file) if session.options.config else "",
            yes=yes,
            part=part,
            exclude=pick.exclude,
            options=pick.strategy_options,
            image=session.options.image,
        )
        before = _before(session, pick, paused)
        known = tuple(f"{word(path)} as in {before.said}" for path in before.files) if before else ()
        paused = state.pause(replace(paused, known=known), session.scratch, before.files if before else {})
        raise conflict(state, paused, pick)


def _part(scratch: Scratch, pick: Pick, resolution: str) -> str:
    """What is applied of a pick that leaves files out; "" for one that leaves none out, and for a resolution."""
    if not pick.exclude or (pick.applied and pick.applied == resolution):
        return ""
    commit = scratch.commit(pick.applied or pick.source)
    number = max(0 if pick.applied else pick.mainline, 1) - 1
    found = part_of(scratch, commit, next(iter(commit.parents[number:]), ""), pick.exclude)
    return found.commit.sha if found else ""


def _before(session: Session, pick: Pick, paused: Paused) -> Reused | None:
    """The files of a conflict as a released version resolved them, for a person to look at."""
    if pick.resolution is None:
        return None
    scratch = session.scratch
    commit = scratch.commit(paused.opened)
    number = max(0 if paused.part else paused.mainline, 1) - 1
    asked = Question(
        source=pick.source, change=commit, parent=next(iter(commit.parents[number:]), ""),
        ours=scratch.tree_of(paused.tip), options=pick.strategy_options,
    )  # fmt: skip
    return known_here(session.repository, scratch).as_in(asked, pick.resolution)


def _tip_before(plan: Plan, pick: Pick) -> str:
    done = [earlier.result for earlier in plan.picks[: plan.picks.index(pick)] if earlier.result]
    return done[-1] if done else plan.base


def begin(session: Session, plan: Plan, journal: Journal, *, yes: bool, answers: Answers | None = None) -> Plan:
    """Preflight, the one question, and the journal's first record; the answers for single picks are kept before it.

    Returns the plan as it was opened.
    """
    from orchestrator.release import preflight

    state = ReleaseState(session.repository, plan.version)
    landing.refuse_open_proposal(session, plan)
    failed = [
        problem
        for finding in (
            *preflight.run(plan, session.repository, session.connections),
            *preflight.session_checks(session, plan),
            *preflight.signing_checks(session, plan, state),
        )
        if finding.result.state is CheckState.FAILED
        for problem in (preflight.placed(finding, None if plan.tag_object else session.config().image).problem,)
    ]
    if failed:
        raise ProblemsError(failed)
    if not yes:
        session.terminal.show_plan(plan)
        answer = session.terminal.confirm(f"Release {plan.version} to {plan.remote}?")
        if answer is None:
            raise RefusedError(
                "nobody can be asked: there is no terminal",
                remedy=f"{document.command(plan)} --yes",
                code="not-confirmed",
                state="nothing was changed",
            )
        if not answer:
            raise RefusedError("not confirmed", code="not-confirmed", state="nothing was changed")
    if answers:
        answers.keep(state)
    return _opened(session, state, plan, journal)


def _execute(session: Session, state: ReleaseState, plan: Plan, journal: Journal) -> Cut:
    """Run what is left.  A finished release is checked again in the registry and on the remote, and not changed."""
    already = journal.closed
    context = TaskContext(
        plan=plan, session=session, state=state, report=session.terminal.progress,
        finished=lambda key: journal.outcome(key) is not None,
    )  # fmt: skip
    tasks = steps.tasks(plan) if already else hooked(session, plan, is_public=_is_public(plan, journal))
    if already:
        tasks = tuple(task for task in tasks if not task.once)
    execute(tasks, context, journal)
    session.connections.settle()  # what was promoted, and its record was there already
    if proposed := context.find(ProposedRequest):
        return _after_proposal(session, state, plan, proposed.url)
    if not journal.closed:  # also where something of a finished release was made again
        journal.append("closed")
    digests = {image.reference: done.digest for image in plan.images if (done := context.find(Promoted, image))}
    notes = [] if already else context.notes
    notes += [line for floated in context.all(Floated) for line in floated.left]
    tag_object = state.ref("tag") or plan.tag_object
    return Cut(plan=plan, digests=digests, tag_object=tag_object, already=already, notes=tuple(notes),
               built_by=plan.built_by)  # fmt: skip


def _is_public(plan: Plan, journal: Journal) -> bool:
    """Whether something of it may be public: then nothing but the world stops it."""
    return bool(plan.tag_object) or journal.touched(LAND)


def _after_proposal(session: Session, state: ReleaseState, plan: Plan, url: str) -> Cut:
    """The second part where it can begin.  Raises WaitingError else."""
    landed = landing.landed_plan(session, plan)
    if landed is None:
        raise landing.refuse_to_wait(session, plan, url)
    return go_on_landed(session, state, landed)


def go_on_landed(session: Session, state: ReleaseState, plan: Plan) -> Cut:
    """The second part of a release that was proposed: from the tag to the record."""
    journal = session.journal(state)
    landing.take_up(session, state, journal, plan)
    return _execute(session, state, plan, journal)
