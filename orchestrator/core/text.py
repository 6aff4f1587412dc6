"""File names in messages and in commands to type: every name is one word on one line, and pastes as written."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", "'": "\\'"}


def word(name: str) -> str:
    """`name` as a shell takes it: bare where that is safe, quoted else, `$'...'` where it has unprintable bytes."""
    if name.isprintable():
        return shlex.quote(name) if any(char in _SPECIAL for char in name) or not name else name
    return "$'" + "".join(_escaped(char) for char in name) + "'"


_SPECIAL = frozenset(" !\"#$&'()*;<>?[\\]^`{|}~")


def words(names: Iterable[str], separator: str = " ") -> str:
    return separator.join(word(name) for name in names)


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


_MAX_LINE: Final = 240  # characters of foreign text in a message


def one_line(text: str, limit: int = _MAX_LINE) -> str:
    """Foreign text for a terminal: one line of at most `limit` characters, without control characters."""
    line = " ".join(ANSI.sub("", text[: 4 * limit]).split())
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return safe if len(safe) <= limit else f"{safe[: limit - 1]}…"


ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

_LONGEST: Final = 400  # characters of one foreign text in Markdown


def code(text: str) -> str:
    """Foreign text as a code span of one line that nothing in it can end."""
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * _LONGEST])
    line = " ".join(line.split())
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    if not line:
        return "`(empty)`"
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if "`" in (line[0], line[-1]) else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def shortened(text: str, most: int = 500) -> str:
    """Of many words the first and the last: how a refusal is reasoned, and how it ends."""
    return text if len(text) <= most else f"{text[: most // 3]} ... {text[-most * 2 // 3 :]}"
