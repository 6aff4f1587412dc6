"""Forget a release that is not public: every trace of it in this clone goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.plan import document
from orchestrator.release.cut import chosen
from orchestrator.release.status import remote_name
from orchestrator.session.journal import DAMAGED, Journal

if TYPE_CHECKING:
    from orchestrator.session.session import Desk
    from orchestrator.session.state import Store


def abort(desk: Desk, version: str) -> tuple[str, list[str]]:
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


def _must_be_private(desk: Desk, store: Store) -> list[str]:
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


def _refuse_public(desk: Desk, store: Store, remote: str, tag_object: str) -> None:
    ref = f"refs/tags/{store.version}"
    if tag_object and desk.repository.ls_remote(remote, ref).refs.get(ref, "") == tag_object:
        raise RefusedError(
            f"{store.version} is public already: its tag is on {remote}",
            where=str(store.journal_path),
            remedy=f"finish it: release cut {store.version}",
            code="already-public",
        )
