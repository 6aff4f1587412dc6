"""Signals that end a run: noticed once, never lost, and deaf to impatience while things are cleaned up.

Python drops an exception that arises in a finalizer, also the KeyboardInterrupt of a signal that arrives there.  So the
wish is kept in a flag, which a release looks at before every task, and a signal that was dropped comes again.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.01  # seconds until a signal comes again that a finalizer dropped


class Interrupt:
    """The wish that this run end.  One for a process."""

    def __init__(self) -> None:
        self._asked = False
        self._heard: list[int] = []

    def asked(self) -> bool:
        return self._asked

    def listen(self) -> None:
        """Hear the signals from here on; one that is ignored stays so: `nohup release cut` outlives its terminal."""
        self._heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        for number in self._heard:
            signal.signal(number, self._arrived)
        if sys.unraisablehook is sys.__unraisablehook__:
            sys.unraisablehook = self._dropped

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        """The first signal ends the command; further ones must not tear the cleaning up."""
        self._asked = True
        for number in self._heard:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def _dropped(self, event: sys.UnraisableHookArgs) -> None:
        """A finalizer has ended with an exception, and Python goes on as if nothing had been."""
        if not (self._asked and issubclass(event.exc_type, KeyboardInterrupt)):
            sys.__unraisablehook__(event)
            return
        for number in self._heard:
            signal.signal(number, self._arrived)
        signal.signal(signal.SIGALRM, self._arrived)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)


INTERRUPT = Interrupt()
