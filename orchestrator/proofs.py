"""What a commit is, told by doing it again: the pick of its source is computed on its parent, and the trees are compared.

Trailers name sources, they prove nothing.  Nothing here knows release.yaml; `proving` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.git import batch, changes
from orchestrator.git.batch import Trees
from orchestrator.git.objects import EMPTY_TREE, later, object_id, encode_commit
from orchestrator.likeness import inverse, likeness, tokens
from orchestrator.trailers import copied_from, reverted, with_origin, without_trailers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.changes import Change
    from orchestrator.git.merges import Merge
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.likeness import Tokens

RULES = 1  # part of cache keys: raise it when the same history would get another answer
LEAST = 0.1  # likeness below which a commit does not carry the change that it names (docs/audit.md has the measurement)


class Kind(StrEnum):
    """What is known of a commit of a release branch."""

    PROVED = "proved"  # the pick of its source, done again, gives its tree
    ADAPTED = "adapted"  # carries the source's change, and gives another tree
    FORGED = "forged"  # names a source whose change it does not carry
    UNKNOWN = "unknown-source"  # names only sources that are not in this clone
    FOREIGN = "foreign"  # no source is known
    RELEASE = "release"  # what a release commit is, and nothing else
    MERGE = "merge"  # adds nothing to what it merges
    REVERT = "revert"  # takes back a commit of the branch, exactly
    UNDECLARED = "undeclared"  # release.yaml at its tag does not have its source
    DUPLICATE = "duplicate"  # its source's change was on the branch already
    REVERTED = "reverted"  # was taken back later on the branch


TRAILER, PATCH_ID, ITSELF = "trailer", "patch-id", "itself"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """`sources` are the commits whose change it is (several where picks were squashed), `signal` what named them.

    `likeness` is how much of the source's change an adapted or forged one carries, 0 to 1.
    """

    kind: Kind
    sources: tuple[str, ...] = ()
    signal: str = ""
    mainline: int = 0
    likeness: float = 1.0
    identical: bool = False  # even the id is the one that this tool would have made
    missing: tuple[str, ...] = ()  # sources that it names and that are not here
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A way in which a commit may have come about: the change of a source, or what takes a commit back."""

    target: str
    source: str
    parent: str  # of the source, "" for a root commit
    signal: str
    mainline: int = 0
    backward: bool = False


@dataclass(kw_only=True)
class Known:
    """Commits by id, and their changes; read in a few processes."""

    scratch: Scratch
    commits: dict[str, Commit] = field(default_factory=dict)
    files: dict[tuple[str, str], Change] = field(default_factory=dict)

    def read(self, ids: Iterable[str]) -> None:
        self.commits |= batch.commits(self.scratch, (sha for sha in ids if sha not in self.commits))

    def compare(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Read the files of these commits, each against the parent given."""
        wanted = [pair for pair in dict.fromkeys(pairs) if pair not in self.files]
        for part in _distinct(wanted):
            self.files |= {(change.sha, change.parent): change for change in changes.of_many(self.scratch, part)}

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


def _distinct(pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """The pairs as maps, a commit once in each: a merge is compared with several parents."""
    maps: list[dict[str, str]] = []
    for sha, parent in pairs:
        place = next((each for each in maps if sha not in each), None)
        if place is None:
            place = {}
            maps.append(place)
        place[sha] = parent
    return maps


# ------------------------------------------------------------------ single commits


def prove_singles(
    known: Known, targets: Sequence[str], tips: Sequence[str], likely: Sequence[str] = ()
) -> dict[str, Proof]:
    """The proof of each commit with at most one parent.

    Sources that no trailer names are looked for by patch-id: among `likely` ones first, then in the history of `tips`.
    """
    claims, missing = _claims(known, targets)
    proofs = _try(known, claims)
    bare = [sha for sha in targets if sha not in proofs]
    proofs |= _try(known, _by_patch_id(known, bare, tips, likely))
    for sha in targets:
        if sha not in proofs:
            proofs[sha] = Proof(kind=Kind.UNKNOWN if missing.get(sha) else Kind.FOREIGN, missing=missing.get(sha, ()))
        elif missing.get(sha):
            proofs[sha] = _with(proofs[sha], missing=missing[sha])
    return proofs


def _claims(known: Known, targets: Sequence[str]) -> tuple[dict[str, list[Claim]], dict[str, tuple[str, ...]]]:
    """Target -> what it says it is, likeliest first; target -> named ids that are not here."""
    named = {sha: tuple(dict.fromkeys(reversed(copied_from(known.commits[sha].text)))) for sha in targets}
    undone = {sha: () if named[sha] else reverted(known.commits[sha].text) for sha in targets}
    ids = known.resolve(name for names in (*named.values(), *undone.values()) for name in names)
    claims: dict[str, list[Claim]] = {}
    for sha in targets:
        found = [claim for name in named[sha] if name in ids for claim in _ways(known, sha, ids[name], TRAILER)]
        found += [_backward(known, sha, ids[name]) for name in undone[sha] if name in ids]
        if found := [claim for claim in found if claim.source != sha]:
            claims[sha] = found
    missing = {sha: gone for sha in targets if (gone := tuple(name for name in named[sha] if name not in ids))}
    return claims, missing


def _ways(known: Known, target: str, source: str, signal: str) -> list[Claim]:
    """A merge may have been picked against any of its parents."""
    parents = known.commits[source].parents
    if len(parents) < 2:
        return [Claim(target=target, source=source, parent="".join(parents), signal=signal)]
    return [
        Claim(target=target, source=source, parent=parent, signal=signal, mainline=number)
        for number, parent in enumerate(parents, 1)
    ]


def _backward(known: Known, target: str, source: str) -> Claim:
    parents = known.commits[source].parents
    return Claim(target=target, source=source, parent=parents[0] if parents else "", signal=TRAILER, backward=True)


def _by_patch_id(
    known: Known, targets: Sequence[str], tips: Sequence[str], likely: Sequence[str]
) -> dict[str, list[Claim]]:
    """Sources of commits that name none, by equal changes."""
    from orchestrator.upstream import match

    found: dict[str, list[Claim]] = {}
    for pool in (likely, tips):
        rest = [sha for sha in targets if sha not in found and len(known.commits[sha].parents) < 2]
        if not rest or not pool:
            continue
        wanted = [known.files[sha, "".join(known.commits[sha].parents)] for sha in rest]
        wanted = [change for change in wanted if change.files]
        paths = {path for change in wanted for path in change.paths}
        if pool is likely:
            known.read(likely)
            near = changes.of(known.scratch, {sha: "".join(known.commits[sha].parents[:1]) for sha in likely})
        else:
            near = _near(known.scratch, tips, rest, paths)
        twins = match(known.scratch, wanted, [], near, ())
        known.read(twin.sha for twin in twins.values())
        for sha, twin in twins.items():
            found[sha] = _ways(known, sha, twin.sha, twin.signals[0])[:1]
    return found


def _near(scratch: Scratch, tips: Sequence[str], targets: Sequence[str], paths: Iterable[bytes]) -> list[Change]:
    """The commits of the tips, without what the targets contain, that change such paths."""
    wide = changes.wide_log(scratch, *tips, "--not", *_roots(scratch, targets))
    wanted = set(paths)
    return [change for change in wide if not wanted.isdisjoint(change.paths)]


def _roots(scratch: Scratch, targets: Sequence[str]) -> list[str]:
    return [f"{sha}^@" for sha in targets]
