"""A signal that arrives in a finalizer, where Python drops what a handler raises: the release ends all the same."""

from __future__ import annotations

import importlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import release
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile


class Swallowing:
    """Its finalizer is where the signal arrives."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        time.sleep(0.001)  # the handler runs here at the latest


def signal_in_a_finalizer(number: str, again: str) -> None:
    """Let the signal arrive in a finalizer while the tag object is made; `again` no: and never come again."""
    tag: Any = importlib.import_module("orchestrator.release.steps.tag")
    make = tag.make_tag

    def made(*args: Any, **kwargs: Any) -> Any:
        if again == "no":
            signal.setitimer = lambda *_: (0.0, 0.0)
        found = make(*args, **kwargs)
        Swallowing(signal.Signals(int(number)))
        return found

    tag.make_tag = made


@pytest.mark.wide(4)
@pytest.mark.parametrize("again", ["yes", "no"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_a_finalizer_drops_ends_the_release(tale: Story, number: signal.Signals, again: str) -> None:
    """It comes again by itself; and were it lost for good, the flag ends the release before the next task."""
    tale.release_yaml(fix_line(tale.fix))
    arm = (f"{__name__}:signal_in_a_finalizer", str(int(number)), again)
    ran = release("cut", VERSION, "--yes", cwd=tale.clone.path, arm=arm)
    assert (ran.code, "[interrupted]" in ran.err) == (130, True), ran.err
    assert "Exception ignored" not in ran.err
    assert tale.remote.git("tag", "-l", VERSION) == ""
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def other_in_a_finalizer() -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError("not ours")

    tag: Any = importlib.import_module("orchestrator.release.steps.tag")
    make = tag.make_tag

    def made(*args: Any, **kwargs: Any) -> Any:
        Failing()
        return make(*args, **kwargs)

    tag.make_tag = made


def test_what_else_fails_in_a_finalizer_is_told_as_python_tells_it(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    ran = release("cut", VERSION, "--yes", cwd=tale.clone.path, arm=(f"{__name__}:other_in_a_finalizer",))
    assert (ran.code, "ValueError: not ours" in ran.err) == (0, True), ran.err
