"""Replaying lists of commits on a tree, remembered step by step, and making a list that works as short as it can be."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Protocol

from orchestrator.git.objects import EMPTY_TREE
from orchestrator.git.process import TimeUpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.git.scratch import Scratch

_SINGLES, _PAIR_POOL, _TRIPLE_POOL = 60, 14, 7  # how many of the likeliest are tried alone, in pairs, in threes
_CONFLICT = ""  # stands for the tree of a pick that conflicts


class ReplayChange(Protocol):
    """Something to pick: its id, and the trees before and after it."""

    @property
    def sha(self) -> str: ...
    @property
    def before(self) -> str: ...
    @property
    def after(self) -> str: ...
    @property
    def options(self) -> Sequence[str]: ...


class Replay:
    """Picks on top of `tree`, each (tree, commit) merged at most once.  `best` is the shortest list proved so far."""

    def __init__(self, scratch: Scratch, tree: str, fix: ReplayChange, late: Callable[[], bool]) -> None:
        self.scratch = scratch
        self.tree = tree
        self.fix = fix
        self.tried = 0
        self.best: tuple[str, ...] = ()
        self._late = late
        self._known: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}

    def stop_if_late(self) -> None:
        if self._late():
            raise TimeUpError

    def pick(self, tree: str, sha: str) -> tuple[str, tuple[str, ...]]:
        """(tree with the commit picked, paths in conflict): "" and paths where it conflicts."""
        key = (tree, sha)
        if key not in self._known:
            self.stop_if_late()
            commit = self.scratch.commit(sha)
            before = self.scratch.tree_of(commit.parents[0]) if commit.parents else EMPTY_TREE
            self._known[key] = self._merge(before, commit.tree, tree)
        return self._known[key]

    def applies(self, tree: str) -> bool:
        """Whether the fix goes in cleanly on a tree, and changes it."""
        key = (tree, self.fix.sha)
        if key not in self._known:
            self.stop_if_late()
            self._known[key] = self._merge(self.fix.before, self.fix.after, tree, self.fix.options)
        return self._known[key][0] not in (_CONFLICT, tree)

    def _merge(self, before: str, after: str, ours: str, options: Sequence[str] = ()) -> tuple[str, tuple[str, ...]]:
        merge = self.scratch.pick(base=before, ours=ours, theirs=after, options=options)
        return (_CONFLICT if merge.conflicts else merge.tree), tuple(each.path for each in merge.conflicts)

    def proves(self, commits: Sequence[str]) -> tuple[str, ...]:
        """The list without commits that change nothing, if each applies in turn and then the fix; else ()."""
        tree, kept = self.tree, []
        self.tried += 1
        for sha in commits:
            after, _ = self.pick(tree, sha)
            if after == _CONFLICT:
                return ()
            if after != tree:
                kept.append(sha)
                tree = after
        if not kept or not self.applies(tree):
            return ()
        if not self.best or len(kept) < len(self.best):
            self.best = tuple(kept)
        return tuple(kept)

    def longest(self, commits: Sequence[str]) -> tuple[str, ...]:
        """As `proves`, but commits that conflict are left out."""
        tree, kept = self.tree, []
        for sha in commits:
            after, _ = self.pick(tree, sha)
            if after not in (_CONFLICT, tree):
                kept.append(sha)
                tree = after
        return self.proves(kept) if kept else ()


def smallest(replay: Replay, ranked: Sequence[str], position: Mapping[str, int]) -> tuple[str, ...]:
    """The shortest list found among candidates, likeliest first; () when none makes the fix apply.

    `position` orders commits as the source has them, oldest first.
    """

    def in_order(commits: Sequence[str]) -> list[str]:
        return sorted(commits, key=position.__getitem__)

    for sha in ranked[:_SINGLES]:
        if found := replay.proves([sha]):
            return found
    for size, pool in ((2, _PAIR_POOL), (3, _TRIPLE_POOL)):
        for some in combinations(ranked[:pool], size):
            if found := replay.proves(in_order(some)):
                return found
    whole = _first_that_works(replay, ranked, in_order)
    return _shrunk(replay, whole) if whole else ()


def _first_that_works(
    replay: Replay, ranked: Sequence[str], in_order: Callable[[Sequence[str]], list[str]]
) -> tuple[str, ...]:
    """More and more of the likeliest, all in order, conflicting ones left out, until the fix applies."""
    size = 4
    while size < 2 * len(ranked):
        if found := replay.longest(in_order(ranked[:size])):
            return found
        size *= 2
    return ()


def _shrunk(replay: Replay, whole: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out halves, quarters, single commits while it still works; then try every pair of what is left."""
    step = max(1, len(whole) // 2)
    while True:
        at = 0
        while at < len(whole):
            if found := replay.proves(whole[:at] + whole[at + step :]):
                whole = found
            else:
                at += step
        if step == 1:
            break
        step //= 2
    for size in range(2, min(len(whole), 5)):
        if len(whole) <= 12:
            for some in combinations(whole, size):
                if found := replay.proves(some):
                    return found
    return whole
