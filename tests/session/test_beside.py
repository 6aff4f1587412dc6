"""Tasks in the background of others: their order, what ends them, and which error is told.  No engine is needed."""

from __future__ import annotations

import time
from threading import Event, current_thread, main_thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.results import Progress
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext, execute
from orchestrator.session.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Said(Outcome):
    what: str


def context() -> TaskContext:
    return TaskContext(
        plan=cast("Any", SimpleNamespace(tag_object="")),
        session=cast("Any", SimpleNamespace(interrupted=lambda: False, monotonic=time.monotonic)),
        state=cast("Any", None),
        report=lambda _: None,
        finished=lambda _: False,
    )


def task(key: str, run: Callable[[TaskContext], object], after: str = "") -> Task:
    def said(given: TaskContext) -> Said:
        run(given)
        return Said(what=key)

    return Task(
        key=key, title=key, run=said, probe=lambda _, before: before, group="g", background=bool(after), after=after
    )


def run_all(tasks: list[Task], given: TaskContext, place: Path) -> Journal:
    journal = Journal(place / "journal.jsonl", lambda: "2026-01-01T00:00:00Z")
    execute(tasks, given, journal)
    return journal


def test_the_background_runs_while_the_task_that_let_it_begin_is_still_at_work(tmp_path: Path) -> None:
    uploaded = Event()
    seen: list[str] = []

    def smoke(given: TaskContext) -> None:
        assert current_thread() is main_thread()
        assert not uploaded.is_set()
        given.allow("smoke")
        assert uploaded.wait(60)  # it would never come if one followed the other
        seen.append("smoke")

    def upload(_: TaskContext) -> None:
        assert current_thread() is not main_thread()
        seen.append("upload")
        uploaded.set()

    given = context()
    run_all([task("smoke", smoke), task("upload", upload, "smoke")], given, tmp_path)
    assert seen == ["upload", "smoke"]
    assert [each.what for each in given.all(Said)] == ["smoke", "upload"]


def test_what_is_not_allowed_earlier_begins_when_its_task_has_ended_and_what_has_none_here_at_once(
    tmp_path: Path,
) -> None:
    seen: list[str] = []
    tasks = [
        task("smoke/a", lambda _: seen.append("smoke/a")),
        task("upload/a", lambda _: seen.append("upload/a"), "smoke/a"),
        task("upload/b", lambda _: seen.append("upload/b"), "smoke/b"),
    ]
    run_all(tasks, context(), tmp_path)
    assert seen == ["smoke/a", "upload/a", "upload/b"]


def test_a_failing_task_ends_the_background_at_its_next_word(tmp_path: Path) -> None:
    begun, words = Event(), Event()

    def smoke(given: TaskContext) -> None:
        given.allow("smoke")
        assert begun.wait(60)
        raise UnprovedError("it fails", code="smoke-failed")

    def upload(given: TaskContext) -> None:
        begun.set()
        try:
            while True:
                given.report(Progress(text="a layer"))
        finally:
            words.set()

    given = context()
    with pytest.raises(UnprovedError, match="it fails"):
        run_all([task("smoke", smoke), task("upload", upload, "smoke")], given, tmp_path)
    assert words.is_set()
    assert given.all(Said) == []


def test_a_background_that_was_never_allowed_does_not_begin(tmp_path: Path) -> None:
    def smoke(_: TaskContext) -> None:
        raise UnprovedError("it fails", code="smoke-failed")

    seen: list[str] = []
    with pytest.raises(UnprovedError):
        run_all([task("smoke", smoke), task("upload", lambda _: seen.append("x"), "smoke")], context(), tmp_path)
    assert seen == []


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_error_of_the_background_is_told_and_an_interruption_is_one(tmp_path: Path, *, interrupted: bool) -> None:
    refused = Event()

    def smoke(given: TaskContext) -> None:
        given.allow("smoke")
        assert refused.wait(60)
        if interrupted:
            raise KeyboardInterrupt
        while True:
            given.report(Progress(text="a check"))

    def upload(_: TaskContext) -> None:
        refused.set()
        raise RemoteError("refused", code="push-refused")

    with pytest.raises(KeyboardInterrupt if interrupted else RemoteError):
        run_all([task("smoke", smoke), task("upload", upload, "smoke")], context(), tmp_path)
