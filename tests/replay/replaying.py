"""Replays recorded releases with the planner's own picker and compares with what plain git did."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.core.declaration import Fix
from orchestrator.core.results import Place
from orchestrator.git.objects import Signature
from orchestrator.git.scratch import Scratch
from orchestrator.picks.classify import Classification, Judge
from orchestrator.picks.sources import Source
from orchestrator.plan.picker import write_pick

if TYPE_CHECKING:
    from pathlib import Path

REPLAYER = Signature(name="Replay", email="replay@example.invalid")


@dataclass
class Outcome:
    """Differences from plain git, as lines; `states` counts ours."""

    picks: int = 0
    releases: int = 0
    states: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def source(scratch: Scratch, sha: str, *, mainline: int = 0, backport: str = "") -> Source:
    commit = scratch.commit(sha)
    return Source(
        fix=Fix(place=Place(file="replay"), commit=sha, mainline=mainline),
        commit=commit,
        parent=commit.parents[max(mainline, 1) - 1],
        backport=scratch.commit(backport) if backport else None,
    )


def replay(objects: Path, releases: list[dict[str, Any]]) -> Outcome:
    """Pick every release again; after a conflict go on as the record did."""
    outcome = Outcome()
    for release in releases:
        outcome.releases += 1
        with Scratch.open(objects) as scratch:
            _release(scratch, release, outcome)
    return outcome


def _mainline(pick: dict[str, Any]) -> int:
    return 1 if pick.get("upstream_parents") == 2 else 0


def _release(scratch: Scratch, release: dict[str, Any], outcome: Outcome) -> None:
    sources = [source(scratch, pick["upstream"], mainline=_mainline(pick)) for pick in release["picks"]]
    judge = Judge(scratch, release["prev_sha"], sources, {})
    tip = release["prev_sha"]
    for pick, each in zip(release["picks"], sources, strict=True):
        verdict = judge.judge(each, tip)
        _compare(release, pick, verdict, outcome)
        if pick.get("then") == "recorded":
            backport = source(scratch, pick["upstream"], mainline=_mainline(pick), backport=pick["recorded"])
            verdict = judge.judge(backport, tip)
        if verdict.tree:
            tip = write_pick(scratch, tip, verdict.tree, each.commit, each.commit, REPLAYER)
    if scratch.tree_of(tip) != release["replay"]["final_tree"]:
        outcome.differences.append(f"{release['next_tag']}: tree {scratch.tree_of(tip)}")


def _compare(release: dict[str, Any], pick: dict[str, Any], verdict: Classification, outcome: Outcome) -> None:
    state, where = str(verdict.pick.state), f"{release['next_tag']} {pick['upstream'][:12]}"
    outcome.picks += 1
    outcome.states[state] = outcome.states.get(state, 0) + 1
    known = any(pick.get(key) for key in ("dup_of", "trailer_dup_of", "upstream_in_prev", "repeat_of_pick"))
    if (state == "duplicate") != known:
        outcome.differences.append(f"{where}: {state}, recorded duplicate: {known}")
    if state not in (pick["status"], "duplicate"):
        outcome.differences.append(f"{where}: {state}, plain git says {pick['status']}")
    if state == "conflict" and {each.path for each in verdict.pick.conflicts} != set(pick["files"]):
        outcome.differences.append(f"{where}: conflicts in other files")
    if state == "conflict" and {each.kind for each in verdict.pick.conflicts} != set(pick["kinds"]):
        outcome.differences.append(f"{where}: other kinds of conflict")


def judge_alone(objects: Path, case: dict[str, Any]) -> Classification:
    """One declared fix on the tip of a release."""
    with Scratch.open(objects) as scratch:
        merge = len(scratch.commit(case["upstream"]).parents) > 1
        only = source(scratch, case["upstream"], mainline=1 if merge else 0)
        return Judge(scratch, case["prev_sha"], [only], {}).judge(only, case["prev_sha"])
