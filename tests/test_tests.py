"""Rules for the tests themselves: where they lie, what finds them, and that none of them measures seconds."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tiers
from tools import test as runner

TESTS = Path(__file__).parent
PROGRAM = TESTS.parent / "orchestrator"
APART = {"docker", "replay", "scenarios", "tools"}  # folders that mirror no room
CLOCKS = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns"}
FILES = sorted(TESTS.rglob("test_*.py"))
ROW = re.compile(r"^\| `([\w/]+\.py)` \| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_no_test_measures_seconds(file: Path) -> None:
    """On a busy machine it would fail: limits in seconds belong to tools/bench, waiting to support/waiting.py."""
    calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    clocks = [
        f"line {call.lineno}: {ast.unparse(call)}"
        for call in calls
        if (isinstance(call, ast.Attribute) and call.attr in CLOCKS and ast.unparse(call.value) == "time")
        or (isinstance(call, ast.Name) and call.id in CLOCKS)
    ]
    assert clocks == []


def test_every_test_lies_in_the_room_of_what_it_tests() -> None:
    rooms = {str(path.relative_to(PROGRAM)) for path in PROGRAM.rglob("*") if (path / "__init__.py").exists()}
    assert {str(file.parent.relative_to(TESTS)) for file in FILES} <= rooms | APART | {"."}


def test_every_module_is_found_by_the_name_of_its_test_or_in_the_table() -> None:
    """A module `room/name.py` is tested by `tests/room/test_name.py`, or tests/README.md says what tests it."""
    paths = (path for path in PROGRAM.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))
    modules = {str(path.relative_to(PROGRAM)) for path in paths}
    named = {name for name in modules if (TESTS / Path(name).with_name(f"test_{Path(name).name}")).exists()}
    rows = dict(ROW.findall((TESTS / "README.md").read_text()))
    assert sorted(modules - named - set(rows)) == [], "not in tests/README.md"
    assert sorted(set(rows) - (modules - named)) == [], "too much in tests/README.md"
    for name, tests in rows.items():
        for test in re.findall(r"`([^`]+)`", tests) or [f"{name}: none"]:
            assert (TESTS / test).is_file(), test


def test_the_tiers_are_the_same_everywhere() -> None:
    assert set(tiers.TIERS) == set(runner.TIERS)
    chosen = {path.stem.removeprefix("test_") for path in (TESTS / "docker").glob("test_*.py")}
    assert {*runner.HALF, runner.BY_HAND} <= chosen


@pytest.mark.wide
def test_a_sample_leaves_out_what_it_says_and_by_hand_nothing_is(tmp_path: Path) -> None:
    args = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    place = tmp_path / "counts"

    def collected(sample: str) -> set[str]:
        env = os.environ | {"RELEASE_TEST_SAMPLE": sample, "RELEASE_TEST_COUNTS": str(place)}
        run = subprocess.run([*args, str(TESTS / "docker/test_image_kill.py")], env=env, cwd=TESTS.parent,
                             capture_output=True, text=True, check=True)  # fmt: skip
        return {line for line in run.stdout.splitlines() if "::" in line}

    whole, sample = collected(""), collected("1")
    row = [name for name in whole if "test_killed_then_run_again[" in name]
    assert sample < whole
    assert len(sample.intersection(row)) == -(-len(row) // 10)
    assert json.loads(Path(f"{place}.left").read_text()) == {"docker": len(whole - sample)}
