"""What single commits of a release branch are: picks as they were judged, and release commits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins, picked
from orchestrator.core.commit_message.release import released_versions
from orchestrator.core.dataclass import dataclass
from orchestrator.guard.decisions import RefusedCommitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.guard.decisions import Protected
    from orchestrator.picks.classify import Classification
    from orchestrator.picks.sources import Source


MOST_COMMITS = 2000  # new ones on a release branch in one push
LARGEST_COMMIT = 1024 * 1024  # bytes
_AHEAD = 86_400  # seconds that a committer's clock may be ahead of ours
_SIGNED = re.compile(rb"\ngpgsig [^\n]*(?:\n [^\n]*)*\Z")
MAKE_AGAIN = "make it again: release cut"


@dataclass(frozen=True, kw_only=True)
class ReleaseCommits:
    """Which commits are release commits, by what release.yaml says of them.

    Where it leaves the version open, a tag or a proposal tells it; else it is the first that has no tag.
    """

    config: Config
    tags: Collection[str]
    told: Callable[[str, str], str]  # (version, commit) -> the message of its tag, "" where none is put on it

    def version(self, commit: Commit) -> str:
        """The version that it is the release commit of, "" for any other commit."""
        if origins(commit.text):
            return ""
        found = released_versions(self.config, commit.subject)
        told = (each for each in found if len(found) > 1 and self.told(each, commit.sha))
        open_ = (each for each in found if each not in self.tags)
        return next(told, "") or next(open_, "") or next(iter(found), "")

    def first(self, commits: Sequence[Commit]) -> Sequence[Commit]:
        """The commits up to the first release commit, all where there is none."""
        end = next((number for number, commit in enumerate(commits, 1) if self.version(commit)), len(commits))
        return commits[:end]


def made_of(source: Source, commits: Sequence[Commit], ours: str) -> str:
    """The tree that was made of a source, by the message of the next commit; `ours`, as before, where none was."""
    mine = bool(commits) and origins(commits[0].text)[-1:] == (source.commit.sha,)
    return commits[0].tree if mine else ours


def differs(commit: Commit, source: Source, verdict: Classification, signer: str) -> str:
    """In what a commit is not the pick, "" where it is; whoever picked, and when, is free.

    With a `signer` it is signed off by that one, perhaps twice, as `git cherry-pick -s -x` does it.
    """
    if not verdict.tree or commit.tree != verdict.tree:
        return "its files differ"
    if commit.author != verdict.like.author:
        return "its author differs"
    message = verdict.like.message
    if commit.message == picked(message, source.commit.sha, signer):
        return ""
    if not signer:
        return "its message differs"
    plain = picked(message, source.commit.sha)
    if commit.message == plain + f"Signed-off-by: {signer}\n".encode():
        return ""
    return "its message differs" if commit.message != plain else f"it is not signed off by {signer}"


def well_formed(scratch: Scratch, protected: Protected, sha: str) -> Commit:
    """A commit with nothing in it that a pick has not, a merge only further parents.  Raises for another."""
    if scratch.header(sha)[1] > LARGEST_COMMIT:
        raise RefusedCommitError(
            f"commit {sha[:12]} is larger than {LARGEST_COMMIT} bytes",
            where=protected.config.branch,
            remedy=MAKE_AGAIN,
            code="malformed-commit",
        )
    data, commit = scratch.read(sha)[1], scratch.commit(sha)
    head = data.partition(b"\n\n")[0]
    names = [line.partition(b" ")[0] for line in _SIGNED.sub(b"", head).split(b"\n")]
    if names != [b"tree", *[b"parent"] * len(commit.parents), b"author", b"committer"]:
        said = b", ".join(names[:9]).decode(errors="replace")
        says = f"has other headers than a pick: {said}"
        raise refused(scratch, protected, sha, says, "malformed-commit", MAKE_AGAIN)
    if b"\0" in data or not 0 <= commit.when.seconds <= protected.now + _AHEAD:
        says = f"has a date ({commit.when}) or text that no pick has"
        raise refused(scratch, protected, sha, says, "malformed-commit", MAKE_AGAIN)
    return commit


def refused(scratch: Scratch, protected: Protected, sha: str, says: str, code: str, remedy: str) -> RefusedCommitError:
    """The error of a commit; `says` ends a sentence that begins with it."""
    subject = scratch.commit(sha).subject
    where = f"{protected.config.branch}@{sha[:12]}"
    return RefusedCommitError(f"commit {sha[:12]} {subject[:60]!r} {says}", where=where, remedy=remedy, code=code)
