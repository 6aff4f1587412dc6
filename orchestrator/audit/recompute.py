"""Prove a commit by making it again: the pick of its source is computed on its parent, and trees are compared.

Trailers name sources, they prove nothing.  Nothing here knows release.yaml; `proving` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.audit.in_place import PickedFiles, decide
from orchestrator.audit.similarity import inverse, likeness, tokens
from orchestrator.audit.verdicts import CommitProof, Kind
from orchestrator.core.commit_message import copied_from, picked, reverted, without_trailers
from orchestrator.core.errors import MismatchError
from orchestrator.core.text import word
from orchestrator.git import batch, changes
from orchestrator.git.batch import Trees
from orchestrator.git.merge.submodules import Held, held_to
from orchestrator.git.objects import EMPTY_TREE, encode_commit, later, object_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.audit.similarity import Tokens
    from orchestrator.git.changes import CommitChange
    from orchestrator.git.merge.result import Merge
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch

_SQUASHED = 20  # picks in one commit that are tried together
RULES = 2  # part of cache keys: raise it when the same history would get another answer
LEAST = 0.1  # likeness below which a commit does not carry the change that it names (docs/audit.md has the measurement)


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
        for part in _distinct(wanted):
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


# ------------------------------------------------------------------ doing it again


def attempt(known: CommitReader, claims: Mapping[str, Sequence[PossibleOrigin]]) -> dict[str, CommitProof]:
    """The proof of each target: the first claim that gives its tree, all of them together, else the likeliest.

    Targets are tried together, with the likeliest claim of each first: few need another one.
    """
    flat = [claim for each in claims.values() for claim in each]
    known.read(parent for claim in flat for parent in (claim.parent, known.parent(claim.target)) if parent)
    known.compare((claim.target, known.parent(claim.target)) for claim in flat)
    outcomes: dict[PossibleOrigin, str] = {}
    proofs: dict[str, CommitProof] = {}
    for turn in range(max(map(len, claims.values()), default=0)):
        tried = [each[turn] for target, each in claims.items() if turn < len(each) and target not in proofs]
        outcomes |= _outcomes(known, tried)
        for claim in tried:
            if outcomes.get(claim) == known.tree(claim.target):
                proofs[claim.target] = _proved(known, claim)
    rest = {target: [claim for claim in each if claim in outcomes] for target, each in claims.items()}
    rest = {target: each for target, each in rest.items() if target not in proofs}
    proofs |= {target: together for target, each in rest.items() if (together := _squashed(known, target, each))}
    return proofs | _likeliest(known, {target: each for target, each in rest.items() if target not in proofs}, outcomes)


def _outcomes(known: CommitReader, claims: Sequence[PossibleOrigin]) -> dict[PossibleOrigin, str]:
    """PossibleOrigin -> the tree that it gives (or ANOTHER), "" where it conflicts or cannot be made.

    A pick against another parent of a merge than the first is looked at only where it touches the very same files: it
    would be all that happened on the other side.
    """
    known.compare((claim.change, claim.parent) for claim in claims)
    claims = [claim for claim in claims if claim.mainline < 2 or _same_paths(known, claim)]
    found = {claim: known.tree(claim.target) for claim in claims if _same_files(known, claim)}
    open_ = [claim for claim in claims if claim not in found]
    decided = decide(known.scratch, [_files(known, claim) for claim in open_])
    found |= {claim: tree for claim, tree in zip(open_, decided, strict=True) if tree is not None}
    rest = [claim for claim in claims if claim not in found]
    merges = batch.picks(
        known.scratch, [_trees(known, claim, known.tree(known.parent(claim.target))) for claim in rest]
    )
    return found | {claim: _clean(_held(known, claim, merge)) for claim, merge in zip(rest, merges, strict=True)}


def _held(known: CommitReader, claim: PossibleOrigin, merge: Merge | None) -> Merge | None:
    """The merge, with submodules that nobody here can tell of as the target has them."""
    if merge is None or not (merge.links or merge.forwarded):
        return merge
    known.links[claim] = held = held_to(known.scratch, merge, known.tree(claim.target))
    return held.merge


def _files(known: CommitReader, claim: PossibleOrigin) -> PickedFiles:
    before, start = known.parent(claim.target), claim.change if claim.backward else claim.parent
    return PickedFiles(
        source=known.files[claim.change, claim.parent], target=known.files[claim.target, before],
        base=known.tree(start), ours=known.tree(before), made=known.tree(claim.target), backward=claim.backward,
    )  # fmt: skip


def _same_paths(known: CommitReader, claim: PossibleOrigin) -> bool:
    mine, theirs = known.files[claim.target, known.parent(claim.target)], known.files[claim.change, claim.parent]
    return mine.paths == theirs.paths


def _clean(merge: Merge | None) -> str:
    return merge.tree if merge and not merge.conflicts else ""


def _trees(known: CommitReader, claim: PossibleOrigin, ours: str) -> Trees:
    before, after = known.tree(claim.parent), known.tree(claim.change)
    base, theirs = (after, before) if claim.backward else (before, after)
    return Trees(base=base, ours=ours, theirs=theirs)


def _same_files(known: CommitReader, claim: PossibleOrigin) -> bool:
    """Whether a merge is not needed to know its tree: the same files go from the same content to the same content.

    Only where files are changed in place: beside new or removed ones a merge looks for renames.
    """
    target = known.files[claim.target, known.parent(claim.target)]
    source = known.files[claim.change, claim.parent]
    in_place = all(b"000000" not in file.modes for file in source.files)
    digest = source.inverse_digest if claim.backward else source.digest
    return in_place and bool(source.files) and target.digest == digest


def _proved(known: CommitReader, claim: PossibleOrigin) -> CommitProof:
    if claim.backward:
        return CommitProof(kind=Kind.REVERT, sources=(claim.source,), signal=claim.signal)
    return CommitProof(
        kind=Kind.PROVED,
        sources=(claim.source,),
        signal=claim.signal,
        mainline=claim.mainline,
        identical=_identical(known, claim),
        notes=(*_differences(known, claim), *(_of_submodules(known.links[claim]) if claim in known.links else ())),
        forwarded=known.links[claim].merge.forwarded if claim in known.links else (),
    )


def _of_submodules(held: Held) -> Iterator[str]:
    """What is known of the submodules that a merge moved otherwise than its source."""
    for each in held.merge.forwarded:
        path, commit = word(each.path), each.commit[:12]
        if each.path in held.unproved:
            yield f"submodule {path} is at {commit}; whether that is a fast-forward is not provable here"
        else:
            yield f"submodule {path} is fast-forwarded to {commit}"


def _identical(known: CommitReader, claim: PossibleOrigin) -> bool:
    """Whether the commit's id is that of the pick that this tool makes for its committer."""
    target, source = known.commits[claim.target], known.commits[claim.source]
    if not target.parents:
        return False
    when = later(known.commits[target.parents[0]].when, source.when)
    made = (
        encode_commit(
            tree=target.tree,
            parents=target.parents,
            author=source.author,
            committer=f"{target.committer} {when}".encode(),
            message=picked(source.message, source.sha, signer),
        )
        for signer in ("", str(target.committer))
    )
    return target.sha in (object_id("commit", data) for data in made)


def _differences(known: CommitReader, claim: PossibleOrigin) -> tuple[str, ...]:
    """What is not as in the source though the tree is: the tree is the proof, this is only said."""
    target, source = known.commits[claim.target], known.commits[claim.source]
    notes = []
    if target.author_name != source.author_name:
        notes.append(f"author is {target.author_name}, of the source {source.author_name}")
    if without_trailers(target.text) != without_trailers(source.text):
        notes.append("message differs from the source's")
    return tuple(notes)


def _squashed(known: CommitReader, target: str, claims: Sequence[PossibleOrigin]) -> CommitProof | None:
    """All named sources picked one after another, in the order named; None where that does not give the tree."""
    first = {claim.source: claim for claim in reversed(claims) if not claim.backward}
    if not 1 < len(first) <= _SQUASHED:
        return None
    tree = known.tree(known.parent(target))
    for claim in first.values():
        each = _trees(known, claim, tree)
        merge = known.scratch.pick(base=each.base, ours=each.ours, theirs=each.theirs)
        merge = held_to(known.scratch, merge, known.tree(target)).merge
        if merge.conflicts:
            return None
        tree = merge.tree
    if tree != known.tree(target):
        return None
    return CommitProof(kind=Kind.PROVED, sources=tuple(first), signal=TRAILER, notes=("several picks in one commit",))


def _likeliest(
    known: CommitReader, claims: Mapping[str, Sequence[PossibleOrigin]], outcomes: Mapping[PossibleOrigin, str]
) -> dict[str, CommitProof]:
    """For what cannot be proved: how much of the change is there."""
    scratch = known.scratch
    wanted = [(target, known.parent(target)) for target in claims]
    wanted += [(claim.change, claim.parent) for each in claims.values() for claim in each]
    read: dict[tuple[str, str], Tokens] = {}
    for part in _distinct(list(dict.fromkeys(wanted))):
        read |= {(sha, part[sha]): found for sha, found in tokens(scratch, part).items()}
    proofs = {}
    for target, each in claims.items():
        mine = read[target, known.parent(target)]
        scored = [(_carried(read[claim.change, claim.parent], mine, claim), claim) for claim in each]
        score, best = max(scored, key=lambda pair: pair[0])
        proofs[target] = _unproved(best, score, conflicts=not outcomes[best])
    return proofs


def _carried(source: Tokens, target: Tokens, claim: PossibleOrigin) -> float:
    return likeness(inverse(source) if claim.backward else source, target)


def _unproved(claim: PossibleOrigin, score: float, *, conflicts: bool) -> CommitProof:
    why = "the pick conflicts" if conflicts else "the pick gives another tree"
    kind = Kind.ADAPTED if score >= LEAST else Kind.FORGED
    if claim.backward:
        why = f"says that it takes back {claim.source[:12]}, and does not do just that"
        kind = Kind.ADAPTED if score >= LEAST else Kind.FOREIGN
    return CommitProof(
        kind=kind,
        sources=() if claim.backward else (claim.source,),
        signal=claim.signal,
        mainline=claim.mainline,
        likeness=round(score, 2),
        notes=(why,),
    )


# ------------------------------------------------------------------ merges


def prove_merges(known: CommitReader, targets: Sequence[str]) -> dict[str, CommitProof]:
    """What the sides of a merge bring in are commits of their own; here: does the merge itself add anything?"""
    pairs = []
    for sha in targets:
        ours, *others = known.commits[sha].parents
        for theirs in others[:-1]:  # an octopus: one after another
            ours = _joined(known.scratch, ours, theirs)
        pairs.append((ours, others[-1]))
    merges = batch.merges(known.scratch, pairs)
    return {sha: _of_merge(known, sha, merge) for sha, merge in zip(targets, merges, strict=True)}


def _joined(scratch: Scratch, ours: str, theirs: str) -> str:
    tree = scratch.merge_commits(ours, theirs).tree
    who = b"release <release@localhost> 0 +0000"
    return scratch.write_commit(tree=tree, parents=(ours, theirs), author=who, committer=who, message=b"x\n")


def _of_merge(known: CommitReader, sha: str, merge: Merge | None) -> CommitProof:
    held = held_to(known.scratch, merge, known.tree(sha)) if merge else None
    if held and not held.merge.conflicts and held.merge.tree == known.tree(sha):
        return CommitProof(kind=Kind.MERGE, notes=tuple(_of_submodules(held)))
    if merge is None or merge.conflicts:
        return CommitProof(kind=Kind.ADAPTED, notes=("a merge whose conflicts somebody resolved",))
    return CommitProof(kind=Kind.FOREIGN, notes=("a merge that holds a change which none of its sides has",))
