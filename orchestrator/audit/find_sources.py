"""Finding what each commit of a branch is a pick of, and remembering what was proved.

By what it names, then by equal changes among what release.yaml declares, then among the source branches.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.audit.origins.claims import (  # fmt: skip
    BACKPORT,
    ITSELF,
    CommitReader,
    PossibleOrigin,
    alike,
    claimed,
    ways,
)
from orchestrator.audit.recompute import RULES, attempt, prove_merges
from orchestrator.audit.verdicts import CommitProof, Kind
from orchestrator.core.pick import PickState
from orchestrator.git import changes
from orchestrator.git.batch import outside
from orchestrator.picks.equivalents import signal_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.git.changes import CommitChange
    from orchestrator.picks.sources import Source


class SourceFinder:
    """The commits of one line; `base` is below them, `tips` are where sources may come from."""

    def __init__(
        self,
        known: CommitReader,
        base: str,
        tips: Sequence[str],
        declared: Mapping[str, Sequence[Source]],
        listed: Mapping[str, Sequence[Pick]],
    ) -> None:
        """By the commit of the branch: what is declared for its version, and the picks that its tag lists as it."""
        self.known = known
        self.scratch = known.scratch
        self.base = base
        self.tips = tips
        self.listed = listed
        found = {id(each): each for sources in declared.values() for each in sources}.values()
        self.stand_ins = {each.commit.sha: each.backport.sha for each in found if each.backport}
        whole = {each.commit.sha for each in found} | set(self.stand_ins.values())
        of = {id(each): _terms(each) for each in found}
        self.terms = {target: {key: terms for each in sources for key, terms in of[id(each)].items()}
                      for target, sources in declared.items()}  # fmt: skip
        self.whole = {part: key for terms in of.values() for key, (part, _) in terms.items() if part}
        self.declared = sorted(whole | self.whole.keys())

    def prove(self, targets: Sequence[str]) -> dict[str, CommitProof]:
        """The proof of each commit; one proved before costs nothing."""
        own = self._merged_in(targets)
        proofs = {sha: CommitProof(kind=Kind.PROVED, sources=(sha,), signal=ITSELF, identical=True) for sha in own}
        for tree, group in self._by_attributes([sha for sha in targets if sha not in own]).items():
            self.scratch.use_attributes(tree)
            merges = [sha for sha in group if len(self.known.commits[sha].parents) > 1]
            proofs |= self._remembered(dict.fromkeys(merges, ""), lambda rest: prove_merges(self.known, rest))
            proofs |= self._singles([sha for sha in group if len(self.known.commits[sha].parents) < 2])
        return proofs

    def _singles(self, targets: Sequence[str]) -> dict[str, CommitProof]:
        claims, missing = claimed(self.known, targets, {sha: self._told(sha) for sha in targets})
        self.known.read([*self.stand_ins.values(), *self.whole])
        proofs = self._attempted({sha: [*each, *self._stand_ins(sha, each)] for sha, each in claims.items()})
        for kind, pool, key in (
            ("declared", self._of_declared, self.declared),
            ("source", self._of_sources, [self.base, *self.tips]),
        ):
            bare = [sha for sha in targets if sha not in proofs and self.known.parent(sha)]
            found = self._attempted(self._alike(kind, bare, pool, key) if key else {})
            proofs |= {sha: proof for sha, proof in found.items() if self._believed(sha, proof)}
        for sha in targets:
            gone = missing.get(sha, ())
            fallback = CommitProof(kind=Kind.UNKNOWN if gone else Kind.FOREIGN)
            proofs[sha] = replace(proofs.get(sha, fallback), missing=gone)
        return proofs

    def _told(self, target: str) -> tuple[str, ...]:
        """The sources that its tag lists a commit for, but itself."""
        return tuple(each.source for each in self.listed.get(target, ()) if each.source != target)

    def _believed(self, sha: str, proof: CommitProof) -> bool:
        """An equal change elsewhere in the file may be another one: without a proof it must at least say the same."""
        if proof.kind is Kind.PROVED:
            return True
        known = [self.known.commits[source] for source in proof.sources]
        return any(each.subject == self.known.commits[sha].subject for each in known)

    def _stand_ins(self, target: str, claims: Sequence[PossibleOrigin]) -> list[PossibleOrigin]:
        """Where a hand-made commit is declared for a source, that one may be what was applied."""
        wanted = [sha for claim in claims if (sha := self.stand_ins.get(claim.source))]
        return [claim for sha in wanted for claim in ways(self.known, target, sha, BACKPORT)]

    # -------------------------------------------------------------- equal changes

    @cached_property
    def _source_changes(self) -> list[CommitChange]:
        return changes.wide_log(self.scratch, *self.tips, *(["--not", self.base] if self.base else []))

    def _of_sources(self) -> list[CommitChange]:
        return self._source_changes if self.tips else []

    def _of_declared(self) -> list[CommitChange]:
        self.known.read(self.declared)
        found = {sha: self.known.parent(sha) for sha in self.declared if sha in self.known.commits}
        return changes.of(self.scratch, found)

    def _alike(
        self, kind: str, targets: Sequence[str], pool: Callable[[], list[CommitChange]], key: Sequence[str]
    ) -> dict[str, list[PossibleOrigin]]:
        """Claims by equal changes; remembered, also where there was none."""
        cache = self.scratch.cache
        keys = {sha: json.dumps([RULES, signal_rules(), kind, sha, *key]) for sha in targets}
        kept = cache.get("alike", keys.values())
        found = {
            sha: [PossibleOrigin(**each) for each in json.loads(kept[key])] for sha, key in keys.items() if key in kept
        }
        if rest := [sha for sha in targets if sha not in found]:
            made = alike(self.known, rest, pool())
            new = {sha: made.get(sha, []) for sha in rest}
            cache.put("alike", {keys[sha]: json.dumps([asdict(each) for each in new[sha]]).encode() for sha in rest})
            found |= new
        self.known.read(claim.source for each in found.values() for claim in each)
        return {sha: each for sha, each in found.items() if each}

    # -------------------------------------------------------------- remembered

    def _attempted(self, claims: Mapping[str, Sequence[PossibleOrigin]]) -> dict[str, CommitProof]:
        claims = {sha: [one for claim in each for one in self._as_declared(claim)] for sha, each in claims.items()}
        names = {sha: json.dumps([asdict(claim) for claim in each]) for sha, each in claims.items()}
        return self._remembered(names, lambda rest: attempt(self.known, {sha: claims[sha] for sha in rest}))

    def _as_declared(self, claim: PossibleOrigin) -> list[PossibleOrigin]:
        """The claim, of what is not excluded there; what was there already may be all of it."""
        if claim.source in self.whole:  # found by what it changes
            claim = replace(claim, source=self.whole[claim.source][0])
        part, options = self.terms.get(claim.target, {}).get((claim.source, claim.parent), ("", ""))
        if not (part or options) or claim.backward:
            return [claim]
        listed = self.listed.get(claim.target, ())
        by_hand = any(each.state is PickState.DUPLICATE and each.source == claim.source for each in listed)
        return [replace(claim, part=part, options=options), *([claim] if by_hand else [])]

    def _remembered(
        self, names: Mapping[str, str], prove: Callable[[Sequence[str]], dict[str, CommitProof]]
    ) -> dict[str, CommitProof]:
        """Proofs by target and claims: the id of a commit stands for all that is before it."""
        cache, git = self.scratch.cache, self.scratch.git_version
        keys = {sha: json.dumps([RULES, signal_rules(), git, sha, name]) for sha, name in names.items()}
        kept = cache.get("proof", keys.values())
        found = {sha: _decode(kept[key]) for sha, key in keys.items() if key in kept}
        if rest := [sha for sha in names if sha not in found]:
            made = prove(rest)
            linked = {claim.target for claim in self.known.links}  # of submodules more may be known another time
            lasting = {keys[sha]: proof for sha, proof in made.items() if sha not in linked}
            cache.put("proof", {key: json.dumps(asdict(proof)).encode() for key, proof in lasting.items()})
            found |= made
        return found

    # -------------------------------------------------------------- what history says

    def _merged_in(self, targets: Sequence[str]) -> set[str]:
        """Those that are in the history of a source branch themselves: somebody merged it."""
        if not self.tips or not targets:
            return set()
        below = [*self.tips, *([self.base] if self.base else [])]
        return set(targets) - outside(self.scratch, targets, below)

    def _by_attributes(self, targets: Sequence[str]) -> dict[str, list[str]]:
        """Tree -> the commits whose merges must see its `.gitattributes`: one group, unless those files change."""
        if not targets:
            return {}
        touching = self._touching(targets)
        states: dict[str, str] = {}
        groups: dict[str, list[str]] = defaultdict(list)
        keys: dict[str, str] = {}
        for sha in targets:  # oldest first
            parents = [states.get(each) or self.known.tree(each) for each in self.known.commits[sha].parents]
            before = parents[0] if parents else self.known.tree("")
            states[sha] = self.known.tree(sha) if sha in touching or len(set(parents)) > 1 else before
            groups[self._representative(before, keys)].append(sha)
        return groups

    def _representative(self, tree: str, keys: dict[str, str]) -> str:
        """The first tree met with the same attributes."""
        if tree not in keys:
            self.scratch.use_attributes(tree)
            keys[tree] = self.scratch.attributes_key
        return next(first for first, key in keys.items() if key == keys[tree])

    def _touching(self, targets: Sequence[str]) -> set[str]:
        output = self.scratch.git.run(
            "diff-tree", "--stdin", "-m", "-r", "--root", "--name-only", "--", ":(glob)**/.gitattributes",
            stdin="".join(f"{sha}\n" for sha in targets).encode(),
        )  # fmt: skip
        return {line.split(" ")[0] for line in output.lines()} & set(targets)


def _terms(source: Source) -> dict[tuple[str, str], tuple[str, str]]:
    """(commit, the parent that its change is taken against) -> what is left of it, "" for all, and git's options."""
    options = " ".join(source.fix.strategy_options)
    found = {(source.commit.sha, source.parent): (source.part.commit.sha if source.part else "", options)}
    if source.backport:
        parent, part = next(iter(source.backport.parents), ""), source.stand_in_part
        found[source.backport.sha, parent] = (part.commit.sha if part else "", options)
    return {key: terms for key, terms in found.items() if any(terms)}


def _decode(data: bytes) -> CommitProof:
    values = json.loads(data)
    tuples = {key: tuple(values[key]) for key in ("sources", "missing", "notes")}
    return CommitProof(**{**values, **tuples, "kind": Kind(values["kind"]), "forwarded": ()})
