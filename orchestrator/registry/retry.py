"""How long and how often a registry is asked."""

from __future__ import annotations

import email.utils
import random
import re
import time
from datetime import UTC
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.registry.responses import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SOONEST = 0.1  # seconds


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """All times in seconds.  `tell` hears of tries that failed; the other callables are there for tests."""

    tries: int = 5
    first_delay: float = 0.5  # doubled before each further try
    max_delay: float = 30.0
    max_retry_after: float = 60.0  # a longer Retry-After is cut to this
    connect_timeout: float = 10.0
    read_timeout: float = 30.0  # between two bytes
    exchange_timeout: float = 120.0  # for one question: all its tries, redirects and logins, less the waits between
    slowest: float = 32 * 1024.0  # bytes a second that a layer must come with, beside that time
    settle: float = 0.5  # at most, between the two looks at a tag after it was put
    late: float = 30.0  # for so long a registry may read as it was before a PUT
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random  # 0 to 1
    quiet: float = 3.0  # for so long, tries fail without a word to `tell`
    tell: Callable[[str], object] = lambda _: None

    def delay(self, attempt: int, outcome: object) -> float:
        """Seconds to wait after try number `attempt` (from 1): what the answer asks for, or ever more."""
        asked = self._retry_after(outcome.header("Retry-After")) if isinstance(outcome, HttpResponse) else None
        if asked is not None:
            return min(max(asked, 0.0), self.max_retry_after)
        return min(self.first_delay * 2.0 ** (attempt - 1), self.max_delay) * (0.5 + self.jitter() / 2)

    def settling(self, took: float) -> float:
        """Seconds from a PUT to the second look at its tag.

        Whoever else looked at the same moment and found the tag free puts as soon as we did: ten times that is enough.
        """
        return min(self.settle, max(_SOONEST, 10 * took))

    def looks(self) -> Iterator[float]:
        """Seconds to wait before each further look at what a registry shows late; `late` in all."""
        delay, left = self.settle, self.late
        while left > 0 and delay > 0:
            yield min(delay, left)
            left -= delay
            delay = min(2 * delay, self.late / 6)

    def _retry_after(self, value: str) -> float | None:
        if re.fullmatch(r"[0-9]{1,9}", value):
            return float(value)
        try:
            date = email.utils.parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - self.now()
