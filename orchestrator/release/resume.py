"""Undo a release that is not public: remove every trace of it in this clone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.plan import document
from orchestrator.plan.picker import write_pick
from orchestrator.release.cut import Cut, cut
from orchestrator.session.journal import DAMAGED, Journal
from orchestrator.session.published import remote_name
from orchestrator.session.state import Paused, ReleaseState, in_progress

if TYPE_CHECKING:
    from orchestrator.session.session import Session


def abort(desk: Session, version: str) -> tuple[str, list[str]]:
    """Forget a release that is not public.  Returns its version and what is left elsewhere.

    Raises RefusedError once the tag is on the remote.
    """
    with desk.lock():
        store = chosen(desk, version)
        if not store.directory.exists() and not desk.repository.refs(store.prefix.rstrip("/")):
            raise UsageError(
                f"there is no release {store.version} in progress here",
                remedy="release status shows what is in progress in this clone",
                code="no-release",
            )
        left = _must_be_private(desk, store)
        store.destroy()
    return store.version, left


def _must_be_private(desk: Session, store: ReleaseState) -> list[str]:
    try:
        journal = Journal(store.journal_path, desk.job.now)
    except UsageError as error:
        if error.code != DAMAGED:
            raise
        _refuse_public(desk, store, remote_name(desk), store.ref("tag"))  # nobody can tell how far it came: ask
        return []
    data = journal.plan()
    if data is None:
        return []
    plan = document.recall(data, str(store.journal_path))
    if journal.touched("land"):
        _refuse_public(desk, store, plan.remote, store.ref("tag") or plan.tag_object)
    return [
        f"the candidate image {image.candidate} stays in the registry (a private name; no tag points at it)"
        for image in plan.images
        if journal.touched(f"upload/{image.reference.rpartition(':')[2]}")
    ]


def _refuse_public(desk: Session, store: ReleaseState, remote: str, tag_object: str) -> None:
    ref = f"refs/tags/{store.version}"
    if tag_object and desk.repository.ls_remote(remote, ref).refs.get(ref, "") == tag_object:
        raise RefusedError(
            f"{store.version} is public already: its tag is on {remote}",
            where=str(store.journal_path),
            remedy=f"finish it: release cut {store.version}",
            code="already-public",
        )


def chosen(desk: Session, version: str) -> ReleaseState:
    """The release meant: the one named, else the only one that is paused.  Raises UsageError."""
    if version:
        return ReleaseState(desk.repository, version)
    stores = [ReleaseState(desk.repository, name) for name in in_progress(desk.repository)]
    paused = [store for store in stores if store.paused()]
    open_ = paused or [store for store in stores if not Journal(store.journal_path, desk.job.now).closed]
    if len(open_) == 1:
        return open_[0]
    names = ", ".join(store.version for store in open_)
    raise UsageError(
        f"several releases are open: {names}" if open_ else "no release is in progress here",
        remedy="name the version" if open_ else "release plan, then release cut",
        code="which-release" if open_ else "no-release",
    )


def _paused(store: ReleaseState) -> Paused:
    paused = store.paused()
    if paused is None or not store.worktree.exists:
        how = "is not paused on a conflict" if paused is None else f"is paused, but {store.worktree.path} is gone"
        raise UsageError(
            f"{store.version} {how}",
            remedy=f"release cut {store.version} goes on with it; release status shows where it stands",
            code="not-paused",
        )
    return paused


def resume(desk: Session, version: str, *, yes: bool) -> Cut:
    """Take the person's resolution and go on with all remaining picks."""
    with desk.lock():
        store = chosen(desk, version)
        paused = _paused(store)
        tree = store.worktree.resolution(paused.tip, f"release continue {store.version}")
        source = desk.scratch.commit(paused.source)
        commit = write_pick(desk.scratch, paused.tip, tree, source, source, desk.repository.identity())
        store.adopt(desk.scratch, commit, f"resolved/{paused.source}")
        store.unpause()
    return cut(_again(desk, paused), store.version, yes=yes or paused.yes)


def skip(desk: Session, version: str, *, reason: str, yes: bool) -> Cut:
    """Leave the paused pick out, with a reason that the record keeps, and go on."""
    if not reason.strip():
        raise UsageError("a skip needs a reason", remedy='release skip --reason "..."', code="no-reason")
    with desk.lock():
        store = chosen(desk, version)
        paused = _paused(store)
        store.skip(paused.source, reason.strip())
        store.unpause()
    return cut(_again(desk, paused), store.version, yes=yes or paused.yes)


def _again(desk: Session, paused: Paused) -> Session:
    """The same desk, reading the release.yaml that the paused cut read."""
    if not desk.job.config and paused.config:
        desk.job = replace(desk.job, config=paused.config)
    return desk
