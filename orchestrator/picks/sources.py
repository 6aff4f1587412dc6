"""Declared fixes -> source commits: names resolved, ranges expanded oldest first, contradictions found."""

from __future__ import annotations

import re
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from orchestrator.core.commit_message import reverted
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit, ReleaseError, as_problem
from orchestrator.core.results import Problem
from orchestrator.core.versions import parse_tag
from orchestrator.git.merge.excluded import part_of
from orchestrator.session.branch_state import fetch_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.declaration import Fix
    from orchestrator.git.merge.excluded import WantedPart
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch

_ID = re.compile(r"[0-9a-fA-F]{4,40}")
_FIRST = re.compile(r"[^~^@:{}]+(?=$|[~^])")  # of a revision, what its suffixes (`^`, `~2`) go from


@dataclass(frozen=True, kw_only=True)
class Source:
    """One commit to pick.  `parent` is the tree-giving side ("" for a root commit), `backport` its backport.

    `start` is the A of a range A..B.  What is picked of it, and of the backport, is `change` and `stand_in`.
    """

    fix: Fix
    commit: Commit
    parent: str
    backport: Commit | None = None
    start: str = ""
    scratch: Scratch | None = field(default=None, repr=False, compare=False)  # needed where something is excluded

    @cached_property
    def part(self) -> WantedPart | None:
        """What is picked where files of it are excluded; None where all of it is."""
        return self._part_of(self.commit, self.parent)

    @cached_property
    def stand_in_part(self) -> WantedPart | None:
        """The same of its backport."""
        return self._part_of(self.backport, next(iter(self.backport.parents), "")) if self.backport else None

    def _part_of(self, commit: Commit, parent: str) -> WantedPart | None:
        return part_of(self.scratch, commit, parent, self.fix.exclude) if self.scratch and self.fix.exclude else None

    @property
    def change(self) -> Commit:
        """The commit, without what is excluded of it."""
        return self.part.commit if self.part else self.commit

    @property
    def stand_in(self) -> Commit | None:
        """The backport, without what is excluded of it."""
        return self.stand_in_part.commit if self.stand_in_part else self.backport

    @property
    def applied(self) -> WantedPart | None:
        """What is left of what is applied, where something is left out."""
        return self.stand_in_part if self.backport else self.part

    @property
    def excluded(self) -> tuple[str, ...]:
        """The patterns that something is left out for."""
        return self.applied.without if self.applied else ()

    @property
    def mainline(self) -> int:
        """The parent's number as git wants it: of a range only its merges have one."""
        return 0 if self.fix.range and len(self.commit.parents) < 2 else self.fix.mainline


class Names(Protocol):
    """Who knows what a revision names: a repository, or a scratch store, which knows ids alone."""

    def resolve(self, revision: str, kind: str = "commit") -> str: ...


class UnusableFixError(ReleaseError):
    """A fix that cannot be used; becomes a Problem at once."""

    exit_code = Exit.USAGE


def expand(
    fixes: Sequence[Fix], remote: str, repository: Names, scratch: Scratch
) -> tuple[list[Source], list[Problem]]:
    """Every source commit of the declared fixes, and a problem for each entry that cannot be used."""
    names = _Names(remote, repository, scratch)
    sources: list[Source] = []
    problems: list[Problem] = []
    for fix in fixes:
        try:
            if not fix.is_frozen:
                raise _not_frozen(fix)
            found = names.range(fix) if fix.range else [names.single(fix)]
        except ReleaseError as error:
            error.where = error.where or str(fix.place)
            problems.append(as_problem(error))
            continue
        for source in found:
            first = next((each for each in sources if each.commit.sha == source.commit.sha), None)
            if first:
                problems.append(_twice(source, first))
            else:
                sources.append(source)
    problems += _undone(sources)
    return sources, problems


def known(revision: str, remote: str, repository: Names, scratch: Scratch) -> str:
    """The commit that a revision of release.yaml names, "" where that is not known here."""
    tracked = f"refs/remotes/{remote}/{revision}"
    return repository.resolve(revision) or repository.resolve(tracked) or scratch.resolve(revision)


def unknown(fixes: Sequence[Fix], remote: str, repository: Names, scratch: Scratch) -> list[str]:
    """The revisions in these entries that name nothing here."""
    written = [name for fix in fixes for name in (fix.commit, fix.backport, *fix.range.split("..")) if name]
    return [name for name in dict.fromkeys(written) if not known(name, remote, repository, scratch)]


def moving(fixes: Sequence[Fix], remote: str, repository: Names, scratch: Scratch) -> list[Problem]:
    """A problem, with the id to paste, for each entry that names a commit by what may name another one tomorrow."""
    return [
        Problem(
            code="moving-name",
            message=f"{name!r} is a name that moves: now it is {sha}",
            where=str(fix.place),
            remedy=f"write the id in its place: {sha}",
            exit_code=Exit.USAGE,
        )
        for fix in fixes
        for name in (fix.commit, fix.backport, *fix.range.split(".."))
        if name and (sha := known(name, remote, repository, scratch)) and not _stays(name, remote, repository, scratch)
    ]


def stays(name: str) -> bool:
    """Whether a revision begins with what looks like an id, or like a version: a release has no other in its list."""
    first = _FIRST.match(name)
    return first is not None and (_ID.fullmatch(first[0]) is not None or parse_tag(first[0]) is not None)


def _stays(name: str, remote: str, repository: Names, scratch: Scratch) -> bool:
    """Whether a revision begins with an id, or with a version, which is never moved."""
    first = _FIRST.match(name)
    if not first:
        return False
    sha = known(first[0], remote, repository, scratch)
    return parse_tag(first[0]) is not None or sha.startswith(first[0].lower())


def named(sources: Sequence[Source]) -> tuple[str, ...]:
    """Every commit that release.yaml names for these, each once: to expand it again one must have them all."""
    found: dict[str, None] = {}
    for each in sources:
        found |= dict.fromkeys(sha for sha in (each.commit.sha, each.backport and each.backport.sha, each.start) if sha)
    return tuple(found)


class _Names:
    """Turns what is written in release.yaml into commits."""

    def __init__(self, remote: str, repository: Names, scratch: Scratch) -> None:
        self.remote = remote
        self.repository = repository
        self.scratch = scratch

    def resolve(self, revision: str, fix: Fix) -> Commit:
        """A commit by any revision; branch names of the remote are tried too, and what was brought from there."""
        sha = known(revision, self.remote, self.repository, self.scratch)
        if not sha:
            tree = self.repository.resolve(revision, "object")
            what = "names no commit" if tree else "is not known in this clone"
            raise UnusableFixError(
                f"revision {revision!r} {what}",
                where=str(fix.place),
                remedy=f"{fetch_all(self.remote)}, or correct the id",
                code="unknown-revision",
            )
        return self.scratch.commit(sha)

    def single(self, fix: Fix) -> Source:
        commit = self.resolve(fix.commit, fix)
        backport = self.resolve(fix.backport, fix) if fix.backport else None
        if backport and len(backport.parents) > 1:
            raise UnusableFixError(
                f"backport {backport.sha[:12]} is a merge commit",
                remedy="give a commit with one parent",
                code="backport-is-merge",
            )
        return Source(fix=fix, commit=commit, parent=_parent(commit, fix), backport=backport, scratch=self.scratch)

    def range(self, fix: Fix) -> list[Source]:
        """The commits of `A..B` or `A^..B`, oldest first."""
        first, _, last = fix.range.partition("..")
        start, end = (self.resolve(each, fix) for each in (first, last))
        walk = ("--first-parent",) if fix.mainline else ()
        ids = self.scratch.rev_list("--reverse", "--topo-order", *walk, end.sha, f"^{start.sha}")
        if not ids:
            turned = self.scratch.rev_list("--max-count=1", start.sha, f"^{end.sha}")
            raise UnusableFixError(
                f"range {fix.range} has no commits",
                remedy=f"it is reversed: write {last}..{first}" if turned else "both ends are the same history",
                code="empty-range",
            )
        commits = [self.scratch.commit(sha) for sha in ids]
        merges = [commit for commit in commits if len(commit.parents) > 1]
        if merges and not fix.mainline:
            named = ", ".join(commit.sha[:12] for commit in merges[:5])
            raise UnusableFixError(
                f"range {fix.range} crosses {len(merges)} merge commit(s): {named}",
                remedy="add `mainline: 1`: each merge is picked as a whole; or declare the commits one by one",
                code="range-has-merges",
            )
        return [
            Source(fix=fix, commit=each, parent=_parent(each, fix), start=start.sha, scratch=self.scratch)
            for each in commits
        ]


def _parent(commit: Commit, fix: Fix) -> str:
    """The parent against which the commit's change is taken."""
    number = len(commit.parents)
    if number > 1 and not fix.mainline:
        raise UnusableFixError(
            f"{commit.sha[:12]} {commit.subject!r} is a merge of {number} parents",
            remedy="add `mainline: 1` (the parent whose side is kept), or declare the commits of the merged branch",
            code="merge-needs-mainline",
        )
    if fix.mainline > number and not (fix.range and number):
        raise UnusableFixError(
            f"{commit.sha[:12]} has {number} parent(s), so `mainline: {fix.mainline}` does not exist",
            remedy="leave `mainline` out, or give a smaller number",
            code="bad-mainline",
        )
    return commit.parents[max(fix.mainline, 1) - 1] if number else ""


def _not_frozen(fix: Fix) -> UnusableFixError:
    return UnusableFixError(
        f"which commits request {fix.declared} brought is not written here",
        remedy="write them beside the `pr:`, as `commit:` or `range:`",
        code="request-unknown",
    )


def _twice(source: Source, first: Source) -> Problem:
    return Problem(
        code="fix-twice",
        message=f"{source.commit.sha[:12]} {source.commit.subject!r} is declared twice, first at {first.fix.place}",
        where=str(source.fix.place),
        remedy="remove one of the two entries",
        exit_code=Exit.USAGE,
    )


def _undone(sources: Sequence[Source]) -> list[Problem]:
    """A fix and its own revert in one list."""
    return [
        Problem(
            code="fix-and-its-revert",
            message=f"{source.commit.sha[:12]} reverts {other.commit.sha[:12]}, which is declared too",
            where=str(source.fix.place),
            remedy="remove both entries, or the revert",
            exit_code=Exit.DECISION,
        )
        for number, source in enumerate(sources)
        for name in reverted(source.commit.text)
        for other in sources[:number]
        if other.commit.sha.startswith(name)
    ]
