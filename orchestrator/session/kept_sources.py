"""The sources of a release, kept for ever: one commit under a ref of its own, whose parents they are.

A topic branch is deleted once it is merged, and a fork's head was never ours: without such a ref git collects the
commits that a release was picked from, and nobody can prove it again.  The commit has no files and a fixed text, so it
says nothing but which commits these are: the same version with the same sources always gives the same id.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.errors import RemoteError
from orchestrator.core.plan import candidate_sources_ref

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

PREFIX = "refs/release-sources/"
_FULL = re.compile(r"[0-9a-f]{40}")
_TEXT = "sources of {}\n\nKept so that the release can be proved when their branches are gone.\n"


def sources_ref(version: str) -> str:
    """The ref that keeps the sources of a version, here and on the remote."""
    return f"{PREFIX}{version}"


def keep(scratch: Scratch, version: str, sources: Sequence[str], head: str) -> str:
    """Write the commit that keeps these sources into a scratch store; its id, "" where a source is not here.

    It is by the committer of the release commit `head`, and has its date.
    """
    if not sources or not all(scratch.is_commit(sha) for sha in sources):
        return ""
    release = scratch.commit(head)
    who = f"{release.committer} {release.when}".encode()
    return scratch.write_commit(
        tree=scratch.write_tree([]),
        parents=tuple(sources),
        author=who,
        committer=who,
        message=_TEXT.format(version).encode(),
    )


def bring(
    repository: Repository,
    scratch: Scratch,
    remote: str,
    refs: Mapping[str, str],
    versions: Sequence[str] | None = None,
) -> None:
    """Have what is kept for these versions, for all when None, in the scratch store; `refs` are the remote's.

    Raises RemoteError when the remote cannot be read.
    """
    wanted = [ref for ref in refs if ref.startswith(PREFIX)] if versions is None else map(sources_ref, versions)
    lacking = [ref for ref in wanted if ref in refs and not scratch.has(refs[ref])]
    if lacking:
        repository.bring(scratch, remote, lacking)


def bring_for(repository: Repository, scratch: Scratch, remote: str, version: str, lacking: Sequence[str]) -> None:
    """Have at hand what release.yaml names for a version and this clone lacks: what it or its proposal keeps, else
    by full ids.

    A server may give a commit that no branch names any more.  What cannot be had stays unknown, and is said to be.
    """
    try:
        proposed = candidate_sources_ref(version)
        refs = repository.ls_remote(remote, sources_ref(version), proposed).refs
        bring(repository, scratch, remote, refs, [version])
        if sources_ref(version) not in refs and proposed in refs and not scratch.has(refs[proposed]):
            repository.bring(scratch, remote, [proposed])
        ids = [name for name in lacking if _FULL.fullmatch(name) and not scratch.is_commit(name)]
        if ids:
            repository.bring(scratch, remote, ids)
    except RemoteError:
        return
