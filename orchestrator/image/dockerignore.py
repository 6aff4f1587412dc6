"""`.dockerignore` as docker's own client reads it.

Written here, although docker-py has one: that one ignores case, and asked about a single path it misses
`**/name` for what lies below.  The rules are those of moby's pattern matcher and of the Dockerfile reference.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(r"\*\*/?|\*|\?|\\.|\[\^?\]?[^\]]*\]|.", re.DOTALL)


def ignore_filter(patterns_text: str, file: str = ".dockerignore") -> Callable[[str], bool]:
    """A function telling whether a path, relative to the context, is left out; `file` is named in errors.

    The last pattern that matches a path or a folder above it decides; `!` takes back in.  Raises UsageError
    for a lone `!`, as docker does.
    """
    lines = enumerate(patterns_text.removeprefix("\ufeff").splitlines(), 1)
    rules = [rule for number, line in lines for rule in _rule(line, f"{file}:{number}")]

    def is_ignored(path: str) -> bool:
        parts = path.split("/")
        names = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        ignored = False
        for takes_back, pattern in rules:
            if ignored == takes_back and any(pattern.fullmatch(name) for name in names):
                ignored = not takes_back
        return ignored

    return is_ignored


def _rule(line: str, place: str) -> list[tuple[bool, re.Pattern[str]]]:
    """No rule or one: whether it takes back, and what it matches."""
    text = line.strip()
    if not text or line.startswith("#"):  # an indented # is a name
        return []
    takes_back = text.startswith("!")
    name = text.removeprefix("!").strip() if takes_back else text
    if not name:
        raise UsageError(
            "a `!` without a pattern includes nothing again",
            where=place,
            remedy="delete the line, or put a pattern after it",
            code="dockerignore",
        )
    clean = posixpath.normpath(name).lstrip("/")
    # Docker ignores `.`, and a path can never begin with `..`.
    return [(takes_back, re.compile(_translate(clean), re.DOTALL))] if clean != "." else []


def _translate(pattern: str) -> str:
    """A regular expression: `*` and `?` stay within a folder, `**` is any number of folders."""
    parts: list[str] = []
    for match in _TOKEN.finditer(pattern):
        part = match[0]
        if part.startswith("**"):
            parts.append(".*" if match.end() == len(pattern) else "(?:.*/)?")
        elif part in ("*", "?"):
            parts.append("[^/]*" if part == "*" else "[^/]")
        elif len(part) > 1 and part[0] == "[":
            parts.append(part.replace("\\", "\\\\"))
        else:
            parts.append(re.escape(part[-1]))
    return "".join(parts)
