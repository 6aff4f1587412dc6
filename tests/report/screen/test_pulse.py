"""A log is never silent for 30 s: counted by a clock that the test moves."""

from __future__ import annotations

from itertools import pairwise

from orchestrator.report.screen.pulse import EVERY, Pulse


class Clock:
    """Sleeping moves it; after `until` seconds the pulse is stopped."""

    def __init__(self, until: float) -> None:
        self.seconds = 0.0
        self.until = until

    def __call__(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> bool:
        self.seconds += seconds
        return self.seconds > self.until


def test_silence_is_broken_before_thirty_seconds() -> None:
    clock, beats = Clock(until=600), [0.0]
    Pulse(lambda: beats.append(clock.seconds), clock, clock.wait).run()
    assert EVERY < 30
    assert [later - earlier for earlier, later in pairwise(beats)] == [EVERY] * (600 // int(EVERY))


def test_who_speaks_is_not_interrupted() -> None:
    """Something is said every ten seconds: no beat."""
    clock, beats = Clock(until=600), [0.0]

    def wait(seconds: float) -> bool:
        stopped = clock.wait(min(seconds, 10.0))
        pulse.heard()
        return stopped

    pulse = Pulse(lambda: beats.append(clock.seconds), clock, wait)
    pulse.run()
    assert beats == [0.0]
