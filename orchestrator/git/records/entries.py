"""The tree of a branch that keeps records: a file for each ref that it stands for, `refs/` left out.

A blob is itself.  A commit is a gitlink, and an ancestor of the branch, which keeps it on the server.  A tag object is
the text of it.  Other files may lie beside them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import NOTES
from orchestrator.core.plan import CANDIDATES
from orchestrator.core.record import PREFIX as RECORDS
from orchestrator.git.process import FETCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.process import Git
    from orchestrator.git.records.place import Clone

_FOLDERS: Final = (RECORDS, "refs/release-sources/", "refs/release-yanks/", CANDIDATES)
_GITLINK: Final = "160000"


@dataclass(frozen=True, kw_only=True)
class RecordsBranch:
    """The branch of a remote that stands for refs."""

    name: str
    remote: str

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.name}"

    @property
    def here(self) -> str:
        """What a clone has last fetched of it."""
        return f"refs/remotes/{self.remote}/{self.name}"

    @property
    def branches(self) -> tuple[str, ...]:
        """Which has the sources of releases, and nobody works there."""
        return (self.ref, self.here)

    def concerns(self, patterns: Sequence[str]) -> bool:
        """Whether what a remote is asked for may be kept on the branch; no pattern asks for all."""
        return not patterns or not all(each.startswith(("refs/heads/", "refs/tags/", "HEAD")) for each in patterns)

    def keeps(self, ref: str) -> bool:
        """Whether a ref is one that it stands for."""
        return stands_for(ref)

    def asks(self, patterns: Sequence[str]) -> tuple[str, ...]:
        """The branch itself."""
        return (self.ref,) if patterns else ()

    def complete(
        self, repository: Clone, remote: str, refs: Mapping[str, str], patterns: Sequence[str]
    ) -> dict[str, str]:
        """The remote's refs, and what the branch keeps of those that it is asked for."""
        tip = refs.get(self.ref, "")
        if tip and repository.git.attempt("cat-file", "-e", f"{tip}^{{commit}}").status:
            repository.fetch(remote, self.ref)
        kept = entries(repository.git, tip) if tip else {}
        kept = {ref: sha for ref, sha in kept.items() if matches(ref, patterns)}
        if kept:
            self._have(repository.git, remote, tip, frozenset(kept.values()))
        return {**refs, **kept}

    def _have(self, git: Git, remote: str, tip: str, ids: frozenset[str]) -> None:
        """The history of a clone that was cut off comes without files: those of the branch, in one fetch."""
        for ways in (("-c", "fetch.negotiationAlgorithm=noop"), ()):  # the second where none is given by its id
            rows = git.run("rev-list", "--objects", "--no-walk", "--missing=print", tip).lines()
            lacking = sorted(ids & {row.removeprefix("?") for row in rows if row.startswith("?")})
            if not lacking:
                return
            names = "".join(f"{name}\n" for name in (lacking if ways else [self.ref])).encode()
            again = () if ways else ("--refetch",)
            git.talk(remote, *ways, *FETCH, *again, "--no-filter", "--stdin", "--", remote, stdin=names)

    def fetched(self, repository: Clone, patterns: Sequence[str]) -> dict[str, str]:
        """Ref -> object of what the branch keeps, of those that `git for-each-ref` is asked for."""
        tip = repository.resolve(self.here)
        return self._named(repository.git, tip, patterns) if tip else {}

    def _named(self, git: Git, tip: str, patterns: Sequence[str]) -> dict[str, str]:
        wanted = tuple(f"{each.rstrip('/')}/" for each in patterns)
        if wanted and not any(stands_for(each) or stands_for(each[:-1]) for each in wanted):
            return {}
        return {ref: sha for ref, sha in entries(git, tip).items() if not wanted or f"{ref}/".startswith(wanted)}


def stands_for(ref: str) -> bool:
    """Whether a ref is one that a branch may keep."""
    return ref.startswith(_FOLDERS) or ref == NOTES


def matches(ref: str, patterns: Sequence[str]) -> bool:
    """As `git ls-remote` reads patterns: a name, its last parts, or a glob; all match none."""
    return not patterns or any(fnmatchcase(ref, each) or f"/{ref}".endswith(f"/{each}") for each in patterns)


def entries(git: Git, tip: str) -> dict[str, str]:
    """Ref -> object of all that a commit of the branch keeps and that is here.

    Tag objects are in the store from now on.
    """
    found = {}
    links = []
    for row in git.run("ls-tree", "-r", "-z", "--full-tree", tip).fields():
        meta, _, path = row.partition("\t")
        mode, _, sha = meta.split(" ")
        ref = f"refs/{path}"
        if not stands_for(ref):
            continue
        if mode == _GITLINK:
            links.append(sha)
        elif ref.startswith(CANDIDATES):
            sha = _tag_of(git, sha)
        if sha:
            found[ref] = sha
    lacking = set(links) - _here(git, links)
    return {ref: sha for ref, sha in found.items() if sha not in lacking}


def linked(git: Git, tip: str) -> list[str]:
    """The commits that it says to keep."""
    rows = (row.partition("\t")[0].split(" ") for row in git.run("ls-tree", "-r", "-z", "--full-tree", tip).fields())
    return [sha for mode, _, sha in rows if mode == _GITLINK]


def _here(git: Git, ids: Iterable[str]) -> set[str]:
    feed = "".join(f"{sha}\n" for sha in ids).encode()
    rows = git.run("cat-file", "--batch-check", stdin=feed).lines() if feed else []
    return {row.split(" ")[0] for row in rows if not row.endswith(" missing")}


def _tag_of(git: Git, blob: str) -> str:
    """The tag object of this text, "" where it is none."""
    data = git.run("cat-file", "blob", blob).stdout
    return git.attempt("hash-object", "-w", "-t", "tag", "--stdin", stdin=data).text.strip()


def row_of(git: Git, ref: str, sha: str) -> tuple[str, str]:
    """(what keeps an object as `ref`, for `git update-index -z --index-info`; the commit to keep with it or "")."""
    path, kind = ref.removeprefix("refs/"), git.text("cat-file", "-t", sha) if sha else ""
    if kind == "":
        return f"0 {'0' * 40}\t{path}\0", ""
    if kind == "commit":
        return f"{_GITLINK} {sha}\t{path}\0", sha
    if kind == "tag":
        text = git.run("cat-file", "tag", sha).stdout
        blob = git.run("hash-object", "-w", "--stdin", stdin=text).text.strip()
        return f"100644 {blob}\t{path}\0", git.text("rev-parse", f"{sha}^{{commit}}")
    return f"100644 {sha}\t{path}\0", ""
