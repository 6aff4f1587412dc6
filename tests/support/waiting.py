"""Waiting for something, and not for ever: limits that only what hangs exceeds, however busy the machine is.

No test measures seconds (tests/test_tests.py looks): how fast something is belongs to tools/bench.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 120.0


@contextmanager
def within(seconds: float = SECONDS) -> Iterator[None]:
    """Fail what is still at work after so long."""

    def late(*_: object) -> None:
        raise AssertionError(f"still at work after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def until(holds: Callable[[], object], what: Callable[[], object] = str, pause: float = 0.02) -> None:
    """Wait until it holds; `what` says how things stand when it never does."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {SECONDS:g} s: {what()}"
        time.sleep(pause)
