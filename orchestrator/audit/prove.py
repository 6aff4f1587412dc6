"""Is every commit of a release branch what it should be?  One verdict a commit; trailers are evidence, never proof.

For an audit and for a server's hook alike:

    with Scratch.open(objects, cache, quarantine) as scratch:          # any object store, bare ones too
        parts = [Part(version="v2.7.1", commits=new_commits(scratch, old, new), config=config)]
        for verdict in prove(scratch, parts, base=old, tips=source_tips).verdicts:
            if not verdict.ok: ...                                          # verdict.kind, .said, .source

`tips` are the commits of the source branches that count.  `verdict.on_source` tells whether what was picked is in their
history, or only somewhere in the object store.  No ref, remote, clock or terminal is used; the number of processes does
not depend on the number of commits, and what was proved once is in the scratch store's cache.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.audit.find_sources import SourceFinder
from orchestrator.audit.history import retell, undoes
from orchestrator.audit.origins.claims import BACKPORT, ITSELF, CommitReader
from orchestrator.audit.release_commit import TaggedRelease, given_up, remade
from orchestrator.audit.verdicts import CARRY_LITTLE, CommitVerdict, Kind, unfold
from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import PickState
from orchestrator.git.batch import outside, straight
from orchestrator.picks.resolution import resolution_fault
from orchestrator.picks.sources import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from orchestrator.audit.verdicts import CommitProof, Part
    from orchestrator.core.declaration import Fix
    from orchestrator.core.pick import Pick
    from orchestrator.core.results import Problem
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Names, Source
    from orchestrator.plan.account import Account


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A declared source that no commit of its version carries, and of which nobody says why."""

    version: str
    source: str
    subject: str
    fix: Fix


@dataclass(frozen=True, kw_only=True)
class Proving:
    """One verdict a commit, oldest first; what is declared and not there; entries that cannot be read."""

    verdicts: tuple[CommitVerdict, ...]
    missing: tuple[Missing, ...]
    problems: tuple[Problem, ...]


def new_commits(scratch: Scratch, old: str, new: str) -> tuple[str, ...]:
    """What `new` has and `old` ("" for nothing) has not, oldest first, those of merged sides too."""
    line = straight(scratch, new, old)
    if line is None:
        line = scratch.rev_list("--reverse", "--topo-order", new, *([f"^{old}"] if old else []), "--")
    return tuple(line)


def prove(
    scratch: Scratch,
    parts: Sequence[Part],
    *,
    base: str,
    tips: Sequence[str],
    names: Names | None = None,
    later: Sequence[Account] = (),
) -> Proving:
    """Judge the commits of a line, its parts oldest first.

    `base` is the commit below the first of them, "" for none.  `names` resolves what release.yaml names; without it
    only ids are known.  `later` are versions above the last part, which may answer for commits of it.
    """
    known, squashed = CommitReader(scratch=scratch), unfold(scratch, parts)
    parts = [replace(part, commits=tuple(sha for sha in part.commits if sha not in squashed.verdicts))
             for part in squashed.parts]  # fmt: skip
    order = [sha for part in parts for sha in part.commits]
    known.need(order)
    known.need(parent for sha in order for parent in known.commits[sha].parents)
    declared = [_declared(scratch, part, names or scratch) for part in parts]
    listed = {sha: picks for part in parts for sha in part.commits if (picks := part.listed(sha))}
    asked = {sha: wanted.sources for part, wanted in zip(parts, declared, strict=True) for sha in part.commits}
    traces = SourceFinder(known, base, tips, asked, listed)
    heads = {part.head for part in parts if part.config and part.head in part.commits}
    proofs = traces.prove([sha for sha in order if sha not in heads])
    for part, wanted in zip(parts, declared, strict=True):
        if part.config and part.head in part.commits:
            release = TaggedRelease(
                version=part.version, head=part.head, config=part.config, path=part.config_path,
                account=part.account, other_tool=part.other_tool,
                previous=part.account.previous if part.account else "",
            )  # fmt: skip
            made = remade(known, release, wanted.sources, {sha: proofs[sha] for sha in part.commits if sha in proofs})
            proofs |= {part.head: made} if made else traces.prove([part.head])
    for part in parts:
        for at, sha in enumerate(part.commits):
            if sha not in heads and proofs[sha].kind is Kind.FOREIGN:
                below = {each: proofs[each] for each in part.commits[:at]}
                proofs |= given_up(known, sha, part.config_path, names or scratch, below)
    answers = _answers([*(part.account for part in parts if part.account), *later])
    away = outside(scratch, {sha for proof in proofs.values() for sha in proof.sources}, tips)
    verdicts = [
        _judged_later(_judged(known, sha, proofs[sha], part, wanted, away), answers)
        for part, wanted in zip(parts, declared, strict=True)
        for sha in part.commits
    ]
    verdicts = [*retell(known, base, verdicts), *squashed.verdicts.values()]
    return Proving(
        verdicts=tuple(verdicts),
        missing=tuple(
            each for part, wanted in zip(parts, declared, strict=True) for each in _missing(part, wanted, verdicts)
        ),
        problems=tuple(problem for wanted in declared for problem in wanted.problems),
    )


# ------------------------------------------------------------------ what is declared


@dataclass(frozen=True, kw_only=True)
class _Declared:
    sources: tuple[Source, ...] = ()
    problems: tuple[Problem, ...] = ()

    def of(self, proof: CommitProof) -> list[Source]:
        """The entries that ask for what a commit is; a backport may be named in place of its source."""
        return [
            each
            for sha in proof.sources
            for each in self.sources
            if sha in (each.commit.sha, each.backport.sha if each.backport else "")
        ]

    def names(self, sha: str) -> bool:
        """Whether an entry names this very commit of the branch: it was made there, and belongs to the version."""
        return any(each.commit.sha == sha for each in self.sources)

    def stands_in(self, sha: str, listed: Sequence[Pick]) -> bool:
        """Whether a commit that a version took from its branch for other than a plain pick is what entries name so."""
        taken = {each.source for each in listed if each.state is PickState.DUPLICATE}
        mine = [each for each in self.sources if each.commit.sha in taken]
        return all(each.backport and each.backport.sha == sha for each in mine)


def _declared(scratch: Scratch, part: Part, names: Names) -> _Declared:
    """Of a part without a version, what is declared for any."""
    if part.config is None:
        return _Declared()
    entries = [each for each in part.config.releases if part.version in ("", each.version)]
    fixes = [fix for entry in entries for fix in entry.fixes]
    if part.account:
        return _Declared(sources=part.account.sources)
    sources, problems = expand(fixes, part.config.remote, names, scratch)
    return _Declared(sources=tuple(sources), problems=tuple(problems) if part.version else ())


def _missing(part: Part, wanted: _Declared, verdicts: Sequence[CommitVerdict]) -> list[Missing]:
    carried = {sha for each in verdicts if each.version == part.version for sha in each.sources}
    return [
        Missing(version=part.version, source=each.commit.sha, subject=each.commit.subject, fix=each.fix)
        for each in (part.account.untold if part.account else wanted.sources if part.version else ())
        if carried.isdisjoint({each.commit.sha, *([each.backport.sha] if each.backport else [])})
    ]


# ------------------------------------------------------------------ verdicts


def _judged(
    known: CommitReader, sha: str, proof: CommitProof, part: Part, declared: _Declared, away: AbstractSet[str]
) -> CommitVerdict:
    listed, taken = part.listed(sha), _is_taken(known, sha, proof, part)
    proof, answer = _answered(known, sha, proof, part, declared)
    entries = declared.of(proof)
    is_pick = bool(proof.sources) and proof.kind in (Kind.PROVED, Kind.ADAPTED)
    said = len(entries) >= len(proof.sources) if is_pick else declared.names(sha)
    said = said or (bool(listed) and all(each.declared for each in listed)) or taken
    known_ = part.config is not None and (is_pick or proof.kind is Kind.REVERT)
    kind = Kind.ADAPTED if proof.signal == BACKPORT and proof.kind is Kind.PROVED else proof.kind
    return CommitVerdict(
        sha=sha,
        subject=known.commits[sha].subject,
        version=part.version,
        kind=Kind.UNDECLARED if known_ and not said else kind,
        proof=kind,
        sources=tuple(each.commit.sha for each in entries) if proof.signal == BACKPORT and entries else proof.sources,
        signal=proof.signal,
        mainline=proof.mainline,
        likeness=proof.likeness,
        identical=proof.identical,
        declared=said if known_ else None,
        on_source=away.isdisjoint(proof.sources) if is_pick else None,
        accepted=answer or _accepted(proof, entries, listed) or (_taken_along(proof, part) if taken else ""),
        of=proof.sources[0] if proof.kind is Kind.REVERT else "",
        missing=proof.missing,
        undoes=undoes(known, proof.sources),
        forwarded=proof.forwarded,
        listed=bool(listed),
        notes=proof.notes,
    )


# What a person may answer for afterwards; what a commit is by proof needs nobody.
_OPEN = (*CARRY_LITTLE, Kind.ADAPTED, Kind.FOREIGN, Kind.UNDECLARED)


def _answers(accounts: Sequence[Account]) -> dict[str, tuple[str, str]]:
    """Commit -> (version, source): what versions above it were told to be there already as that commit."""
    return {
        pick.duplicate_of or pick.source: (account.version, pick.source)
        for account in reversed(accounts)
        for pick in account.picks
        if pick.state is PickState.DUPLICATE and not pick.since_previous
    }


def _judged_later(verdict: CommitVerdict, answers: Mapping[str, tuple[str, str]]) -> CommitVerdict:
    """The verdict, where a version above it declares the very commit, or that it is the source which it names.

    It was released before anybody said so, and no tag is ever changed: the next one answers for it.
    """
    version, source = answers.get(verdict.sha, ("", ""))
    if verdict.ok or verdict.kind not in _OPEN or source not in (verdict.sha, *verdict.sources):
        return verdict
    kind = Kind.PROVED if source == verdict.sha else Kind.ADAPTED
    signal = ITSELF if source == verdict.sha else verdict.signal
    return replace(
        verdict, kind=kind, proof=kind, sources=(source,), signal=signal, accepted=f"tag {version}", declared=True
    )


def _is_taken(known: CommitReader, sha: str, proof: CommitProof, part: Part) -> bool:
    """Whether a version to come takes it as it is on the branch: a single commit that is no source branch's own."""
    return bool(part.for_version) and len(known.commits[sha].parents) == 1 and proof.signal != ITSELF


def _taken_along(proof: CommitProof, part: Part) -> str:
    """Who answers for an adapted pick that a version to come takes."""
    return f"{part.for_version}, which takes what is on the branch" if proof.kind is Kind.ADAPTED else ""


def _answered(
    known: CommitReader, sha: str, proof: CommitProof, part: Part, declared: _Declared
) -> tuple[CommitProof, str]:
    """The proof as it counts where a person answers for the commit, and where that is written.

    A tag that lists a commit as adapted, or as there already, answers for it: whoever released it looked at it.  As
    adapted only for what resolves a conflict, in the files of the pick.
    """
    if proof.kind in (Kind.RELEASE, Kind.MERGE, Kind.REVERT):
        return proof, ""
    listed = part.listed(sha)
    sources = tuple(each.source for each in listed)
    by_hand = declared.names(sha) or _is_taken(known, sha, proof, part)
    if sha in sources or (by_hand and proof.kind is Kind.FOREIGN):
        return replace(proof, kind=Kind.PROVED, sources=(sha,), signal=ITSELF, identical=True, missing=()), ""
    proved = proof.kind is Kind.PROVED and not set(sources).isdisjoint(proof.sources)
    if proved or all(each.state is PickState.CLEAN for each in listed):
        return proof, ""
    if part.account and part.account.entry.from_branch and not declared.stands_in(sha, listed):
        return proof, ""
    if faults := _strays(known, sha, listed, declared):
        kind = Kind.ADAPTED if proof.kind in CARRY_LITTLE else proof.kind  # a person says that it is that fix
        return replace(proof, kind=kind, notes=(*proof.notes, *faults)), ""
    return replace(proof, kind=Kind.ADAPTED, sources=sources), f"tag {part.version}"


def _strays(known: CommitReader, sha: str, listed: Sequence[Pick], declared: _Declared) -> list[str]:
    """In what a commit is no resolution of what its tag lists it for."""
    adapted = {pick.source for pick in listed if pick.state is PickState.ADAPTED}
    sources = [each for each in declared.sources if each.commit.sha in adapted]
    ours, made = known.tree(known.parent(sha)), known.tree(sha)
    faults = (resolution_fault(known.scratch, each, ours, made) for each in sources)
    return [f"listed as resolved, and {fault}" for fault in faults if fault]


def _accepted(proof: CommitProof, entries: Sequence[Source], listed: Sequence[Pick]) -> str:
    """Where else a person answers for it; "" where nobody does.  What a tag lists as clean must be that."""
    if proof.kind is Kind.PROVED and proof.signal == BACKPORT and entries:
        return f"backport {proof.sources[0][:12]}"
    if proof.kind is not Kind.ADAPTED or listed:
        return ""
    return next((f"approved by {', '.join(each.fix.approved_by)}" for each in entries if each.fix.approved_by), "")
