"""Which source commits may be what a pick lacks: from the lines and files in conflict, likeliest first."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import breaks, conventional, is_feature
from orchestrator.git import diff
from orchestrator.picks.equivalents import twins

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.git.diff import DiffHunk, FileDiff
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.replay import Replay

_CLASH, _CREATED, _TOUCHED, _BESIDE, _SAME_FILE = 100.0, 60.0, 30.0, 8.0, 1.0  # what a hit of each kind weighs
_STYLE = ("style", "format", "fmt")  # types of commits that change how code looks
_LOG = 400  # commits of a file's history that are read
_WIDE = 3  # lines on both sides of a hunk that a merge may need
_BIG = 3000  # blamed lines of one file
_LOOKED_AT = 120  # candidates, the likeliest
_DEEP = 12  # candidates whose own needs are asked for


class PrerequisiteCandidates:
    """Candidates among the commits that `head` has and `base` has not, without those in `known`."""

    def __init__(
        self, scratch: Scratch, base: str, head: str, known: Collection[str], *, for_patch: bool = False
    ) -> None:
        self.for_patch = for_patch
        self.scratch = scratch
        self.base = base
        self.head = head
        self.known = known
        self._weights: dict[str, float] = {}
        self._renamed: dict[tuple[str, str], dict[str, str]] = {}
        self._read: dict[tuple[str, ...], dict[str, list[FileDiff]]] = {}
        self._there: dict[str, bool] = {}
        self._fit: dict[str, bool] = {}
        self._asked: set[str] = set()
        self.seen: list[str] = []  # as `ranked` was last

    @cached_property
    def position(self) -> dict[str, int]:
        """Every commit in question -> its place, oldest first."""
        ids = self.scratch.rev_list("--topo-order", "--reverse", "--no-merges", self.head, f"^{self.base}", "--")
        return {sha: number for number, sha in enumerate(ids)}

    @property
    def ranked(self) -> list[str]:
        """Candidates that the branch has under no other id, likeliest first; of equally likely ones the newest."""
        likely = [sha for sha in self._weights if sha in self.position and sha not in self.known]
        likely.sort(key=lambda sha: (-self._weights[sha], -self.position[sha]))
        likely = list(islice((sha for sha in likely if self._fits(sha)), _LOOKED_AT))
        self._look_on_branch(likely)
        self.seen = [sha for sha in likely if not self._there[sha]]
        return self.seen

    def _fits(self, sha: str) -> bool:
        """Whether a patch release may take it: no feature, nothing that breaks, no change of style alone."""
        if not self.for_patch:
            return True
        if sha not in self._fit:
            text = self.scratch.commit(sha).text
            style = conventional(text.strip().partition("\n")[0]).type in _STYLE
            self._fit[sha] = not (is_feature(text) or breaks(text) or style)
        return self._fit[sha]

    def leave_out(self, commits: Collection[str]) -> None:
        self._fit |= dict.fromkeys(commits, False)

    def _look_on_branch(self, commits: Sequence[str]) -> None:
        """What the branch has under another id is no candidate."""
        new = [sha for sha in commits if sha not in self._there]
        parents = {sha: next(iter(self.scratch.commit(sha).parents), "") for sha in new}
        found = twins(self.scratch, self.base, parents)
        self._there |= {sha: sha in found for sha in new}

    # -------------------------------------------------------------- rounds

    def of_lines(self, before: str, after: str, ours: str, paths: Collection[str]) -> list[str]:
        """By the lines that the change `before`..`after` touches in the files that conflict on tree `ours`."""
        wanted = diff.patches(self.scratch, before, after)
        touched = [patch for patch in wanted if {patch.old, patch.new} & set(paths)] or wanted
        olds = [patch.old for patch in touched if patch.old]
        clashes = {patch.old: patch for patch in self._between(before, ours, olds)}
        for patch in touched:
            if patch.old:
                self._weigh_lines(before, patch, clashes.get(patch.old))
        return self.ranked

    def _between(self, before: str, ours: str, olds: Sequence[str]) -> list[FileDiff]:
        """How the branch differs in these files.  One that it lacks is looked for under other names."""
        if not olds:
            return []
        found = diff.patches(self.scratch, before, ours, *olds)
        lost = [patch.old for patch in found if not patch.new]
        if names := [name for old in lost if (name := self._renames(before, ours).get(old))]:
            found = [patch for patch in found if patch.new]
            found += [patch for patch in diff.patches(self.scratch, before, ours, *lost, *names) if patch.old in olds]
        return found

    def _renames(self, before: str, ours: str) -> dict[str, str]:
        if (before, ours) not in self._renamed:
            self._renamed[before, ours] = diff.renames(self.scratch, before, ours)
        return self._renamed[before, ours]

    def _weigh_lines(self, before: str, patch: FileDiff, clash: FileDiff | None) -> None:
        theirs = clash.hunks if clash else ()
        clashing = [hunk for hunk in theirs if any(hunk.near(mine, 1) for mine in patch.hunks)]
        beside = [hunk for hunk in theirs if any(hunk.near(mine, _WIDE) for mine in patch.hunks)]
        sets = ((clashing, _CLASH), (patch.hunks, _TOUCHED), (beside, _BESIDE))
        wanted = {line for hunks, _ in sets for line in _lines(hunks)}
        origin = diff.blame(self.scratch, before, self.base, patch.old, wanted)
        for hunks, weight in sets:
            hits = Counter(origin[line] for line in _lines(hunks) if line in origin)
            diff.weigh(hits, weight, self._weights)
        self._weigh_history(patch.old, clash, beside)

    def _weigh_history(self, path: str, clash: FileDiff | None, beside: Sequence[DiffHunk]) -> None:
        """Who took away what the branch still has there, who made the file, who gave it its name."""
        still_there = {line for hunk in beside for line in hunk.added if line.strip()}
        is_elsewhere = clash is not None and clash.new != path
        for sha, found in self._history([path]).items():
            for patch in found:
                gone = {line for hunk in patch.hunks for line in hunk.removed}
                if still_there & gone:
                    diff.weigh({sha: len(still_there & gone)}, _CLASH / 2, self._weights)
                if is_elsewhere and not patch.old:
                    diff.weigh({sha: 1}, _CREATED * 4, self._weights)

    def _history(self, paths: Sequence[str]) -> dict[str, list[FileDiff]]:
        key = tuple(paths)
        if key not in self._read:
            self._read[key] = diff.history(self.scratch, [self.head, f"^{self.base}"], paths, limit=_LOG)
        return self._read[key]

    def of_files(self, before: str, ours: str, paths: Collection[str]) -> list[str]:
        """By the files that conflict, under their names on either side."""
        renamed = self._renames(before, ours)
        names = {*paths, *(new for old, new in renamed.items() if old in paths and new)}
        names |= {old for old, new in renamed.items() if new in paths and old}
        for sha in self._history(sorted(names)):
            diff.weigh({sha: 1}, _SAME_FILE, self._weights)
        return self.ranked

    def of_suspects(self, replay: Replay) -> list[str]:
        """What the likeliest candidates lack themselves, where they conflict."""
        for sha in [each for each in self.ranked if each not in self._asked][:_DEEP]:
            self._asked.add(sha)
            replay.stop_if_late()
            tree, paths = replay.pick(replay.tree, sha)
            commit = self.scratch.commit(sha)
            if not tree and commit.parents:
                weight = self._weights.get(sha, 0.0)
                before = dict(self._weights)
                self.of_lines(commit.parents[0], sha, replay.tree, paths)
                self._dampen(before, weight)
        return self.ranked

    def _dampen(self, before: dict[str, float], weight: float) -> None:
        """A need of a need weighs less than what asks for it."""
        for sha, new in self._weights.items():
            if added := new - before.get(sha, 0.0):
                self._weights[sha] = before.get(sha, 0.0) + min(added, weight) / 2


def _lines(hunks: Sequence[DiffHunk]) -> list[int]:
    """The lines that these hunks touch, as many as blame is asked for in one file."""
    return [line for hunk in hunks for line in hunk.span if line > 0][:_BIG]
