"""A real history guards every change: states, trees, duplicates and re-picks as plain git and people had them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.replay import replaying
from tests.support.cli import release
from tests.support.story import Repo, make_repo

pytestmark = pytest.mark.replay
DATA = Path(__file__).parent / "data"
HISTORY = replaying.load(DATA / "history.json")


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as a bare repository."""
    path = tmp_path_factory.mktemp("history") / "history.git"
    Repo(DATA).git("clone", "--quiet", "--bare", str(DATA / "history.bundle"), str(path))
    return path


def test_states_and_trees_are_those_of_plain_git(history: Path) -> None:
    outcome = replaying.replay(history / "objects", HISTORY["releases"])
    assert (outcome.releases, outcome.picks) == (8, 143)
    assert outcome.differences == []
    assert outcome.states == {"clean": 116, "conflict": 27}


@pytest.mark.wide
def test_a_fix_picked_before_is_known_again(history: Path) -> None:
    """git says empty, conflict, or applies it twice; here each is a duplicate of the commit that it became."""
    for case in HISTORY["repicks"]:
        verdict = replaying.judge_alone(history / "objects", case)
        undone = case.get("undoing_applied_as") not in (None, "clean")
        assert str(verdict.pick.state) == ("clean" if undone else "duplicate"), case


@pytest.mark.wide(8)
@pytest.mark.parametrize("recorded", HISTORY["releases"], ids=lambda each: str(each["next_tag"]))
def test_plan_as_a_user_runs_it(history: Path, tmp_path: Path, recorded: dict[str, Any]) -> None:
    """The same through the command line: a clone, a remote, a release.yaml; conflicts are given as backports."""
    clone = make_repo(tmp_path / "clone")
    (clone.path / ".git/objects/info/alternates").write_text(f"{history / 'objects'}\n")
    clone.git("update-ref", "refs/heads/release/1.7", recorded["prev_sha"])
    clone.git("tag", recorded["prev_tag"], recorded["prev_sha"])
    clone.git("update-ref", "refs/heads/source", recorded["picks"][-1]["upstream"])
    picks = [pick for pick in recorded["picks"] if pick["status"] == "clean" or pick.get("then") == "recorded"]
    clone.write("release.yaml", _release_yaml(recorded["next_tag"], picks))
    plan = release("plan", recorded["next_tag"], "--offline", "--json", cwd=clone.path)
    assert plan.code == 0, plan.err
    assert plan.json["base"] == recorded["prev_sha"]
    assert plan.json["picked_tree"] == recorded["replay"]["final_tree"]
    assert [pick["state"] for pick in plan.json["picks"]] == [
        "clean" if pick["status"] == "clean" else "adapted" for pick in picks
    ]


def _release_yaml(version: str, picks: list[dict[str, Any]]) -> str:
    lines = ["version: 1", "branch: release/1.7", "source: source", "releases:", f"  {version}:", "    fixes:"]
    for pick in picks:
        lines += [
            f"      - commit: {pick['upstream']}",
            "        reason: as they did",
            "        allow: [feature, breaking]",
        ]
        if pick["status"] != "clean":
            lines.append(f"        backport: {pick['recorded']}")
        elif pick.get("upstream_parents") == 2:
            lines.append("        mainline: 1")
    return "\n".join(lines) + "\n"
