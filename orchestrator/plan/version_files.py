"""Version files: the one line in a file that says the version.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import Exit
from orchestrator.core.results import Problem
from orchestrator.core.versions import TagVersion
from orchestrator.plan.line_ends import LF, group_place, line_end
from orchestrator.plan.version_kinds import entry_of, patterns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.core.declaration import VersionFile


def rewrite(
    files: Sequence[VersionFile], version: str, read: Callable[[str], bytes | None]
) -> tuple[dict[str, bytes], list[Problem]]:
    """New contents by path, and a problem for each file that cannot be rewritten."""
    number = TagVersion.from_text(version).bare
    done: dict[str, bytes] = {}
    problems = []
    for file in files:
        text = done[file.path] if file.path in done else read(file.path)  # a file may say it in two lines
        new = None if text is None else _replace(text, file.pattern, number)
        if new is None:
            problems.append(_problem(file, text))
        else:
            done[file.path] = new
    return done, problems


def _problem(file: VersionFile, text: bytes | None) -> Problem:
    what, remedy = f"has no line matching {file.pattern!r}", "correct `version-files:`"
    if text is None:
        what = "does not exist on the branch"
    elif not file.pattern:
        entries = [entry_of(file.path, pattern) for pattern in patterns_of(file.path, text)]
        what = "holds more than the version, and has no `pattern:`"
        remedy = f"write {', '.join(entries)}" if entries else "give it a `pattern:` (docs/release-yaml.md)"
    return Problem(
        code="version-file",
        message=f"version file {file.path} {what}",
        where=str(file.place),
        remedy=remedy,
        exit_code=Exit.USAGE,
    )


def _replace(text: bytes, pattern: str, number: str) -> bytes | None:
    """The text with the first match's group replaced; the whole text, but its end, when there is no pattern.

    None without a match, and for a file of more than one line, which nobody wants to lose.
    """
    if not pattern and (LF in text.strip() or text.lstrip().startswith((b"{", b"<"))):
        return None
    if not pattern:
        return number.encode() + (line_end(text) if text.endswith(LF) or not text else b"")
    place = group_place(pattern, text)
    return text[: place.start] + number.encode() + text[place.stop :] if place else None
