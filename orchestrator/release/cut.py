"""One release: prepare, execute, pause, resume, abort."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError, PausedError, ProblemsError, RefusedError, UsageError
from orchestrator.core.pick import PickState
from orchestrator.core.results import CheckState
from orchestrator.core.text import word, words
from orchestrator.plan import document
from orchestrator.release import steps
from orchestrator.release.confirm import Answers, ask
from orchestrator.release.prepare import prepare
from orchestrator.release.steps.outcomes import Floated, Landed, Promoted
from orchestrator.release.steps.runner import TaskContext, execute
from orchestrator.session.journal import Journal
from orchestrator.session.state import Paused, ReleaseState, in_progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a cut ended: the plan, and the digests by image reference.  `already` when nothing had to be done."""

    plan: Plan
    digests: Mapping[str, str]
    tag_object: str
    already: bool = False
    notes: tuple[str, ...] = ()  # what was left as it was, and why


def cut(desk: Session, version: str, *, yes: bool, plan_file: Path | None = None, each: bool = False) -> Cut:
    """Make a release, or go on with one; `each` asks for every pick.

    Raises PausedError at a conflict, ProblemsError for anything else.
    """
    if desk.job.offline:
        raise UsageError("a cut needs the remote", remedy="leave --offline out", code="offline-cut")
    wanted = document.load(plan_file) if plan_file else None
    with desk.lock():
        stored = _public_already(desk, version)
        if stored:
            if wanted:
                _must_equal(wanted, stored_plan(desk, stored))
            return carry_on(desk, stored)
        plan = prepare(desk, version)
        if wanted:
            _must_equal(wanted, plan)
        store = ReleaseState(desk.repository, plan.version)
        if paused := store.paused():
            if store.worktree.exists:
                raise waiting(store, paused)
            store.unpause()  # somebody removed the worktree: the conflict is opened again below
        answers = ask(desk, store, plan, each=each, redraft=partial(prepare, desk, plan.version))
        plan = answers.plan
        if wanted:
            _must_equal(wanted, plan)
        _refuse_or_pause(desk, store, answers, yes=yes)
        journal = desk.journal(store)
        old = journal.plan()
        if old is None or (old.get("plan_id"), old.get("freeze_broken", "")) != (plan.plan_id, plan.freeze_broken):
            if old is not None:
                desk.job.terminal.note(
                    "the inputs of this release have changed since it was begun: starting with a new plan"
                )
                journal.restart()
                store.forget_candidate()
            begin(desk, plan, journal, yes=yes, answers=answers)
        else:
            answers.keep(store)
        return _execute(desk, store, plan, journal)


def _public_already(desk: Session, version: str) -> ReleaseState | None:
    """The state of a release whose tag is on the remote: its stored plan is obeyed, release.yaml is not read.

    Without a version: the one release here that has landed and is not finished.
    """
    for name in [version] if version else in_progress(desk.repository):
        store = ReleaseState(desk.repository, name)
        journal = Journal(store.journal_path, desk.job.now)
        data, tag_object = journal.plan(), store.ref("tag")
        if not data or not journal.touched("land") or (journal.closed and not version):
            continue
        ref = f"refs/tags/{name}"
        there = desk.repository.ls_remote(str(data["remote"]), ref).refs.get(ref, "")
        if there and there == tag_object:
            return store
        if journal.outcome("land"):
            raise MismatchError(
                f"tag {name}: this clone landed {tag_object}, {data['remote']} has {there or 'none'}",
                where=str(store.journal_path),
                remedy="somebody moved or removed the tag; put it back, or release the next version",
                code="tag-differs",
            )
    return None


def carry_on(desk: Session, store: ReleaseState) -> Cut:
    """Obey the stored plan."""
    return _execute(desk, store, stored_plan(desk, store), desk.journal(store))


def stored_plan(desk: Session, store: ReleaseState) -> Plan:
    """The plan that the journal was opened with."""
    journal = Journal(store.journal_path, desk.job.now)
    return document.recall(journal.plan() or {}, str(journal.path))


def _must_equal(old: Plan, new: Plan) -> None:
    if old.plan_id != new.plan_id:
        raise RefusedError(
            "the plan file is stale: " + "; ".join(document.differences(old, new)),
            remedy=f"look again: release plan {new.version} --out FILE",
            code="stale-plan",
            state="nothing was changed",
        )


def _refuse_or_pause(desk: Session, store: ReleaseState, answers: Answers, *, yes: bool) -> None:
    """Problems stop a cut; when conflicts are all there is, the first one is opened for a person."""
    plan = answers.plan
    others = [problem for problem in plan.problems if problem.code not in ("conflict", "missing-prerequisite")]
    if others:
        raise ProblemsError(plan.problems)
    pick = next((pick for pick in plan.picks if pick.state is PickState.CONFLICT), None)
    if pick:
        answers.keep(store)
        paused = Paused(
            source=pick.source,
            applied=pick.applied,
            tip=_tip_before(plan, pick),
            mainline=0 if pick.applied else pick.mainline,
            files=tuple(conflict.path for conflict in pick.conflicts),
            config=str(desk.config_file) if desk.job.config else "",
            yes=yes,
        )
        raise waiting(store, store.pause(paused, desk.scratch), pick)


def _tip_before(plan: Plan, pick: Pick) -> str:
    done = [earlier.result for earlier in plan.picks[: plan.picks.index(pick)] if earlier.result]
    return done[-1] if done else plan.base


def waiting(store: ReleaseState, paused: Paused, pick: Pick | None = None) -> PausedError:
    """The message of a pause: files, and the very commands to type."""
    subject = f" {pick.subject!r}" if pick else ""
    names = " and ".join(sha[:12] for sha in pick.prerequisites) if pick else ""
    needs = f"; with {names} picked first it applies (abort, then `release plan --write`)" if names else ""
    tree = store.worktree.path
    return PausedError(
        f"{store.version} is paused: {paused.source[:12]}{subject} conflicts in {words(paused.files, ', ')}{needs}",
        where=str(tree),
        remedy=f"cd {word(str(tree))}   (resolve, then)   git add -- {words(paused.files)} "
        f"&& release continue {store.version}"
        f'   | release skip {store.version} --reason "..."   | release abort {store.version}',
        state="nothing is public; your checkout is untouched",
    )


def begin(desk: Session, plan: Plan, journal: Journal, *, yes: bool, answers: Answers | None = None) -> None:
    """Preflight, the one question, and the journal's first record; the answers for single picks are kept before it."""
    from orchestrator.release import preflight

    doors = desk.doors()
    failed = [
        problem
        for finding in preflight.run(plan, desk.repository, doors)
        if finding.result.state is CheckState.FAILED
        for problem in (finding.problem,)
    ]
    if failed:
        raise ProblemsError(failed)
    if not yes:
        desk.job.terminal.show_plan(plan)
        answer = desk.job.terminal.confirm(f"Release {plan.version} to {plan.remote}?")
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
        answers.keep(ReleaseState(desk.repository, plan.version))
    journal.append("opened", plan=document.encode(plan))


def _execute(desk: Session, store: ReleaseState, plan: Plan, journal: Journal) -> Cut:
    """Run what is left.  A finished release is checked again in the registry and on the remote, and not changed."""
    already = journal.closed
    doors = desk.doors()
    shop = TaskContext(
        plan, desk.repository, store, doors, desk.job.terminal.progress, lambda key: journal.outcome(key) is not None
    )
    tasks = steps.tasks(plan)
    if already:
        tasks = tuple(task for task in tasks if not task.key.startswith(("float", "annotate")))
    execute(tasks, shop, journal)
    if not already:
        journal.append("closed")
    digests = {promoted.image: promoted.digest for promoted in shop.all(Promoted)}
    notes = [note for landed in shop.all(Landed) if (note := landed.note) and not already]
    notes += [line for floated in shop.all(Floated) for line in floated.left]
    tag_object = store.ref("tag") or plan.tag_object
    return Cut(plan=plan, digests=digests, tag_object=tag_object, already=already, notes=tuple(notes))


# ------------------------------------------------------------------ conflicts
