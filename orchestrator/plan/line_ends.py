"""The line ends of a file, which a release keeps as they are.  Pure."""

from __future__ import annotations

import re
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 2.0  # of processor time for one pattern on one file
CRLF, LF = b"\r\n", b"\n"


def line_end(text: bytes) -> bytes:
    """The end that most lines of a text have; LF for a text without lines."""
    return CRLF if 2 * text.count(CRLF) > text.count(LF) else LF


def group_place(pattern: str, text: bytes) -> slice | None:
    """Where group 1 of the first match stands; None without a match.  `^` and `$` match at lines.

    A line ends before CRLF too.  A pattern that names the CR itself is found where it stands.
    """
    plain = text.replace(CRLF, LF)
    with _limited(pattern):
        if found := re.search(pattern.encode(), plain, re.MULTILINE):
            start, end = (_with_crlf(text, at) for at in found.span(1))
        elif found := re.search(pattern.encode(), text, re.MULTILINE):
            start, end = found.span(1)
    return slice(start, end) if found and found.start(1) >= 0 else None


@contextmanager
def _limited(pattern: str) -> Iterator[None]:
    """Raises UsageError for a pattern that needs more than a moment: `(a+)+b` would go on for hours.

    Python's matcher looks for signals while it works, and those come to the main thread only: this is a timer of its
    processor time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_number: int, _frame: object) -> None:
        raise UsageError(
            f"the pattern {pattern!r} needs more than {_SECONDS:g} s to be matched",
            remedy="repeat nothing that is repeated already: not (a+)+",
            code="slow-pattern",
        )

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _with_crlf(text: bytes, at: int) -> int:
    """The position in `text` of what is at `at` once every CRLF is one character."""
    ends = 0
    for end in re.finditer(CRLF, text):
        if end.start() - ends >= at:
            break
        ends += 1
    return at + ends
