"""The history of a clone that was cut off (`--depth`): its commits and folders, in one fetch, before anything is asked.

The contents of files stay where they are: the clone is a partial one then, and what a release reads of them is brought
with all else (session/clone/contents.py).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.core.text import word
from orchestrator.git.process import FETCH
from orchestrator.session.clone.packs import Packs

if TYPE_CHECKING:
    from orchestrator.git.repository import Repository


def have_history(repository: Repository, remote: str, *, offline: bool = False) -> None:
    """Have every commit of the remote's branches and tags.  No ref of this clone changes.

    Raises UsageError for a clone that is cut off and stays so, RemoteError when the remote cannot be read.
    """
    if not repository.is_shallow():
        return
    if offline or not repository.remote_url(remote):
        raise _cut_off(repository, remote)
    names = every_branch_and_tag(repository, remote)
    packs, begun = Packs(repository), time.monotonic()
    for how in (("--filter=blob:none",), ("--no-filter",)):  # the second for a server that cannot do the first
        ended = repository.git.talk(
            remote, *packs.KEPT, *FETCH, "--unshallow", *how, "--stdin", remote, stdin=names
        )  # fmt: skip
        if ended.status == 0:
            break
    repository.became_partial()
    if repository.is_shallow():
        raise _cut_off(repository, remote)
    repository.git.silence.tell(
        f"this clone was cut off (--depth): fetched its history from {remote}, {packs.said(time.monotonic() - begun)}"
    )


def every_branch_and_tag(repository: Repository, remote: str) -> bytes:
    """The names of all branches and tags of the remote, as `fetch --stdin` reads them.  Raises RemoteError."""
    refs = repository.ls_remote(remote, "refs/heads/*", "refs/tags/*").refs
    return "".join(f"{ref}\n" for ref in refs).encode("utf-8", "surrogateescape")


def _cut_off(repository: Repository, remote: str) -> UsageError:
    return UsageError(
        "this clone is shallow: its history is cut off",
        where=str(repository.top),
        remedy=f"git fetch --unshallow --tags {word(remote)}",
        code="shallow-clone",
    )
