"""Undo a release that is not public: remove every trace of it in this clone."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import DecisionError, RefusedError, UsageError
from orchestrator.core.plan import LAND, PROPOSE, UPLOAD
from orchestrator.core.text import word, words
from orchestrator.git.merge.excluded import part_of
from orchestrator.git.repository import begun_in
from orchestrator.picks.resolution import strays
from orchestrator.plan import document
from orchestrator.plan.picker import write_pick
from orchestrator.release.adopt import finished_elsewhere
from orchestrator.release.cut import Cut, cut_locked, refuse_offline
from orchestrator.release.modes import landing
from orchestrator.release.modes.proposed import proposed_elsewhere
from orchestrator.session.heal import heal
from orchestrator.session.journal import DamagedStateError, Journal
from orchestrator.session.published import remote_name
from orchestrator.session.pushes import Pushes, finish_by_tag
from orchestrator.session.state import Paused, ReleaseState, in_progress

if TYPE_CHECKING:
    from orchestrator.core.plan import PlannedImage
    from orchestrator.session.session import Session


FINISHED = "was finished elsewhere and stays released"


def abort(session: Session, version: str) -> tuple[str, list[str]]:
    """Forget a release that is not public.  Returns its version and what is left elsewhere.

    One that was proposed from another clone is taken back.
    Raises RefusedError once the tag is on the remote.
    """
    with session.lock():
        state = chosen(session, version)
        if not state.directory.exists() and not session.repository.refs(state.prefix.rstrip("/")):
            if plan := proposed_elsewhere(session, state.version):
                return state.version, landing.withdraw(session, plan)
            raise UsageError(
                f"there is no release {state.version} in progress here",
                remedy="see what is in progress in this clone: release status",
                code="no-release",
            )
        heal(state, session.terminal.note)
        left = _must_be_private(session, state)
        state.destroy()
    return state.version, left


def _must_be_private(session: Session, state: ReleaseState) -> list[str]:
    pushes = Pushes(state, session.now)
    pushes.refuse_under_way()
    try:
        journal = Journal(state.journal_path, session.now)
        data = journal.plan()
        plan = document.recall(data, str(state.journal_path)) if data else None
    except DamagedStateError:
        # nobody can tell how far it came: ask
        remote = remote_name(session)
        by_tag = finish_by_tag(remote, state.version)
        _refuse_public(session, state, remote, {state.ref("tag"), *pushes.earlier()}, again=by_tag)
        return []
    if plan is None:
        return []
    if finished_elsewhere(session, plan, journal):
        lacks = f"notes that it lacks are written by: release publish {plan.version}"
        return [f"{plan.version} {FINISHED}: tag and record are on {plan.remote}; {lacks}"]
    if journal.touched(LAND) or pushes.earlier():
        again = document.finishing(plan)
        _refuse_public(session, state, plan.remote, {state.ref("tag") or plan.tag_object, *pushes.earlier()}, again)
        pushes.refuse_arriving(plan.remote, again)
    left = [f"{plan.version} was public once, and its tag is gone from {plan.remote}"] if journal.outcome(LAND) else []
    left += landing.withdraw(session, plan) if plan.landed or journal.touched(PROPOSE) else []
    if journal.touched(LAND) and plan.one_by_one:
        left += landing.stays(session, plan)
    return left + [_left(image, journal) for image in plan.builds if journal.touched(image.task(UPLOAD))]


def _left(image: PlannedImage, journal: Journal) -> str:
    how = "stays" if journal.outcome(image.task(UPLOAD)) else "may be"
    return f"the candidate image {image.candidate} {how} in the registry (a private name; no version tag points at it)"


def _refuse_public(session: Session, state: ReleaseState, remote: str, tag_objects: set[str], again: str) -> None:
    ref = f"refs/tags/{state.version}"
    if session.repository.ls_remote(remote, ref).refs.get(ref) in tag_objects - {""}:
        raise RefusedError(
            f"{state.version} is public already: its tag is on {remote}",
            where=str(state.journal_path),
            remedy=f"finish it: {again}",
            code="already-public",
        )


def chosen(session: Session, version: str) -> ReleaseState:
    """The release meant: the one named, else the only one that is paused.  Raises UsageError."""
    if version:
        return ReleaseState(session.repository, version)
    states = [ReleaseState(session.repository, name) for name in in_progress(session.repository)]
    paused = [state for state in states if state.paused()]
    open_ = paused or [state for state in states if not Journal(state.journal_path, session.now).closed]
    if len(open_) == 1:
        return open_[0]
    names = ", ".join(state.version for state in open_)
    raise UsageError(
        f"several releases are open: {names}" if open_ else "no release is in progress here",
        remedy="name the version" if open_ else "release plan, then release cut",
        code="which-release" if open_ else "no-release",
    )


def _paused(state: ReleaseState) -> Paused:
    paused = state.paused()
    if paused is None or not state.worktree.exists:
        how = "is not paused on a conflict" if paused is None else f"is paused, but {state.worktree.path} is gone"
        raise UsageError(
            f"{state.version} {how}",
            remedy=f"go on with it: release cut {state.version}; see where it stands: release status",
            code="not-paused",
        )
    return paused


def resume(session: Session, version: str, *, yes: bool) -> Cut:
    """Take the person's resolution and go on with all remaining picks."""
    refuse_offline(session)
    with session.lock():
        state = chosen(session, version)
        heal(state, session.terminal.note)
        paused = _paused(state)
        _must_go_on(session, state, paused)
        tree = state.worktree.resolution(paused.tip, f"release continue {state.version}")
        source = session.scratch.commit(paused.source)
        _refuse_strays(session, state, paused, tree)
        commit = write_pick(
            session.scratch, paused.tip, tree, source, source, session.repository.identity()
        )  # its message is written when the pick is made of it
        state.adopt(session.scratch, {f"resolved/{paused.source}": commit})
        state.unpause()
        return _go_on(session, state, paused, yes=yes)


def _refuse_strays(session: Session, state: ReleaseState, paused: Paused, tree: str) -> None:
    """Refuse a resolution in files that the pick has nothing to do with: the server and the audit refuse it too."""
    scratch = session.scratch
    again = paused.applied in ("", state.ref(f"resolved/{paused.source}"))  # a resolution that conflicts in its turn
    commit = scratch.commit(paused.source if again else paused.applied)
    parent = next(iter(commit.parents[max(paused.mainline if again else 1, 1) - 1 :]), "")
    part = part_of(scratch, commit, parent, paused.exclude) if paused.exclude else None
    commit = part.commit if part else commit
    if files := strays(scratch, commit, parent, scratch.tree_of(paused.tip), tree, paused.options):
        back = f"git restore --source={paused.tip[:12]} --staged --worktree -- {words(files)}"
        raise DecisionError(
            f"the resolution changes {words(files[:5], ', ')}, which neither the fix nor the conflict touches",
            where=str(state.worktree.path),
            remedy=f"cd {word(str(state.worktree.path))} && {back} && release continue {state.version}"
            "; a commit that does more is declared as `backport:` of the fix",
            code="resolution-strays",
        )


def skip(session: Session, version: str, *, reason: str, yes: bool) -> Cut:
    """Leave the paused pick out, with a reason that the record keeps, and go on."""
    if not reason.strip():
        raise UsageError("a skip needs a reason", remedy='release skip --reason "..."', code="no-reason")
    refuse_offline(session)
    with session.lock():
        state = chosen(session, version)
        heal(state, session.terminal.note)
        paused = _paused(state)
        _must_go_on(session, state, paused)
        state.skip(paused.source, reason.strip())
        state.unpause()
        return _go_on(session, state, paused, yes=yes)


def _go_on(session: Session, state: ReleaseState, paused: Paused, *, yes: bool) -> Cut:
    """The rest of the cut, under the same lock, with the release.yaml that the paused cut read."""
    given: dict[str, Any] = {}
    home = _home(session, state)  # the shell may stand in another worktree, or in the one that is gone
    if not session.options.config and (paused.config or home != session.repository.top):
        given |= {"config": paused.config, "directory": str(home)}
    if session.options.image is None and paused.image is not None:
        given |= {"image": paused.image}
    with session.with_options(**given) if given else nullcontext(session) as again:
        return cut_locked(again, state.version, yes=yes or paused.yes)


def _home(session: Session, state: ReleaseState) -> Path:
    """The checkout that the release was begun in; where somebody removed that, the one that the command stands in."""
    home = begun_in(state.worktree.path.parent)
    return home if home and home.is_dir() else session.repository.top


def _must_go_on(session: Session, state: ReleaseState, paused: Paused) -> None:
    """Raises UsageError before anything is decided where there is no release.yaml to go on with."""
    given = session.options.config or paused.config
    home = _home(session, state)
    path = session.config_file if session.options.config else Path(given) if given else home / "release.yaml"
    if path.is_file():
        return
    begun = begun_in(state.worktree.path.parent) or home
    gone = "" if begun.is_dir() else ", which is gone"
    raise UsageError(
        f"{state.version} was begun in {begun}{gone}: its release.yaml is not at {path}",
        where=str(path),
        remedy=f"put it there again, or name it: release continue {state.version} --config FILE"
        f"   | release abort {state.version}",
        code="config-missing",
    )
