"""Trees and files that a partial clone (`--filter`) has not: all that a command may read of them, in one fetch.

git itself fetches them where they are first read, one process each, and its upload-pack, by which the picks come out
of the scratch store, fetches nothing at all (since 2.39.4).  Here one walk names everything that is missing of the
commits since the histories parted, and one fetch brings it from the remote that promised it; objects are added to the
clone as git's own fetches add them, and nothing else changes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.core.text import word
from orchestrator.git.process import FETCH
from orchestrator.session.clone.history import every_branch_and_tag
from orchestrator.session.clone.packs import Packs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from orchestrator.git.conversation import Output
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

    _How = Callable[[Repository, str, Sequence[str]], Output]

# The objects are named one by one: what else the two sides have in common does not matter.
_ASKED_FOR = ("-c", "fetch.negotiationAlgorithm=noop", *Packs.KEPT)


def have_contents(
    repository: Repository, scratch: Scratch, tips: Iterable[str], more: Iterable[str] = (), *, offline: bool = False
) -> None:
    """Have all files of what these tips have since they parted, of where they did, and of `more` commits and parents.

    Raises UsageError where it cannot be had, RemoteError when the remote stops answering.
    """
    partial = next(((name, kept) for name, kept in repository.promisors.items() if kept), None)
    if partial is None:
        return
    commits = _commits(scratch, list(dict.fromkeys(tips)), list(dict.fromkeys(more)))
    missing = _missing(scratch, commits)
    if missing and not offline:
        remote = partial[0]
        _fetch(repository, remote, missing, _all_at_once)
        if missing := _missing(scratch, commits):  # a server that gives no object by its id
            _fetch(repository, remote, missing, _everything_again)
            missing = _missing(scratch, commits)
    if missing:
        raise _partial(repository, *partial)


def have_files(repository: Repository, scratch: Scratch, trees: Sequence[str], paths: Sequence[str]) -> None:
    """Have the files at these paths of each tree.  Raises RemoteError when the remote stops answering."""
    partial = next(((name, kept) for name, kept in repository.promisors.items() if kept), None)
    if partial is None or not paths:
        return
    listed = ("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", "--format=%(objectname)")
    found = [sha for tree in trees for sha in scratch.git.run(*listed, tree, "--", *paths).fields()]
    if missing := [sha for sha in dict.fromkeys(found) if not scratch.has(sha)]:
        _fetch(repository, partial[0], missing, _all_at_once)


def _commits(scratch: Scratch, tips: Sequence[str], more: Sequence[str]) -> list[str]:
    here = [sha for sha in tips if scratch.is_commit(sha)]
    alone = [sha for sha in more if scratch.is_commit(sha)]
    found = dict.fromkeys(alone)
    found |= dict.fromkeys(sha for each in alone for sha in scratch.commit(each).parents)
    if here:
        common = scratch.git.attempt("merge-base", "--octopus", *here)
        start = [f"^{common.text.strip()}"] if common.status == 0 else []
        walked = scratch.rev_list("--boundary", *here, *start)
        found |= dict.fromkeys(line.removeprefix("-") for line in walked)
        found |= dict.fromkeys(here)
    return list(found)


def _missing(scratch: Scratch, commits: Sequence[str]) -> list[str]:
    """Objects that these commits are made of and that are not here; of a missing tree, nothing below it is known."""
    if not commits:
        return []
    walk = ("rev-list", "--objects", "--no-walk=unsorted", "--missing=print", "--stdin")
    listed = scratch.git.run(*walk, stdin="".join(f"{sha}\n" for sha in commits).encode())
    return [line[1:].decode() for line in listed.stdout.split(b"\n") if line.startswith(b"?")]


def _fetch(repository: Repository, remote: str, missing: Sequence[str], how: _How) -> None:
    packs, begun = Packs(repository), time.monotonic()
    how(repository, remote, missing)
    repository.git.silence.tell(
        f"this clone is partial, and lacks {len(missing)} objects that are needed: fetched "
        f"{'everything' if how is _everything_again else 'them at once'} from {remote}, "
        f"{packs.said(time.monotonic() - begun)}"
    )


def _all_at_once(repository: Repository, remote: str, missing: Sequence[str]) -> Output:
    names = "".join(f"{sha}\n" for sha in missing).encode()
    return repository.git.talk(remote, *_ASKED_FOR, *FETCH, "--no-filter", "--stdin", remote, stdin=names)


def _everything_again(repository: Repository, remote: str, _missing: Sequence[str]) -> Output:
    names = every_branch_and_tag(repository, remote)
    return repository.git.talk(remote, *FETCH, "--refetch", "--no-filter", "--stdin", remote, stdin=names)


def _partial(repository: Repository, name: str, kept: str) -> UsageError:
    return UsageError(
        f"this clone is partial (--filter={kept}), and lacks objects that are needed",
        where=str(repository.top),
        remedy=f"git fetch --refetch --no-filter {word(name)} && "
        f"git config --unset {word(f'remote.{name}.partialCloneFilter')}",
        code="partial-clone",
    )
