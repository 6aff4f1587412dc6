"""Prove a commit by making it again: the pick of its source is computed on its parent, and trees are compared.

Trailers name sources, they prove nothing.  Nothing here knows release.yaml; `proving` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.audit.in_place import PickedFiles, decide
from orchestrator.audit.origins.claims import TRAILER, CommitReader, PossibleOrigin, distinct
from orchestrator.audit.similarity import inverse, likeness, tokens
from orchestrator.audit.verdicts import CommitProof, Kind
from orchestrator.core.commit_message import picked, without_trailers
from orchestrator.core.text import word
from orchestrator.git import batch
from orchestrator.git.batch import Trees
from orchestrator.git.merge.submodules import Held, held_to
from orchestrator.git.objects import encode_commit, later, object_id, without_signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.audit.similarity import Tokens
    from orchestrator.git.merge.result import Merge
    from orchestrator.git.scratch import Scratch

_SQUASHED = 20  # picks in one commit that are tried together
RULES = 3  # part of cache keys: raise it when the same history would get another answer
LEAST = 0.1  # likeness below which nothing proves that it is the change that it names (docs/audit.md measures it)


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
    open_ = [claim for claim in claims if claim not in found and not claim.options]
    decided = decide(known.scratch, [_files(known, claim) for claim in open_])
    found |= {claim: tree for claim, tree in zip(open_, decided, strict=True) if tree is not None}
    rest = [claim for claim in claims if claim not in found]
    trees = {claim: _trees(known, claim, known.tree(known.parent(claim.target))) for claim in rest}
    plain = [claim for claim in rest if not claim.options]
    merges = dict(zip(plain, batch.picks(known.scratch, [trees[claim] for claim in plain]), strict=True))
    merges |= {claim: _merged(known.scratch, claim, trees[claim]) for claim in rest if claim.options}
    return found | {claim: _clean(_held(known, claim, merge)) for claim, merge in merges.items()}


def _merged(scratch: Scratch, claim: PossibleOrigin, trees: Trees) -> Merge:
    options = claim.options.split()
    return scratch.pick(base=trees.base, ours=trees.ours, theirs=trees.theirs, remember=True, options=options)


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
    sha = target.sha
    if target.signed:
        sha = object_id("commit", without_signature(known.scratch.read(sha)[1]))
    return sha in (object_id("commit", data) for data in made)


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
        merge = held_to(known.scratch, _merged(known.scratch, claim, each), known.tree(target)).merge
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
    for part in distinct(list(dict.fromkeys(wanted))):
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
    kind = Kind.ADAPTED if score >= LEAST else Kind.UNPROVED if score or conflicts else Kind.FORGED
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
