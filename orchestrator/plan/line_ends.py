"""The line ends of a file, which a release keeps as they are.  Pure."""

from __future__ import annotations

import re

CRLF, LF = b"\r\n", b"\n"


def line_end(text: bytes) -> bytes:
    """The end that most lines of a text have; LF for a text without lines."""
    return CRLF if 2 * text.count(CRLF) > text.count(LF) else LF


def group_place(pattern: str, text: bytes) -> slice | None:
    """Where group 1 of the first match stands; None without a match.  `^` and `$` match at lines.

    A line ends before CRLF too.  A pattern that names the CR itself is found where it stands.
    """
    plain = text.replace(CRLF, LF)
    if found := re.search(pattern.encode(), plain, re.MULTILINE):
        start, end = (_with_crlf(text, at) for at in found.span(1))
    elif found := re.search(pattern.encode(), text, re.MULTILINE):
        start, end = found.span(1)
    return slice(start, end) if found and found.start(1) >= 0 else None


def _with_crlf(text: bytes, at: int) -> int:
    """The position in `text` of what is at `at` once every CRLF is one character."""
    ends = 0
    for end in re.finditer(CRLF, text):
        if end.start() - ends >= at:
            break
        ends += 1
    return at + ends
