"""One deadline for a whole exchange with a server, however it deals its bytes out.

A socket's timeout begins again with every byte, and http.client reads on in loops: headers, chunks, trailers, any
number of `100 Continue`.  So each read of the socket itself gets what is left of the time, and no more.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Deadline:
    """When what is running must be over.  `pause` is the longest wait for one byte; all times in seconds."""

    def __init__(self, clock: Callable[[], float], pause: float) -> None:
        self._clock = clock
        self._pause = pause
        self._waited = 0.0
        self._until = math.inf

    @contextmanager
    def running(self, seconds: float) -> Iterator[None]:
        """For the length of the block; one inside another ends with the outer one at the latest."""
        before = self._until
        self._until = min(before, self._now() + seconds)
        try:
            yield
        finally:
            self._until = before

    def waited(self, seconds: float) -> None:
        """So long nothing was asked of the server: that is no part of the exchange."""
        self._waited += seconds

    @property
    def left(self) -> float:
        return max(self._until - self._now(), 0.0)

    @property
    def passed(self) -> bool:
        return self.left == 0.0

    def next_read(self) -> float:
        """How long a read may take.  Raises TimeoutError when the time is over."""
        if self.passed:
            raise TimeoutError("the deadline of the exchange has passed")
        return min(self._pause, self.left)

    def _now(self) -> float:
        return self._clock() - self._waited
