"""Version files: the one line in a file that says the version.  Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.errors import Exit
from orchestrator.core.results import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.core.declaration import VersionFile


def rewrite(
    files: Sequence[VersionFile], version: str, read: Callable[[str], bytes | None]
) -> tuple[dict[str, bytes], list[Problem]]:
    """New contents by path, and a problem for each file that cannot be rewritten."""
    number = version.removeprefix("v")
    done: dict[str, bytes] = {}
    problems = []
    for file in files:
        text = read(file.path)
        new = None if text is None else _replace(text, file.pattern, number)
        if new is None:
            what = "does not exist on the branch" if text is None else f"has no line matching {file.pattern!r}"
            problems.append(
                Problem(
                    code="version-file",
                    message=f"version file {file.path} {what}",
                    where=str(file.place),
                    remedy="correct `version-files:`",
                    exit_code=Exit.USAGE,
                )
            )
        else:
            done[file.path] = new
    return done, problems


def _replace(text: bytes, pattern: str, number: str) -> bytes | None:
    """The text with the first match's group replaced; the whole text when there is no pattern."""
    if not pattern:
        return number.encode() + b"\n"
    found = re.search(pattern.encode(), text, re.MULTILINE)
    if found is None:
        return None
    return text[: found.start(1)] + number.encode() + text[found.end(1) :]
