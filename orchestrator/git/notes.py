"""git notes on source commits (`refs/notes/release`), merged with what others wrote, never over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import RemoteError
from orchestrator.git.process import Git
from orchestrator.git.transfer import said_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.git.repository import Repository

REF = "refs/notes/release"
_THEIRS = "refs/notes/release-remote"
_ATTEMPTS = 5


def publish(repository: Repository, *, remote: str, lines: Mapping[str, str], committer: str) -> None:
    """Add a line to the note of each commit and push; when others pushed meanwhile, merge and try again.

    Raises RemoteError when the remote refuses every time.
    """
    name, _, mail = committer.rstrip(">").partition(" <")
    who = {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail, "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail}
    git = Git(repository.top, env={**repository.git.env, **who, "GIT_NOTES_REF": REF})
    said = ""
    for _ in range(_ATTEMPTS):
        _take_theirs(git, remote)
        for sha, line in lines.items():
            _add(git, sha, line)
        output = git.attempt("push", "--porcelain", "--no-verify", "--no-follow-tags", "--", remote, f"{REF}:{REF}")
        if output.status == 0:
            return
        said = said_by(output)
    raise RemoteError(
        f"the notes could not be pushed: {said[:300]}",
        remedy=f"give this user the right to push {REF}, then run the same command again",
        code="notes-rejected",
        state="the release itself is public and complete",
    )


def _take_theirs(git: Git, remote: str) -> None:
    """Fetch the remote's notes and join them with ours: the union of all lines of each note."""
    fetched = git.attempt(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--", remote, f"+{REF}:{_THEIRS}"
    )
    if fetched.status:
        return  # no notes there yet; an unreachable remote shows at the push
    if git.attempt("rev-parse", "--quiet", "--verify", REF).status:
        git.run("update-ref", REF, _THEIRS)
    else:
        git.run("notes", "merge", "--quiet", "--strategy=cat_sort_uniq", _THEIRS)
    git.run("update-ref", "-d", _THEIRS)


def _add(git: Git, sha: str, line: str) -> None:
    """Other people's lines stay as they are, byte by byte."""
    shown = git.attempt("notes", "show", sha)
    old = shown.stdout if shown.status == 0 else b""
    if line.encode() not in old.split(b"\n"):
        joint = b"" if not old or old.endswith(b"\n") else b"\n"
        git.run("notes", "add", "--force", "--file=-", sha, stdin=old + joint + line.encode() + b"\n")


def read(repository: Repository, sha: str) -> list[str]:
    """The lines of a commit's note, none when it has no note."""
    output = Git(repository.top, env={**repository.git.env, "GIT_NOTES_REF": REF}).attempt("notes", "show", sha)
    return output.lines() if output.status == 0 else []
