"""Ways in which a commit may have come about: by its message, its tag, an equal change; and the commits themselves."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import copied_from, reverted
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.git import batch, changes
from orchestrator.git.objects import EMPTY_TREE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.changes import CommitChange
    from orchestrator.git.merge.submodules import Held
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch

TRAILER, ITSELF, BACKPORT = "trailer", "itself", "backport"


@dataclass(frozen=True, kw_only=True)
class PossibleOrigin:
    """A way in which a commit may have come about: the change of a source, or what takes a commit back."""

    target: str
    source: str
    parent: str  # of the source, "" for a root commit
    signal: str
    mainline: int = 0
    backward: bool = False
    part: str = ""  # a commit that stands for what is not excluded of the source
    options: str = ""  # with which git merges it, with blanks between

    @property
    def change(self) -> str:
        """The commit whose change it is."""
        return self.part or self.source


@dataclass(kw_only=True)
class CommitReader:
    """Commits by id, and their changes; read in a few processes."""

    scratch: Scratch
    commits: dict[str, Commit] = field(default_factory=dict)
    links: dict[PossibleOrigin, Held] = field(default_factory=dict)  # the merges in which both sides moved submodules
    files: dict[tuple[str, str], CommitChange] = field(default_factory=dict)

    def read(self, ids: Iterable[str]) -> None:
        self.commits |= batch.commits(self.scratch, (sha for sha in ids if sha not in self.commits))

    def need(self, ids: Iterable[str]) -> None:
        """As `read`; raises MismatchError for a commit that cannot be read: nobody can tell what it is."""
        ids = list(ids)
        self.read(ids)
        if odd := next((sha for sha in ids if sha not in self.commits), ""):
            raise MismatchError(
                f"commit {odd} is missing or malformed: it and those above it cannot be checked",
                remedy=f"see it with: git cat-file -p {odd}; see more: git fsck",
                code="malformed-commit",
            )

    def compare(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Read the files of these commits, each against the parent given."""
        wanted = [pair for pair in dict.fromkeys(pairs) if pair not in self.files]
        for part in distinct(wanted):
            self.files |= {(change.sha, change.parent): change for change in changes.of(self.scratch, part)}

    def parent(self, sha: str) -> str:
        """The first parent, "" of a root commit."""
        return next(iter(self.commits[sha].parents), "")

    def tree(self, sha: str) -> str:
        return self.commits[sha].tree if sha else EMPTY_TREE

    def resolve(self, names: Iterable[str]) -> dict[str, str]:
        """Full ids of the commits named, by their full or abbreviated ids."""
        names = list(dict.fromkeys(names))
        self.read(name for name in names if len(name) == 40)
        found = {name: name for name in names if name in self.commits}
        for name in names:
            if len(name) < 40 and (sha := self.scratch.resolve(name)):
                found[name] = sha
        self.read(found.values())
        return {name: sha for name, sha in found.items() if sha in self.commits}


def distinct(pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """The pairs as maps, a commit once in each: a merge is compared with several parents."""
    maps: list[dict[str, str]] = []
    for sha, parent in pairs:
        place = next((each for each in maps if sha not in each), None)
        if place is None:
            place = {}
            maps.append(place)
        place[sha] = parent
    return maps


# ------------------------------------------------------------------ what a commit says it is


def claimed(
    known: CommitReader, targets: Sequence[str], told: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[PossibleOrigin]], dict[str, tuple[str, ...]]]:
    """Target -> what its tag (`told`) and its message say it is, likeliest first; target -> named ids not here."""
    spoken = {sha: reversed(copied_from(known.commits[sha].text)) for sha in targets}
    named = {sha: tuple(dict.fromkeys((*told.get(sha, ()), *spoken[sha]))) for sha in targets}
    undone = {sha: () if named[sha] else reverted(known.commits[sha].text) for sha in targets}
    ids = known.resolve(name for names in (*named.values(), *undone.values()) for name in names)
    known.read(parent for sha in ids.values() for parent in known.commits[sha].parents)
    claims: dict[str, list[PossibleOrigin]] = {}
    for sha in targets:
        found = [claim for name in named[sha] if name in ids for claim in ways(known, sha, ids[name], TRAILER)]
        found += [_backward(known, sha, ids[name]) for name in undone[sha] if name in ids]
        if found := [claim for claim in found if claim.source != sha]:
            claims[sha] = found
    missing = {sha: gone for sha in targets if (gone := tuple(name for name in named[sha] if name not in ids))}
    return claims, missing


def ways(known: CommitReader, target: str, source: str, signal: str) -> list[PossibleOrigin]:
    """A merge may have been picked against any of its parents."""
    parents = known.commits[source].parents
    if len(parents) < 2:
        return [PossibleOrigin(target=target, source=source, parent="".join(parents), signal=signal)]
    return [
        PossibleOrigin(target=target, source=source, parent=parent, signal=signal, mainline=number)
        for number, parent in enumerate(parents, 1)
    ]


def _backward(known: CommitReader, target: str, source: str) -> PossibleOrigin:
    parents = known.commits[source].parents
    return PossibleOrigin(
        target=target, source=source, parent=parents[0] if parents else "", signal=TRAILER, backward=True
    )


def alike(known: CommitReader, targets: Sequence[str], pool: Sequence[CommitChange]) -> dict[str, list[PossibleOrigin]]:
    """Target -> the commit of the pool that makes an equal change, by patch-id."""
    from orchestrator.picks.equivalents import match

    known.compare((sha, known.parent(sha)) for sha in targets)
    wanted = [change for sha in targets if (change := known.files[sha, known.parent(sha)]).files]
    twins = match(known.scratch, wanted, [], pool)
    known.read(twin.sha for twin in twins.values())
    return {sha: ways(known, sha, twin.sha, twin.signals[0])[:1] for sha, twin in twins.items()}
