"""What a CI runner reads of what is written: our own commands, and nothing that only looks like one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import RefusedError
from orchestrator.core.results import Progress
from orchestrator.report.console import Console, inert
from orchestrator.report.screen.groups import annotation
from orchestrator.session.journal import JournalRecord
from tests.support.cli import release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

FOREIGN = (
    "::add-mask::e\n   ::error::no\n\t::stop-commands::x\nfix: y ##[add-path]z ##vso[task.setvariable variable=a]b"
)


def console(env: dict[str, str], *, as_json: bool = False) -> Console:
    return Console(as_json=as_json, quiet=False, verbose=True, color=False, env=env, interactive=False)


def obeyed(text: str) -> list[str]:
    """The lines in which GitHub's runner, or Azure's, would find a command: its own rule."""
    return [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line or "##vso[" in line]


@pytest.mark.parametrize("env", [{"GITHUB_ACTIONS": "true"}, {"TF_BUILD": "True"}])
def test_foreign_text_is_no_command(capsys: pytest.CaptureFixture[str], env: dict[str, str]) -> None:
    shown = console(env)
    shown.note(FOREIGN)
    shown.lines(FOREIGN.split("\n"))
    shown.show_text(FOREIGN.split("\n"))
    shown.detail(FOREIGN)
    for line in FOREIGN.split("\n"):
        shown.progress(Progress(text=line, is_log=True))
    out, err = capsys.readouterr()
    assert (obeyed(out), obeyed(err)) == ([], [])
    assert "\\x3a:add-mask::e" in out
    assert "fix: y ##\\x5badd-path]z" in out


def test_our_own_commands_are_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = console({"GITHUB_ACTIONS": "true"})
    shown.record(JournalRecord(kind="started", task="a", body={"title": "build\n::error::x"}))
    shown.record(JournalRecord(kind="finished", task="a", body={"seconds": 1.0}))
    shown.error(RefusedError("first\n::error::second", where="release.yaml:1:2", code="x"))
    err = capsys.readouterr().err
    assert obeyed(err) == [
        "::group::build%0A::error::x", "::endgroup::",
        "::error file=release.yaml,line=1,col=2,title=x::first%0A::error::second",
    ]  # fmt: skip


def test_elsewhere_text_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console({}).lines([FOREIGN])
    assert capsys.readouterr().out == FOREIGN + "\n"
    assert inert("a::b ## [x] std::vector") == "a::b ## [x] std::vector"


def test_a_document_says_the_same_and_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console({"GITHUB_ACTIONS": "true"}, as_json=True).document({"a": [FOREIGN]})
    out = capsys.readouterr().out
    assert "##[" not in out
    assert json.loads(out) == {"a": [FOREIGN]}


@pytest.mark.parametrize(
    ("env", "opened", "closed"),
    [
        ({"GITHUB_ACTIONS": "true"}, "::group::build x", "::endgroup::"),
        (
            {"GITLAB_CI": "true"},
            "\x1b[0Ksection_start:1700000000:release_1[collapsed=true]\r\x1b[0Kbuild x",
            "\x1b[0Ksection_end:1700000000:release_1\r\x1b[0K",
        ),
    ],
)
def test_a_log_keeps_the_names_of_steps_and_folds_their_text(
    capsys: pytest.CaptureFixture[str], env: dict[str, str], opened: str, closed: str
) -> None:
    """Two tasks at the same time are one group: a runner's groups do not nest."""
    shown = Console(
        as_json=False, quiet=False, verbose=False, color=True, env=env, interactive=False, now=lambda: 1_700_000_000.0
    )
    for task in "xy":
        shown.record(JournalRecord(kind="started", task=task, body={"title": f"build {task}"}))
    shown.progress(Progress(text="Collecting numpy", item="build", is_log=True))
    for task in "xy":
        shown.record(JournalRecord(kind="finished", task=task, body={"seconds": 1.0}))
    shown.note("after")
    said = capsys.readouterr().err.split("\n")
    assert said == [opened, "    Collecting numpy", "build x: 1.0 s", "build y: 1.0 s", closed, "after", ""]


def test_a_sign_of_life_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = [0.0]
    shown = Console(
        as_json=False, quiet=False, verbose=False, color=False, env={}, interactive=False, clock=lambda: seconds[0]
    )
    shown.record(JournalRecord(kind="started", task="a", body={"title": "build x"}))
    shown.progress(Progress(text="Step 4/9 : RUN make", item="build", current=4, total=9))
    seconds[0] = 50.0
    shown.beat()
    shown.record(JournalRecord(kind="finished", task="a", body={"seconds": 60.0}))
    shown.beat()
    assert capsys.readouterr().err == "  build x: 50 s, step 4/9 RUN make\nbuild x: 60.0 s\n"


@pytest.mark.hostile
def test_a_commit_s_subject_cannot_command_the_runner(tale: Story) -> None:
    sha = tale.clone.commit("fix: x ##[add-mask]release", {"extra.py": "print('hello there')\n"})
    tale.clone.git("push", "--quiet", "origin", "HEAD:main")
    tale.release_yaml(f"      - commit: {sha}\n        reason: '::stop-commands::x'")
    plan = release("plan", cwd=tale.clone.path, env={"GITHUB_ACTIONS": "true"})
    assert "##\\x5badd-mask]release" in plan.out
    assert obeyed(plan.out + plan.err) == []


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("notes:v1/release.yaml:3:7", "::error file=notes%3Av1/release.yaml,line=3,col=7,title=c::m"),
        ("v2.7.1:release.yaml:8:9", "::error title=c::v2.7.1:release.yaml:8:9: m"),
        ("refs/release-records/v2.7.1", "::error title=c::refs/release-records/v2.7.1: m"),
        ("", "::error title=c::m"),
    ],
)
def test_an_annotation_names_only_files_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, expected: str
) -> None:
    (tmp_path / "notes:v1").mkdir()
    (tmp_path / "notes:v1/release.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert annotation("m", where, "c") == expected
