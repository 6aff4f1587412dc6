"""What is to be typed, as people see it: a line with a command is that command, to be copied whole."""

from __future__ import annotations

from orchestrator.core.results import CheckResult, CheckState, Problem
from orchestrator.release.status import ReleaseStatus, Standing
from orchestrator.report.text import check_lines, problem_lines, standing_lines
from tests.support.remedies import commands, told

RESOLVE = "cd 'a b'   (resolve it there, then)   git add -- 'x | y.py'"
PAUSE = f'{RESOLVE} && release continue v1   | release skip v1 --reason "..."   | git rm -- z   (keeps what one has)'


def problem(remedy: str) -> Problem:
    return Problem(code="conflict", message="it conflicts", remedy=remedy)


def test_ways_and_words_beside_a_command_have_their_own_lines() -> None:
    shown = problem_lines([problem(PAUSE)])
    assert shown == [
        "error: it conflicts [conflict]",
        "  do: cd 'a b'",
        "      (resolve it there, then)",
        "      git add -- 'x | y.py' && release continue v1",
        '  or: release skip v1 --reason "..."',
        "  or: git rm -- z",
        "      (keeps what one has)",
    ]
    assert [commands(each) for each in told("\n".join(shown))] == [commands(PAUSE)]  # how the tests read it
    assert problem_lines([problem("")]) == shown[:1]
    plain = "look at it (twice), then: release plan v1"
    assert problem_lines([problem(plain)])[1:] == [f"  do: {plain}"]


def test_status_and_doctor_show_them_so_too() -> None:
    paused = ReleaseStatus(
        version="v1", state=Standing.PAUSED, said="paused", done=(), missing=(), public=False,
        next=(RESOLVE, "release continue v1"),
    )  # fmt: skip
    assert standing_lines([paused])[1:] == [
        "  next     cd 'a b'",
        "           (resolve it there, then)",
        "           git add -- 'x | y.py'",
        "  next     release continue v1",
    ]
    failed = CheckResult(name="git", state=CheckState.FAILED, message="old", remedy="apt-get update   | ask somebody")
    assert check_lines([failed])[1:] == ["         do: apt-get update", "         or: ask somebody"]
