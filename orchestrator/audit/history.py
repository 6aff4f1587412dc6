"""Walk the branch oldest first; mark duplicate and reverted picks."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.audit.origins.claims import ITSELF
from orchestrator.audit.verdicts import Kind
from orchestrator.core.commit_message import reverted
from orchestrator.core.dataclass import dataclass
from orchestrator.git import batch
from orchestrator.git.batch import Trees
from orchestrator.picks.equivalents import twins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.audit.origins.claims import CommitReader
    from orchestrator.audit.verdicts import CommitVerdict

_CARRIES = (Kind.PROVED, Kind.ADAPTED)


def retell(known: CommitReader, base: str, verdicts: Sequence[CommitVerdict]) -> list[CommitVerdict]:
    """The verdicts with duplicates and reverted picks told apart.

    A pick of what is there already is a duplicate only where the tree says so too: what was undone by hand since may
    be picked again.
    """
    story = _Story(known, verdicts, _before(known, base, verdicts))
    twice = _still_there(known, verdicts, story.suspects)
    told = list(verdicts)
    released = {"", *(each.version for each in verdicts if each.listed)}
    for at, taken in story.taken.items():
        told[at] = _taken_back(told[at], verdicts[taken], released=told[at].version in released)
    for at, twin in story.suspects.items():
        if at in twice and not verdicts[at].listed:  # who released it decided that it is to be there again
            told[at] = replace(told[at], kind=Kind.DUPLICATE, of=twin)
    for at, by in _came_and_went(verdicts, story.taken).items():
        if verdicts[at].proof is Kind.REVERT and by == at:
            told[at] = replace(told[at], kind=Kind.REVERT)
        else:
            told[at] = replace(told[at], kind=Kind.REVERTED, of=verdicts[by].sha, harmless=True)
    return told


def _came_and_went(verdicts: Sequence[CommitVerdict], taken: Mapping[int, int]) -> dict[int, int]:
    """What came and was taken back within one version -> by what; and what took it back -> itself.  By position.

    It needs no entry, as nothing of it is in the version, and `plan` names it no more; unless the tag lists it, or the
    version is one of which nobody knows what it promised.
    """
    told = {"", *(each.version for each in verdicts if each.listed or each.declared is not None)}
    position = {each.sha: at for at, each in enumerate(verdicts)}
    known: dict[int, list[int]] = defaultdict(list)  # what merges brought, and what picked reverts take back
    for target, at in taken.items():
        if verdicts[at].proof is Kind.REVERT or (verdicts[at].ok and verdicts[target].proof is Kind.PROVED):
            known[at].append(target)
    pairs = [(target, at) for at, each in enumerate(verdicts) if each.version in told
             for target in (*_targets(each, verdicts, position), *known[at])
             if target < at and verdicts[target].version == each.version]  # fmt: skip
    takers: dict[int, list[int]] = defaultdict(list)
    for target, at in pairs:
        takers[target].append(at)
    gone: dict[int, int] = {}
    for target in sorted(takers, reverse=True):  # whether a revert counts is told by those after it
        if standing := [at for at in takers[target] if at not in gone]:
            gone[target] = standing[-1]
    needless = {at: at for target, at in pairs if verdicts[at].proof is Kind.REVERT and not verdicts[target].listed}
    return needless | {target: by for target, by in gone.items() if not verdicts[target].listed}


def _targets(each: CommitVerdict, verdicts: Sequence[CommitVerdict], position: Mapping[str, int]) -> list[int]:
    """What a commit takes back: exactly, or with more or less, where it is declared and a source tells what it was."""
    if each.proof is Kind.REVERT:
        return [position[each.of]] if each.of in position else []
    if each.signal != ITSELF or not each.declared:
        return []
    named = [at for name in each.undoes for sha, at in position.items() if sha.startswith(name)]
    return [at for at in named if verdicts[at].proof is Kind.PROVED]


def _taken_back(pick: CommitVerdict, by: CommitVerdict, *, released: bool) -> CommitVerdict:
    """`released`: the tag of its version lists picks, or none is there yet; what is not listed is not promised."""
    known = pick.ok or pick.kind is Kind.ADAPTED
    harmless = pick.ok and (pick.version != by.version or (released and not pick.listed))
    return replace(pick, kind=Kind.REVERTED if known else pick.kind, of=by.sha, harmless=harmless)


def _before(known: CommitReader, base: str, verdicts: Sequence[CommitVerdict]) -> dict[str, str]:
    """Source -> the commit that carries its change on the branch before the first of these."""
    if not base:
        return {}
    wanted = {
        sha: next(iter(known.commits[sha].parents[max(each.mainline, 1) - 1 :]), "")
        for each in verdicts
        if each.proof in _CARRIES and each.signal != ITSELF
        for sha in each.sources
        if sha in known.commits
    }
    return {sha: twin.sha for sha, twin in twins(known.scratch, base, wanted).items()}


@dataclass
class _Story:
    """`taken`: commit -> the one that takes it back; `suspects`: commit -> the twin of its source; by position."""

    taken: dict[int, int]
    suspects: dict[int, str]

    def __init__(self, known: CommitReader, verdicts: Sequence[CommitVerdict], before: dict[str, str]) -> None:
        self.taken, self.suspects = {}, {}
        self._known = known
        self._verdicts = verdicts
        self._position = {each.sha: at for at, each in enumerate(verdicts)}
        self._carried: dict[str, int] = {}
        for at, each in enumerate(verdicts):
            if each.proof is Kind.REVERT:
                self._take_back(at, each.of)
            elif each.proof in _CARRIES and not self._picked_revert(at, each):
                self._carry(at, each, before)

    def _carry(self, at: int, each: CommitVerdict, before: dict[str, str]) -> None:
        for source in each.sources:
            if source in self._carried:
                self.suspects[at] = self._verdicts[self._carried[source]].sha
            elif source in before:
                self.suspects[at] = before[source]
            else:
                self._carried[source] = at

    def _take_back(self, at: int, target: str) -> bool:
        position = self._position.get(target)
        if position is None or position >= at:
            return False
        for again in [done for done, by in self.taken.items() if by == position]:  # a revert of a revert
            del self.taken[again]
            self._carried |= dict.fromkeys(self._verdicts[again].sources, again)
        self.taken[position] = at
        for each in (position, *self._brought(target)):
            self.taken.setdefault(each, at)
            for source in self._verdicts[each].sources:
                self._carried.pop(source, None)
        return True

    def _brought(self, merge: str) -> list[int]:
        """The commits that a merge brought to its first parent; those of another commit are none."""
        ours, *theirs = self._known.commits[merge].parents or ("",)
        kept = self._below([ours]) if theirs else set()
        return sorted(self._below(theirs) - kept)

    def _below(self, tips: Sequence[str]) -> set[int]:
        found, todo = set[int](), [tip for tip in tips if tip in self._position]
        while todo:
            sha = todo.pop()
            if self._position[sha] not in found:
                found.add(self._position[sha])
                todo += [each for each in self._known.commits[sha].parents if each in self._position]
        return found

    def _picked_revert(self, at: int, each: CommitVerdict) -> bool:
        """Whether it is a pick of what takes back, on the source, something that was picked here."""
        found = False
        for name in each.undoes:
            for source, position in list(self._carried.items()):
                if source.startswith(name):
                    found = self._take_back(at, self._verdicts[position].sha) or found
        return found


def undoes(known: CommitReader, sources: Sequence[str]) -> tuple[str, ...]:
    """The ids that these sources say they revert."""
    return tuple(name for sha in sources if sha in known.commits for name in reverted(known.commits[sha].text))


def _still_there(known: CommitReader, verdicts: Sequence[CommitVerdict], suspects: dict[int, str]) -> set[int]:
    """Those before which the tree held their source's change: it can be taken out of it."""
    questions: dict[int, Trees] = {}
    for at in suspects:
        each = verdicts[at]
        if each.sources[0] not in known.commits:
            continue
        source = known.commits[each.sources[0]]
        before = next(iter(source.parents[max(each.mainline, 1) - 1 :]), "")
        known.read([before] if before else [])
        ours = known.tree(known.parent(each.sha))
        questions[at] = Trees(base=source.tree, ours=ours, theirs=known.tree(before))
    held = _held(known, questions)
    return {at for at, trees in questions.items() if held[at] or known.tree(verdicts[at].sha) == trees.ours}


def _held(known: CommitReader, questions: Mapping[int, Trees]) -> dict[int, bool]:
    """Whether a pick changes anything, cleanly; remembered by its trees and the attributes that a merge sees."""
    scratch = known.scratch
    more = (scratch.git_version, scratch.attributes_key)
    keys = {at: json.dumps([*more, each.base, each.ours, each.theirs]) for at, each in questions.items()}
    kept = scratch.cache.get("held", keys.values())
    found = {at: kept[key] == b"1" for at, key in keys.items() if key in kept}
    rest = [at for at in questions if at not in found]
    for at, merge in zip(rest, batch.picks(scratch, [questions[at] for at in rest]), strict=True):
        found[at] = bool(merge and not merge.conflicts and merge.tree != questions[at].ours)
    scratch.cache.put("held", {keys[at]: b"1" if found[at] else b"0" for at in rest})
    return found
