"""What a conflicting pick needs: source commits that the branch lacks, and with which it applies.

Blame and the diff between branch and source name candidates; nothing is believed that was not replayed.  The shortest
lists are tried first: one commit, then two; then all candidates together, from which a smallest list is made by
leaving commits out.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.git import changes
from orchestrator.git.objects import EMPTY_TREE
from orchestrator.git.process import TimeUpError
from orchestrator.picks.equivalents import signal_rules
from orchestrator.picks.prerequisite_candidates import PrerequisiteCandidates
from orchestrator.picks.presence import is_changelog
from orchestrator.picks.replay import Replay, smallest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Source

EFFORT = 10.0  # seconds a pick
_RULES = 2  # part of the cache key: raise it when the same history and signals would get another answer
_NO_MATTER = re.compile(rb"[\s\"'`,;(){}\[\]]+")  # what a formatter changes
_NEAR = 10  # commits named where nothing is proved


@dataclass(frozen=True, kw_only=True)
class Needs:
    """`commits` are to be picked first, in that order; with them the pick was seen to apply.

    Without a proof `commits` is empty and `near` names those that touch the same lines or files, likeliest first.
    `tried` counts replayed lists; `complete` is False where the time ran out.
    """

    commits: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    tried: int = 0
    complete: bool = True

    @property
    def proved(self) -> bool:
        return bool(self.commits)

    @property
    def said(self) -> str:
        """How the search ended, in words; "" when nothing was looked for."""
        if self.proved:
            shorter = "" if self.complete else ", perhaps not the shortest list: the time ran out"
            return f"proved by replay{shorter}"
        if not self.complete:
            return f"no prerequisites proved in the time given ({_sets(self.tried)})" if self.tried else ""
        return f"no set of missing commits was found that makes it apply ({_sets(self.tried)})"


class Finder:
    """Looks for prerequisites of picks onto one branch; `base` is its tip without the picks of this plan.

    `changelog` is the file that the release commit writes, by whatever name ("": none); `for_patch`: only
    what a patch release may take is an answer: no features, breaking changes, or reformats.
    """

    def __init__(
        self,
        scratch: Scratch,
        base: str,
        *,
        effort: float = EFFORT,
        clock: Callable[[], float] = time.monotonic,
        for_patch: bool = False,
        changelog: str = "",
    ) -> None:
        self.changelog = changelog
        self.for_patch = for_patch
        self.scratch = scratch
        self.base = base
        self.effort = effort
        self.clock = clock

    def find(self, source: Source, tip: str, paths: Collection[str], present: Collection[str] = ()) -> Needs:
        """What `source` needs to apply on commit `tip`, where it conflicts in `paths`.

        `present` are source commits that are picked in this plan already, or were decided on.
        """
        if not source.parent or self.effort <= 0:
            return Needs(complete=self.effort > 0)
        if paths and all(path == self.changelog or is_changelog(path) for path in paths):
            return Needs(complete=False)  # each change adds a line there: nothing is missing
        tree = self.scratch.tree_of(tip)
        rules = [_RULES, self.for_patch, signal_rules(), self.scratch.git_version]
        asked = [
            self.base,
            tree,
            source.commit.sha,
            source.change.sha,
            *source.fix.strategy_options,
            source.parent,
            sorted(present),
        ]
        key = hashlib.sha256(json.dumps([*rules, *asked]).encode()).hexdigest()
        hurried = f"{key} {self.effort}"  # what was found in that time; more time asks again
        if known := self.scratch.cache.get("needs", [key, hurried]):
            return _decoded(known.get(key) or known[hurried])
        found = self._search(source, tree, paths, present)
        self.scratch.cache.put("needs", {key if found.complete else hurried: json.dumps(asdict(found)).encode()})
        return found

    def _search(self, source: Source, tree: str, paths: Collection[str], present: Collection[str]) -> Needs:
        deadline = self.clock() + self.effort
        replay = Replay(self.scratch, tree, _Fix(self.scratch, source), lambda: self.clock() > deadline)
        suspects = PrerequisiteCandidates(
            self.scratch, self.base, source.parent, {source.commit.sha, *present}, for_patch=self.for_patch
        )
        self.scratch.git.remaining = lambda: deadline - self.clock()
        try:
            return self._rounds(source, replay, suspects, paths)
        except TimeUpError:
            best = replay.best
            near = () if best else tuple(suspects.seen[:_NEAR])
            return Needs(commits=best, near=near, tried=replay.tried, complete=False)
        finally:
            self.scratch.git.remaining = None

    def _rounds(
        self, source: Source, replay: Replay, suspects: PrerequisiteCandidates, paths: Collection[str]
    ) -> Needs:
        """Wider and wider: the lines in conflict, then the files in conflict, then what the candidates need in turn."""
        rounds: tuple[Callable[[], list[str]], ...] = (
            lambda: suspects.of_lines(source.parent, source.change.sha, replay.tree, paths),
            lambda: suspects.of_files(source.parent, replay.tree, paths),
            lambda: suspects.of_suspects(replay),
            lambda: suspects.of_suspects(replay),
        )
        seen: list[str] = []
        for widen in rounds:
            replay.stop_if_late()
            ranked = widen()
            if ranked == seen:
                continue
            seen = ranked
            while found := smallest(replay, ranked, suspects.position):
                sweeping = [sha for sha in found if self.for_patch and reformats(self.scratch, sha)]
                if not sweeping:
                    return Needs(commits=found, tried=replay.tried)
                suspects.leave_out(sweeping)
                replay.best = ()
                ranked = [sha for sha in ranked if sha not in sweeping]
        return Needs(near=tuple(suspects.seen[:_NEAR]), tried=replay.tried)


def reformats(scratch: Scratch, sha: str) -> bool:
    """Whether a commit changes most of its files in blanks, quotes and brackets alone."""
    commit = scratch.commit(sha)
    changed = changes.of(scratch, {sha: next(iter(commit.parents), "")})
    files = [file for each in changed for file in each.files if b"000000" not in file.modes and file.modes[:2] != b"16"]
    looks = [
        _NO_MATTER.sub(b"", scratch.blob(file.before.decode()))
        == _NO_MATTER.sub(b"", scratch.blob(file.after.decode()))
        for file in files
        if file.before != file.after
    ]
    return bool(looks) and 2 * sum(looks) > len(looks)


class _Fix:
    """The pick itself, as a change that can be put on a tree."""

    def __init__(self, scratch: Scratch, source: Source) -> None:
        self.sha = source.commit.sha
        self.before = scratch.tree_of(source.parent) if source.parent else EMPTY_TREE
        self.after = source.change.tree
        self.options = source.fix.strategy_options


def _decoded(data: bytes) -> Needs:
    values = json.loads(data)
    return Needs(**{**values, "commits": tuple(values["commits"]), "near": tuple(values["near"])})


def _sets(number: int) -> str:
    return f"{number} set{'' if number == 1 else 's'} tried"
