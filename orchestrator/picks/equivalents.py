"""What history says about a fix: is its change on the release branch already, under its own id or another?

Four signals name a candidate: ancestry, the `-x` trailer, the usual patch-id, and the patch-id of the diff without
context.  None of them is proof: a pick may have been undone since, by a revert or by hand.  A commit undone on the
branch is no candidate, and a plan asks the tree besides (judge.py).
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins, reverted
from orchestrator.git import changes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.git.changes import CommitChange
    from orchestrator.git.scratch import Scratch

ANCESTOR, TRAILER, PATCH_ID, ZERO_CONTEXT = "ancestor", "trailer", "patch-id", "zero-context patch-id"
RULES = 1  # part of the cache key: raise it when the same history would get another answer


@dataclass(frozen=True, kw_only=True)
class Equivalent:
    """A commit on the branch that carries a source's change, and the signals that say so, strongest first."""

    sha: str
    signals: tuple[str, ...]

    @property
    def said_by(self) -> str:
        return " and ".join(self.signals)


def twins(scratch: Scratch, base: str, sources: Mapping[str, str]) -> dict[str, Equivalent]:
    """Source id -> its twin in the history of `base`, for those that have one which was not undone there.

    `sources` maps each commit to the parent that its change is taken against ("" for a root commit).  Costs a fixed
    number of processes, however many sources and commits.
    """
    if not sources:
        return {}
    key = hashlib.sha256(json.dumps([RULES, base, sorted(sources.items())]).encode()).hexdigest()
    if known := scratch.cache.get("twins", [key]):
        return {sha: Equivalent(sha=twin, signals=tuple(said)) for sha, twin, said in json.loads(known[key])}
    outside = set(scratch.rev_list(*sources, "--not", base, "--"))
    wanted = changes.of(scratch, sources)
    heads = ["--not", *sources]
    paths = {path for change in wanted for path in change.paths}
    own = changes.messages(scratch, base, *heads)
    near = own and changes.log(scratch, base, *heads, paths=sorted(paths))
    gone = Undone(own, near).commits
    found = match(scratch, wanted, own, near, gone)
    found |= {
        sha: Equivalent(sha=sha, signals=(ANCESTOR,)) for sha in sources if sha not in outside and sha not in gone
    }
    rows = [(sha, twin.sha, twin.signals) for sha, twin in found.items()]
    scratch.cache.put("twins", {key: json.dumps(rows).encode()})
    return found


def match(
    scratch: Scratch,
    wanted: Sequence[CommitChange],
    own: Sequence[CommitChange],
    near: Sequence[CommitChange],
    gone: Collection[str],
    *,
    every_signal: bool = True,
) -> dict[str, Equivalent]:
    """Which of the branch's `own` commits carry a wanted change; `near` are those with files to compare.

    Both newest first; `gone` are no twins.  Of several twins the one with the strongest signal counts, then the
    newest.  Without `every_signal` no diff is made for a commit that a trailer or equal files name already.
    """
    signals: dict[tuple[str, str], set[str]] = defaultdict(set)
    for source, twin in _by_trailer(wanted, own):
        signals[source, twin].add(TRAILER)
    settled = set() if every_signal else {source for source, twin in signals if twin not in gone}
    for source, twin, signal in _by_patch(scratch, wanted, near, settled):
        signals[source, twin].add(signal)
    order = {change.sha: number for number, change in enumerate(own)}
    found: dict[str, Equivalent] = {}
    strength = (TRAILER, PATCH_ID, ZERO_CONTEXT)
    for (source, twin), said in sorted(
        signals.items(), key=lambda each: (min(map(strength.index, each[1])), order.get(each[0][1], 0))
    ):
        if twin not in gone:
            found.setdefault(source, Equivalent(sha=twin, signals=tuple(sorted(said, key=strength.index))))
    return found


def _by_trailer(wanted: Sequence[CommitChange], own: Sequence[CommitChange]) -> list[tuple[str, str]]:
    """(source, twin): the twin names the source, or both name the same origin, or the source names the twin.

    All names of a message count: they are a chain through several branches, or picks squashed into one commit.
    """
    bearers: dict[str, list[str]] = defaultdict(list)
    for change in own:
        for origin in {change.sha, *origins(change.message)}:
            bearers[origin].append(change.sha)
    pairs = []
    for change in wanted:
        family = (change.sha, *reversed(origins(change.message)))
        pairs += [(change.sha, twin) for name in family for twin in bearers.get(name, ()) if twin != change.sha]
    return pairs


def _by_patch(
    scratch: Scratch, wanted: Sequence[CommitChange], near: Sequence[CommitChange], settled: Collection[str]
) -> list[tuple[str, str, str]]:
    """(source, twin, signal).  Only changes of the very same paths are compared; equal blobs need no diff.

    No diff is made for the `settled` sources either.
    """
    groups: dict[frozenset[bytes], tuple[list[CommitChange], list[CommitChange]]] = {}
    for change in wanted:
        if change.files:
            groups.setdefault(change.paths, ([], []))[0].append(change)
    for change in near:
        if change.paths in groups:
            groups[change.paths][1].append(change)
    alike = [(mine, theirs) for mine, theirs in groups.values() if theirs]
    same = {
        (one.sha, other.sha)
        for mine, theirs in alike
        for one in mine
        for other in theirs
        if one.digest == other.digest and one.sha != other.sha
    }
    pairs = [(source, twin, PATCH_ID) for source, twin in same]
    settled = {*settled, *(source for source, _ in same)}
    left = [([one for one in mine if one.sha not in settled], theirs) for mine, theirs in alike]
    left = [(mine, theirs) for mine, theirs in left if mine]
    return pairs + _by_diff(scratch, left)


def _by_diff(
    scratch: Scratch, groups: Sequence[tuple[list[CommitChange], list[CommitChange]]]
) -> list[tuple[str, str, str]]:
    """By the diff without context first: only what agrees there can agree with context."""
    parents = {change.sha: change.parent for group in groups for side in group for change in side}
    bare = changes.patch_ids(scratch, parents, context=0)
    pairs = [
        (one.sha, other.sha)
        for mine, theirs in groups
        for one in mine
        for other in theirs
        if one.sha != other.sha and bare.get(one.sha) and bare.get(one.sha) == bare.get(other.sha)
    ]
    full = changes.patch_ids(scratch, {sha: parents[sha] for pair in pairs for sha in pair}, context=3)
    return [(one, other, PATCH_ID if full.get(one) == full.get(other) else ZERO_CONTEXT) for one, other in pairs]


class Undone:
    """Commits of a branch that were taken back on it; a reverted revert brings its commit back.

    Known by the message of a revert, and by a later change of the same files from the new content to the old one.
    """

    def __init__(self, own: Sequence[CommitChange], near: Sequence[CommitChange]) -> None:
        """Both newest first, as `git log` gives them."""
        self.commits: set[str] = set()
        self._by: dict[str, set[str]] = {}
        known = sorted(change.sha for change in own)
        inverse = {change.sha: change.inverse_digest for change in near if change.files}
        bearers: dict[bytes, list[str]] = defaultdict(list)
        digests = {change.sha: change.digest for change in near if change.files}
        for change in reversed(own):
            targets = {_full(known, name) for name in reverted(change.message)}
            if not targets and change.sha in inverse:
                targets = set(bearers.get(inverse[change.sha], [])) - self.commits
            if targets:
                self._take_back(change.sha, targets)
            if change.sha in digests:
                bearers[digests[change.sha]].append(change.sha)

    def _take_back(self, sha: str, targets: set[str]) -> None:
        self._by[sha] = targets
        for target in targets:
            if target in self._by and target not in self.commits:
                self.commits -= self._by[target]
            self.commits.add(target)


def _full(known: Sequence[str], name: str) -> str:
    """The commit of the branch that an abbreviated id names, else the name itself."""
    at = bisect_left(known, name)
    return known[at] if at < len(known) and known[at].startswith(name) else name
