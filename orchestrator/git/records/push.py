"""Writing what is kept of releases: as refs of their own, or as a commit on the branch that stands for them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError, RefusedError, RemoteError, UsageError
from orchestrator.core.text import word
from orchestrator.git import push
from orchestrator.git.records.entries import RecordsBranch, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.git.repository import Repository

_ATTEMPTS = 10
_NOBODY = "release <release@localhost>"


def push_new_refs(repository: Repository, *, remote: str, refs: Mapping[str, str]) -> None:
    """Create refs on the remote, or find them there with the same objects.  Raises RefTakenError, RemoteError."""
    place = repository.kept_on
    kept = {ref: sha for ref, sha in refs.items() if place and place.keeps(ref)}
    if place and kept:
        state = f"branch and tag are public; {' and '.join(kept)} is not"
        if isinstance(place, RecordsBranch):
            moves = {ref: (sha, "") for ref, sha in kept.items()}
            _move(repository, place, remote, moves, state, push.RefTakenError)
        else:
            place.create(repository, remote, kept, state)
    try:
        push.push_new_refs(repository, remote=remote, refs={ref: sha for ref, sha in refs.items() if ref not in kept})
    except RemoteError as error:
        raise hinted(error, repository) from None


def hinted(error: RemoteError, repository: Repository) -> RemoteError:
    """The error of a server that rejects such refs, or hides them, with the way that needs none."""
    if error.code in ("push-rejected", "notes-rejected", "push-not-visible") and repository.kept_on is None:
        error.remedy += (
            "; a server that takes no such refs: `records: branch NAME`, `registry` or `none` in release.yaml"
        )
    return error


def move_refs(
    repository: Repository, *, remote: str, moves: Mapping[str, tuple[str, str]], state: str, hooks: bool = True
) -> None:
    """As `push.move_refs`; what a branch keeps is moved first."""
    branch = repository.kept_on if isinstance(repository.kept_on, RecordsBranch) else None
    kept = {ref: pair for ref, pair in moves.items() if branch and branch.keeps(ref)}
    if branch and kept:
        _move(repository, branch, remote, kept, state, RefusedError)
    rest = {ref: pair for ref, pair in moves.items() if ref not in kept}
    push.move_refs(repository, remote=remote, moves=rest, state=state, hooks=hooks)


def _move(
    repository: Repository,
    branch: RecordsBranch,
    remote: str,
    moves: Mapping[str, tuple[str, str]],
    state: str,
    refusal: type[MismatchError | RefusedError],
) -> None:
    """A commit on the branch that moves all of them; made again where somebody else was faster."""
    said = ""
    for _ in range(_ATTEMPTS):
        there = repository.ls_remote(remote, branch.ref, *moves).refs
        tip = there.get(branch.ref, "")
        todo = {ref: pair for ref, pair in moves.items() if there.get(ref, "") != pair[0]}
        for ref, (_, old) in todo.items():
            if there.get(ref, "") != old:
                raise refusal(
                    f"{ref} of {branch.name} on {remote} is {there.get(ref, 'not there')[:12]}, and was"
                    f" {old[:12] or 'not there'}",
                    where=branch.ref,
                    remedy=f"read both and find out who made the other: git fetch {word(remote)} {word(branch.name)}"
                    " && git log FETCH_HEAD",
                    code="record-differs" if refusal is push.RefTakenError else "ref-moved",
                    state=state,
                )
        if not todo:
            return
        made = _commit(repository, tip, {ref: new for ref, (new, _) in todo.items()})
        lease = f"--force-with-lease={branch.ref}:{tip}"
        words = (*push.push_to(remote), "--no-verify", lease, "--", remote, f"{made}:{branch.ref}")
        output = repository.git.talk(remote, *words)
        now = repository.ls_remote(remote, branch.ref).branch(branch.name)
        if now == made:
            push.reach_all(repository, remote=remote, leases=(lease,), moves={branch.ref: made})
            return
        said = push.said_by(output)
        if now == tip:
            break
    raise RemoteError(
        f"{' and '.join(moves)} could not be kept on {branch.name} of {remote}: {said}",
        remedy=f"give this user (or the CI job) the right to push {branch.name}, then run the same command again",
        code="push-rejected",
        state=state,
    )


def _commit(repository: Repository, tip: str, refs: Mapping[str, str]) -> str:
    """A commit on `tip` in which these refs are what they are to be; "" removes one."""
    git = repository.git
    rows = [row_of(git, ref, sha) for ref, sha in refs.items()]
    parents = [sha for sha in dict.fromkeys((tip, *(kept for _, kept in rows))) if sha]
    with tempfile.TemporaryDirectory(prefix="release-records-") as where:
        env = {"GIT_INDEX_FILE": str(Path(where) / "index")}
        git.run("read-tree", tip or "--empty", env=env)
        git.run("update-index", "-z", "--index-info", stdin="".join(row for row, _ in rows).encode(), env=env)
        tree = git.run("write-tree", "--missing-ok", env=env).text.strip()
    words = [word for sha in parents for word in ("-p", sha)]
    text = f"release: keep {', '.join(ref.removeprefix('refs/') for ref in refs)}\n".encode()
    return git.run("commit-tree", tree, *words, stdin=text, env=_committer(repository)).text.strip()


def _committer(repository: Repository) -> dict[str, str]:
    """A job that publishes needs no name of its own: what it writes is said by the record."""
    try:
        repository.identity()
    except UsageError:
        name, _, mail = _NOBODY.partition(" <")
        return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", name), ("EMAIL", mail.rstrip(">")))}  # fmt: skip
    return {}
