"""Prerequisite cases of a real history: found by the tool, proved by a replay that shares nothing with the finding."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.git.scratch import Scratch
from orchestrator.picks.prerequisites import Finder
from tests.replay.replaying import source

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Found:
    """One case; `proved` by picking `commits` and then the fix in a fresh store."""

    fix: str
    recorded: tuple[str, ...]
    commits: tuple[str, ...]
    near: tuple[str, ...]
    proved: bool
    seconds: float


def cases(data: Any) -> list[dict[str, Any]]:
    """The cases of either kind of file."""
    return list(data if isinstance(data, list) else data.get("cases") or data["prerequisites"])


def find(objects: Path, case: dict[str, Any], effort: float) -> Found:
    fix, tip = case["fix"], case["prev_sha"]
    with Scratch.open(objects) as scratch:
        one = source(scratch, fix)
        begun = time.perf_counter()
        needs = Finder(scratch, tip, effort=effort).find(one, tip, list(case["conflict_alone"]))
        seconds = time.perf_counter() - begun
    return Found(
        fix=fix,
        recorded=tuple(case["prerequisites"]),
        commits=needs.commits,
        near=needs.near,
        proved=bool(needs.commits) and proves(objects, tip, (*needs.commits, fix)),
        seconds=seconds,
    )


def proves(objects: Path, tip: str, commits: tuple[str, ...]) -> bool:
    """Whether these commits apply cleanly, one after another."""
    with Scratch.open(objects) as scratch:
        tree = scratch.tree_of(tip)
        for sha in commits:
            one = source(scratch, sha)
            merge = scratch.pick(base=scratch.tree_of(one.parent), ours=tree, theirs=one.commit.tree)
            if merge.conflicts or merge.tree == tree:
                return False
            tree = merge.tree
    return True
