"""What history says about a fix: is its change on the release branch already, under its own id or another?

Signals name a candidate: ancestry, the `-x` trailer, the usual patch-id, the patch-id of the diff without context, a
common origin with like changes, a picked merge that brought it.  None of them is proof: a pick may have been undone
since, by a revert or by hand.  A commit undone on the branch is no candidate, and the tree is asked besides: see
classify.py and presence.py.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins, reverted
from orchestrator.core.dataclass import dataclass
from orchestrator.git import changes, diff
from orchestrator.git.batch import outside
from orchestrator.picks.merged.brought import brought, named_merges, taken_back

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from orchestrator.git.changes import CommitChange
    from orchestrator.git.scratch import Scratch

ANCESTOR, TRAILER, PATCH_ID, ZERO_CONTEXT = "ancestor", "trailer", "patch-id", "zero-context patch-id"
ORIGIN, MERGE = "common origin", "picked merge"
BACKPORT = "backport"  # an entry names it: no signal of history
STRENGTH = (TRAILER, PATCH_ID, ZERO_CONTEXT, ORIGIN, MERGE)  # the strongest first
_RULES = 3  # raise it when the same signals would say something else of the same history
_ALIKE = 0.5  # so much of the smaller one must be in both, of two changes that name one origin


def signal_rules() -> list[int | str]:
    """What each kept answer depends on that was found by these signals: part of its key in the cache.

    So a new signal asks again wherever one counts: in plans, prerequisites, `duplicates` and audits.
    """
    return [_RULES, ANCESTOR, *STRENGTH]


@dataclass(frozen=True, kw_only=True)
class Equivalent:
    """A commit on the branch that carries a source's change, and the signals that say so, strongest first."""

    sha: str
    signals: tuple[str, ...]
    others: tuple[str, ...] = ()  # further commits that name the source: it was picked in parts, or twice

    @property
    def said_by(self) -> str:
        return " and ".join(self.signals)


def twins(
    scratch: Scratch, base: str, sources: Mapping[str, str], made_for: Collection[str] = ()
) -> dict[str, Equivalent]:
    """Source id -> its twin in the history of `base`, for those that have one which was not undone there.

    `sources` maps each commit to the parent that its change is taken against ("" for a root commit); those `made_for`
    the branch (backports) may stand on it, and what is below them is no less its own.  Costs a fixed number of
    processes, however many sources and commits.
    """
    if not sources:
        return {}
    key = hashlib.sha256(
        json.dumps([signal_rules(), base, sorted(sources.items()), sorted(made_for)]).encode()
    ).hexdigest()
    if known := scratch.cache.get("twins", [key]):
        return {row[0]: _equivalent(*row[1:]) for row in json.loads(known[key])}
    beyond = outside(scratch, sources, [base])
    wanted = changes.of(scratch, sources)
    away = [sha for sha in sources if sha in beyond]
    on_top = _on_top(base, sources) | {*made_for}
    far = [sha for sha in away if sha not in on_top]
    heads = ["--not", *(far or away or sources)]  # what is declared by its id on the branch hides nothing below it
    paths = {path for change in wanted for path in change.paths}
    own = changes.messages(scratch, base, *heads)
    near = own and changes.log(scratch, base, *heads, paths=sorted(paths))
    merges = named_merges(scratch, own)
    gone = Undone(own, near, taken_back(scratch, merges, own))
    found = match(scratch, wanted, own, near, gone, merged=brought(scratch, base, merges, own, sources))
    found |= {
        sha: Equivalent(sha=sha, signals=(ANCESTOR,))
        for sha in sources
        if sha not in beyond and sha not in gone.commits
    }
    rows = [(sha, twin.sha, twin.signals, twin.others) for sha, twin in found.items()]
    scratch.cache.put("twins", {key: json.dumps(rows).encode()})
    return found


def _on_top(base: str, sources: Mapping[str, str]) -> set[str]:
    """Those that stand on the tip of the branch, one on another."""
    found: set[str] = set()
    while more := {sha for sha, parent in sources.items() if parent in {base, *found}} - found:
        found |= more
    return found


def _equivalent(sha: str, signals: Sequence[str], others: Sequence[str]) -> Equivalent:
    return Equivalent(sha=sha, signals=tuple(signals), others=tuple(others))


def match(
    scratch: Scratch,
    wanted: Sequence[CommitChange],
    own: Sequence[CommitChange],
    near: Sequence[CommitChange],
    gone: Undone | None = None,
    *,
    merged: Iterable[tuple[str, str]] = (),
    every_signal: bool = True,
) -> dict[str, Equivalent]:
    """Which of the branch's `own` commits carry a wanted change; `near` are those with files to compare.

    Both newest first; what is `gone` is no twin; `merged` are (source, twin) by picked merges.  Of several twins the
    one with the strongest signal counts, then the newest.  Without `every_signal` no diff is made for a commit that a
    trailer or equal files name already.
    """
    signals: dict[tuple[str, str], set[str]] = defaultdict(set)
    for source, twin, signal in (*_by_trailer(wanted, own), *((*pair, MERGE) for pair in merged)):
        signals[source, twin].add(signal)
    if gone:
        signals = defaultdict(set, {pair: said for pair, said in signals.items() if not gone.lacks(*pair)})
    settled = set() if every_signal else {source for (source, _), said in signals.items() if TRAILER in said}
    for source, twin, signal in _by_patch(scratch, wanted, near, settled):
        if not gone or not gone.lacks(source, twin):
            signals[source, twin].add(signal)
    strange = unlike(scratch, wanted, own, [pair for pair, said in signals.items() if said == {ORIGIN}])
    order = {change.sha: number for number, change in enumerate(own)}
    rows = sorted(
        ((min(map(STRENGTH.index, said)), order.get(twin, 0), source, twin) for (source, twin), said in signals.items()
         if (source, twin) not in strange)
    )  # fmt: skip
    found: dict[str, Equivalent] = {}
    for _, _, source, twin in rows:
        weak = {ORIGIN, MERGE} if TRAILER in signals[source, twin] else set()
        said = tuple(sorted(signals[source, twin] - weak, key=STRENGTH.index))
        if source not in found:
            found[source] = Equivalent(sha=twin, signals=said)
        elif TRAILER in said:
            found[source] = replace(found[source], others=(*found[source].others, twin))
    return found


def _by_trailer(wanted: Sequence[CommitChange], own: Sequence[CommitChange]) -> list[tuple[str, str, str]]:
    """(source, twin, signal): the twin names the source, or the source names the twin, or both name the same origin.

    All names of a message count: they are a chain through several branches, or picks squashed into one commit.
    """
    bearers: dict[str, list[str]] = defaultdict(list)
    for change in own:
        for origin in {change.sha, *origins(change.message)}:
            bearers[origin].append(change.sha)
    ids = {change.sha for change in own}
    return [
        (change.sha, twin, TRAILER if name == change.sha or name in ids else ORIGIN)
        for change in wanted
        for name in (change.sha, *reversed(origins(change.message)))
        for twin in bearers.get(name, ())
        if twin != change.sha
    ]


def unlike(
    scratch: Scratch, wanted: Sequence[CommitChange], own: Sequence[CommitChange], pairs: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Those of the pairs that have an origin in common and little else: it was split over several commits."""
    if not pairs:
        return set()
    named = {sha for pair in pairs for sha in pair}
    parents = {change.sha: change.parent for change in (*wanted, *own) if change.sha in named}
    lines = {
        sha: Counter((sign, line) for file in files for hunk in file.hunks
                     for sign, side in (("-", hunk.removed), ("+", hunk.added)) for line in side)
        for sha, files in diff.of(scratch, parents).items()
    }  # fmt: skip
    return {(one, other) for one, other in pairs if not _share(lines.get(one), lines.get(other))}


def _share(one: Counter[tuple[str, bytes]] | None, other: Counter[tuple[str, bytes]] | None) -> bool:
    least = min(one.total(), other.total()) if one and other else 0
    return bool(one and other and least and (one & other).total() >= _ALIKE * least)


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

    Known by the message of a revert, which may name the commit, what it is a pick of, or a merge that brought either;
    and by a later change of the same files from the new content to the old one.
    """

    def __init__(
        self,
        own: Sequence[CommitChange],
        near: Sequence[CommitChange],
        merged: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Both newest first, as `git log` gives them; `merged`: merges that reverts name, and what they brought."""
        self.commits: set[str] = set()
        self._parts: set[tuple[str, str]] = set()  # (source, twin): of a squash only this was taken back
        self._by: dict[str, tuple[set[str], set[tuple[str, str]]]] = {}
        self._merged = merged or {}
        self._known = sorted(change.sha for change in own)
        self._origins = sorted({origin for change in own for origin in origins(change.message)})
        self._carried: dict[str, list[str]] = defaultdict(list)  # origin -> its picks so far
        self._paths = {change.sha: change.paths for change in near if change.files}
        same: dict[bytes, list[str]] = defaultdict(list)
        files = {change.sha: change for change in near if change.files}
        for change in reversed(own):
            targets, parts = self._named(change)
            if change.sha in files:
                targets |= set(same.get(files[change.sha].inverse_digest, [])) - self.commits
                same[files[change.sha].digest].append(change.sha)
            if targets or parts:
                self._take_back(change.sha, targets, parts)
            for origin in origins(change.message):
                self._carried[origin].append(change.sha)

    def lacks(self, source: str, twin: str) -> bool:
        """Whether a commit of the branch carries the source's change no longer."""
        return twin in self.commits or (source, twin) in self._parts

    def _named(self, change: CommitChange) -> tuple[set[str], set[tuple[str, str]]]:
        """What the message takes back: commits of the branch, and parts of squashed ones."""
        targets, parts = set(), set()
        said = reverted(change.message)
        for name in (*said, *(each for merge in said for each in self._merged.get(merge, ()))):
            targets.add(full(self._known, name))
            origin = full(self._origins, name)
            for twin in self._carried.get(origin, ()):
                if self._whole(twin, change.sha):
                    targets.add(twin)
                else:
                    parts.add((origin, twin))
        return targets, parts

    def _whole(self, twin: str, by: str) -> bool:
        """Whether a commit that takes back what a pick names can be all of that pick."""
        return self._paths.get(twin, frozenset()) <= self._paths.get(by, frozenset())

    def _take_back(self, sha: str, targets: set[str], parts: set[tuple[str, str]]) -> None:
        self._by[sha] = (targets, parts)
        self._parts |= parts
        for target in targets:
            if target in self._by and target not in self.commits:
                commits, others = self._by[target]
                self.commits -= commits
                self._parts -= others
            self.commits.add(target)


def full(known: Sequence[str], name: str) -> str:
    """The commit of the branch that an abbreviated id names, else the name itself."""
    at = bisect_left(known, name)
    return known[at] if at < len(known) and known[at].startswith(name) else name
