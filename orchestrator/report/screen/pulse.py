"""A sign of life in a log.  A runner, and whoever reads it, takes a job that is silent for long for dead."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 25.0  # seconds: something is said at least every 30, on a slow machine too
_SHORTEST = 0.1


class Pulse:
    """Calls `beat` where nothing was heard for EVERY seconds, from a thread of its own, between start and stop.

    `wait` sleeps so many seconds and says whether the pulse was stopped meanwhile.
    """

    def __init__(
        self, beat: Callable[[], None], clock: Callable[[], float], wait: Callable[[float], bool] | None = None
    ) -> None:
        self._beat = beat
        self._clock = clock
        self._stopped = Event()
        self._wait = wait or self._stopped.wait
        self._heard = clock()

    def start(self) -> None:
        Thread(target=self.run, name="pulse", daemon=True).start()

    def stop(self) -> None:
        """No beat begins after this; one that has begun may still end."""
        self._stopped.set()

    def heard(self) -> None:
        """Something was said."""
        self._heard = self._clock()

    def run(self) -> None:
        while not self._wait(max(_SHORTEST, self._heard + EVERY - self._clock())):
            if self._clock() - self._heard >= EVERY:
                self._beat()
                self.heard()
