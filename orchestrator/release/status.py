"""Where a release stands, in words: what is done, what is missing, what to type."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, ReleaseError, RemoteError, UsageError, as_problem
from orchestrator.core.plan import LAND, PROPOSE, RECORD, TO_BE_BUILT
from orchestrator.core.record import PREFIX, must_agree, record_ref
from orchestrator.core.text import word, words
from orchestrator.core.versions import parse_tag
from orchestrator.plan import document
from orchestrator.release import steps
from orchestrator.release.adopt import finished_elsewhere
from orchestrator.session import yanks
from orchestrator.session.journal import DamagedStateError, Journal
from orchestrator.session.published import must_be_the_same, record_at, remote_name, tag_facts
from orchestrator.session.pushes import Pushes, finish_by_tag, put_back, unseen
from orchestrator.session.state import ReleaseState, in_progress
from orchestrator.session.yanks import NOWHERE, PENDING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from orchestrator.core.plan import Plan
    from orchestrator.core.results import Problem
    from orchestrator.session.journal import JournalRecord
    from orchestrator.session.session import Session
    from orchestrator.session.yanks import Yank


class Standing(StrEnum):
    """How a release stands in this clone."""

    RUNNING = "running"  # a command is at work on it
    PAUSED = "paused"  # a conflict waits for a person
    PROPOSED = "proposed"  # its pull request is not merged
    DECIDED = "decided"  # a person's decision is stored, and nothing runs
    FAILED = "failed"  # a step said no
    INTERRUPTED = "interrupted"  # killed, or stopped by a person
    DAMAGED = "damaged"  # what this clone keeps of it cannot be read
    TAKEN = "taken"  # begun here, and somebody else has released the version
    TAGGED = "tagged"  # branch and tag are public, the images are built from the tag, by another
    RELEASED = "released"
    LOST = "lost"  # it was released, and the remote has its tag no more, or another
    YANKING = "yanking"  # its yank was begun here and not ended


_OPEN = (Standing.PAUSED, Standing.DECIDED, Standing.FAILED, Standing.INTERRUPTED)


@dataclass(frozen=True, kw_only=True)
class ReleaseStatus:
    """Where one release stands, and what leads on from there."""

    version: str
    state: Standing
    done: tuple[str, ...]
    missing: tuple[str, ...]
    public: bool
    said: str
    next: tuple[str, ...]
    yanked: str = ""  # when, by whom and why the version was yanked


def standings(session: Session, version: str) -> list[ReleaseStatus]:
    """One for each release that has state in this clone, or for the one named.

    Raises ConfigError where the release.yaml that was named is nowhere.
    """
    session.refuse_wrong_config()
    names = [version] if version else _known_here(session)
    who = session.lock().at_work()
    try:
        found = [_perhaps_at_work(_readable(session, ReleaseState(session.repository, name)), who) for name in names]
    except UsageError:
        from orchestrator.release.modes.proposed import proposed_elsewhere

        if not (plan := proposed_elsewhere(session, version)):
            raise
        return [_with_request(session, _proposed(plan, plan.request), plan)]
    found = [_asked(session, each) for each in found]
    if not any(
        each.state in (*_OPEN, Standing.RELEASED, Standing.TAGGED, Standing.YANKING, Standing.DAMAGED) for each in found
    ):
        return found
    taken_back, said = yanks.heard(
        session.repository, session.scratch, remote_name(session), offline=session.options.offline
    )
    if said:
        session.terminal.note(f"note: {said}")
    if not said and not session.options.offline:
        found = _with_tags(session, found)
    return [_with_yank(each, taken_back.get(each.version)) for each in found]


def _with_tags(session: Session, found: list[ReleaseStatus]) -> list[ReleaseStatus]:
    """By the tags that the remote has: somebody may have made, removed or moved one since this clone looked."""
    remote = remote_name(session)
    if not session.repository.remote_url(remote):
        return found
    there = session.repository.ls_remote(remote, *(f"refs/tags/{each.version}" for each in found)).refs
    return [_with_tag(session, each, remote, there.get(f"refs/tags/{each.version}", "")) for each in found]


def _with_tag(session: Session, standing: ReleaseStatus, remote: str, now: str) -> ReleaseStatus:
    if standing.state in (Standing.RELEASED, Standing.TAGGED):
        return _perhaps_lost(session, standing, remote, now)
    state = ReleaseState(session.repository, standing.version)
    ours = {state.ref("tag"), *Pushes(state, session.now).earlier()}
    if standing.state is Standing.DAMAGED and now:
        return replace(standing, public=True, next=(finish_by_tag(remote, standing.version),))
    if standing.state not in _OPEN or standing.public or now in ("", *ours):
        return standing
    return replace(
        standing, state=Standing.TAKEN,
        said=f"it was begun here, and somebody else has released it: its tag on {remote} is {now[:12]}",
        next=(f"release abort {standing.version}   (forgets what was begun here)",
              f"release show {standing.version}   (their release)"),
    )  # fmt: skip


def _perhaps_lost(session: Session, standing: ReleaseStatus, remote: str, now: str) -> ReleaseStatus:
    """A release is complete as long as the remote has its tag."""
    ref = f"refs/tags/{standing.version}"
    made = ReleaseState(session.repository, standing.version).ref("tag") or session.repository.refs(ref).get(ref, "")
    if not made or now == made:
        return standing
    how = f"is {now[:12]} on {remote} now, not {made[:12]}" if now else f"is gone from {remote}"
    back = f"{put_back(remote, standing.version, made, now)}   (puts it back)"
    return replace(
        standing, state=Standing.LOST, public=bool(now), said=f"it was released, and its tag {how}",
        next=(back, f"release verify {standing.version}", f"release abort {standing.version}   (forgets it here)"),
    )  # fmt: skip


def record_problems(session: Session, standings: Sequence[ReleaseStatus]) -> list[Problem]:
    """Why the record of a finished release is none, or tells of another one than its tag; by what is in this clone."""
    found = []
    refs = session.repository.refs(PREFIX.rstrip("/"), "refs/tags")
    for each in standings:
        ref, tag = record_ref(each.version), refs.get(f"refs/tags/{each.version}", "")
        if each.state is not Standing.RELEASED or ref not in refs or not tag:
            continue  # where only the remote has the tag, nothing is wrong
        try:
            record = record_at(session.scratch, refs[ref], ref)
            head = session.repository.resolve(f"refs/tags/{each.version}")
            must_agree(record, tag_facts(session.scratch, each.version, tag, head))
        except ReleaseError as error:
            found.append(as_problem(_other_tag(session, each.version, tag) or error))
    return found


def _other_tag(session: Session, version: str, here: str) -> ReleaseError | None:
    """What is wrong where the tag is another one in this clone than on the remote: then the record is right."""
    remote = remote_name(session)
    if session.options.offline or not session.repository.remote_url(remote):
        return None
    try:
        must_be_the_same(session, remote, version, here)
    except MismatchError as error:
        return error
    except RemoteError:  # it does not answer: the difference to the record is told
        return None
    return None


def _perhaps_at_work(standing: ReleaseStatus, who: str) -> ReleaseStatus:
    """A journal that has not ended is that of the command which holds the lock, unless that is at another version."""
    named = [word for word in who.split() if parse_tag(word)]
    if not who or standing.state is not Standing.INTERRUPTED or (named and standing.version not in named):
        return standing
    said = standing.said.replace("broken off", f"at work: {who}", 1)
    return replace(standing, state=Standing.RUNNING, said=said, next=("wait until it has ended",))


def _known_here(session: Session) -> list[str]:
    head, end = "refs/release/", f"/{PENDING}"
    refs = (ref for ref in session.repository.refs(head.rstrip("/")) if ref.endswith(end))
    pending = (ref.removeprefix(head).removesuffix(end) for ref in refs)
    return sorted({*in_progress(session.repository), *(name for name in pending if parse_tag(name))})


def _with_yank(standing: ReleaseStatus, yank: Yank | None) -> ReleaseStatus:
    if yank is None:
        return standing
    back = (
        f"; floating tags went back to {yank.back_to}"
        if yank.back_to and standing.state is not Standing.YANKING
        else ""
    )
    return replace(standing, yanked=yank.said, said=f"{standing.said}; {yank.said}{back}")


def _yanking(state: ReleaseState, blob: str) -> ReleaseStatus:
    """A yank that this clone began and did not end."""
    begun = yanks.read(state.version, state.repository.blob(blob))
    to = f" --floating-to {begun.back_to or NOWHERE}" if begun.digests else ""
    return ReleaseStatus(
        version=state.version,
        state=Standing.YANKING,
        done=(),
        missing=tuple(f"move {move.tag} to {begun.back_to}" for move in begun.moves),
        public=True,
        said="its yank was broken off",
        next=(f"release yank {state.version} --reason {word(begun.reason)}{to}",),
    )


def _readable(session: Session, state: ReleaseState) -> ReleaseStatus:
    try:
        return _standing(session, state)
    except DamagedStateError as error:
        return ReleaseStatus(
            version=state.version, state=Standing.DAMAGED, done=(), missing=(), public=False,
            said=f"{error.message}, in {error.where}", next=(f"release abort {state.version}",),
        )  # fmt: skip


def _standing(session: Session, state: ReleaseState) -> ReleaseStatus:
    if blob := state.ref(PENDING):
        return _yanking(state, blob)
    paused = state.paused()
    tree = state.worktree.path
    if paused and not state.worktree.exists:
        return ReleaseStatus(
            version=state.version, state=Standing.PAUSED, done=(), missing=(), public=False,
            said=f"paused on a conflict of {paused.source[:12]}, but somebody removed {tree}",
            next=(f"release cut {state.version}   (opens it again)", f"release abort {state.version}"),
        )  # fmt: skip
    if paused:
        return ReleaseStatus(
            version=state.version,
            state=Standing.PAUSED,
            done=(),
            missing=(),
            public=False,
            said=f"paused on a conflict of {paused.source[:12]} in {words(paused.files, ', ')}, in {tree}",
            next=(
                *([resolve, f"release continue {state.version}"] if (resolve := state.worktree.resolving()) else []),
                f'release skip {state.version} --reason "..."',
                f"release abort {state.version}",
            ),
        )
    journal = Journal(state.journal_path, session.now)
    data = journal.plan()
    if data is None:
        return _without_plan(state)
    found = _with_plan(state, journal, data)
    if journal.closed and found.state is not Standing.TAGGED:
        return found
    return _or_finished(session, found, document.recall(data, str(state.journal_path)), journal)


def _or_finished(session: Session, found: ReleaseStatus, plan: Plan, journal: Journal) -> ReleaseStatus:
    """What is open here may have been finished elsewhere: the remote tells, where it answers."""
    try:
        elsewhere = finished_elsewhere(session, plan, journal)
    except ReleaseError as error:
        session.terminal.note(f"note: whether {plan.version} was finished elsewhere is not known: {error.message}")
        return found
    if not elsewhere:
        return found
    return replace(
        found, state=Standing.RELEASED, public=True, missing=(), said="released and complete, finished elsewhere",
        next=(f"release show {plan.version}", f"{document.command(plan)}   (closes it here)"),
    )  # fmt: skip


def _without_plan(state: ReleaseState) -> ReleaseStatus:
    decisions = state.decisions()
    if not decisions.resolved and not decisions.skipped:
        raise UsageError(
            f"nothing is known of {state.version} in this clone",
            remedy=f"plan it: release plan {state.version}; read a finished one: release show {state.version}",
            code="no-release",
        )
    said = f"{len(decisions.resolved)} resolved and {len(decisions.skipped)} skipped picks are remembered"
    return ReleaseStatus(
        version=state.version, state=Standing.DECIDED, done=(), missing=(), public=False, said=said,
        next=(f"release cut {state.version}", f"release abort {state.version}"),
    )  # fmt: skip


def _proposed(plan: Plan, url: str, done: Sequence[str] = (), again: str = "publish") -> ReleaseStatus:
    """A release whose request people have not merged, as far as this clone knows."""
    return ReleaseStatus(
        version=plan.version,
        state=Standing.PROPOSED,
        done=tuple(done),
        missing=(f"merge {plan.request} into {plan.branch}",),
        public=False,
        said=f"waits for its request to be merged into {plan.branch}: {url}",
        next=(f"release {again} {plan.version}   (once it is merged)", f"release abort {plan.version}"),
    )


def _asked(session: Session, standing: ReleaseStatus) -> ReleaseStatus:
    if standing.state is not Standing.PROPOSED or session.options.offline:
        return standing
    state = ReleaseState(session.repository, standing.version)
    plan = document.recall(Journal(state.journal_path, session.now).plan() or {}, str(state.journal_path))
    return _with_request(session, standing, plan)


def _with_request(session: Session, standing: ReleaseStatus, plan: Plan) -> ReleaseStatus:
    """What became of the request of a proposed release, as git and the forge tell."""
    from orchestrator.release.modes import landing

    again, *others = (each.partition("   (")[0] for each in standing.next)
    try:
        landed = landing.find_landed(session, plan)
        if landed is None:
            landing.refuse_dead(session, plan)
            return standing
    except RemoteError as error:
        session.terminal.note(f"note: what became of the request is not known: {error.message}")
        return standing
    except ReleaseError as error:
        return replace(standing, said=error.message, next=(f"{again}   (says what to do)", *others))
    said = f"its request is merged into {plan.branch}, as {landed.commit[:12]}; the tag is not made yet"
    return replace(standing, said=said, missing=("tag what landed",), next=(again, *others))


def _with_plan(state: ReleaseState, journal: Journal, data: Any) -> ReleaseStatus:
    plan = document.recall(data, str(state.journal_path))
    titles = {task.key: task.title for task in steps.tasks(plan)}
    done = [key for key in plan.tasks if journal.outcome(key) is not None]
    missing = [key for key in plan.tasks if key not in done and not journal.closed]  # adopted: done elsewhere
    public = bool(plan.tag_object) or LAND in done
    unsure = not public and bool(unseen(journal))
    following: tuple[str, ...]
    again = document.command(plan)
    failed = _failure(journal)
    if plan.request and not plan.landed and PROPOSE in done and not journal.closed:
        url = (journal.outcome(PROPOSE) or {}).get("url", "")
        return _proposed(plan, url, [titles.get(key, key) for key in done], "cut")
    alone = "the tag is not public; what landed is on its branch" if plan.landed else "nothing is public"
    if plan.one_by_one and journal.touched(LAND):
        alone = "the tag is not public, the branch may be"
    if journal.closed and plan.built_by and not journal.outcome(RECORD):
        how, said = Standing.TAGGED, f"branch and tag are public; {TO_BE_BUILT[plan.built_by]}"
        following = (f"release publish {plan.version}   (builds it here)",)
    elif journal.closed:
        look = "show" if state.repository.keeps_records else "verify"
        how, said, following = Standing.RELEASED, "released and complete", (f"release {look} {plan.version}",)
    elif failed:
        how, said = (
            Standing.FAILED,
            f"stopped at `{titles.get(failed.task, failed.task)}`: {failed.body.get('message')}",
        )
        following = (again,) if public else (again, f"release abort {plan.version}")
    else:
        how, said = Standing.INTERRUPTED, "broken off"
        following = (again,) if public else (again, f"release abort {plan.version}")
    if not journal.closed:
        said += "; the push was begun and may be public" if unsure else ""
        said += "" if unsure else "; branch and tag are public" if public else f"; {alone}"
    return ReleaseStatus(
        version=state.version,
        state=how,
        done=tuple(titles.get(key, key) for key in done),
        missing=tuple(titles.get(key, key) for key in missing),
        public=public,
        said=said,
        next=following,
    )


def _failure(journal: Journal) -> JournalRecord | None:
    """What ended the last run; None where it was broken off.  Tasks beside the one that failed may end after it."""
    for record in reversed(journal.records):
        if record.kind == "failed" and record.body.get("code") != "stopped":
            return record
        if record.kind not in ("failed", "finished"):
            return None
    return None
