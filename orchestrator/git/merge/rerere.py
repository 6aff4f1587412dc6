"""git's rerere, without its folder: the id of a conflict, and an earlier resolution put on a conflict of the same id.

The text of a conflict is the file with its markers, without labels and the common ancestor, the sides of each hunk in
one order; its id is the SHA-1 over the sides.  So the same hunks have the same id, in whichever file of whichever line,
and it is the name that git gives them below `.git/rr-cache`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.git.process import Git

_SIZE = 7  # of a marker
_BLANK = b" \t\n\v\f\r"


@dataclass(frozen=True, kw_only=True)
class ConflictText:
    """A file in conflict, as rerere keeps it."""

    id: str
    text: bytes


def conflict_text(data: bytes) -> ConflictText | None:
    """None for a file without conflict markers, or with some that do not belong together."""
    lines = iter(_lines(data))
    digest, out, found = hashlib.sha1(usedforsecurity=False), bytearray(), False
    for line in lines:
        if not _marks(line, b"<"):
            out += line
            continue
        sides = _hunk(lines)
        if sides is None:
            return None
        found = True
        out += _written(*sides)
        for side in sides:
            digest.update(side + b"\0")
    return ConflictText(id=digest.hexdigest(), text=bytes(out)) if found else None


def _lines(data: bytes) -> list[bytes]:
    """Split at line feeds alone."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + ([last] if (last := data.rpartition(b"\n")[2]) else [])


def _marks(line: bytes, char: bytes) -> bool:
    if not line.startswith(char * _SIZE):
        return False
    after = line[_SIZE : _SIZE + 1]
    return after == b" " if char in b"<>" else after in {bytes([each]) for each in _BLANK}


def _hunk(lines: Iterator[bytes]) -> tuple[bytes, bytes] | None:
    """Both sides up to the end marker, in order; None where it does not end well.  Conflicts inside are part of it."""
    sides, at = [bytearray(), bytearray(), bytearray()], 0  # ours, the common ancestor, theirs
    for line in lines:
        if _marks(line, b"<"):
            inner = _hunk(lines)
            if inner is None:
                return None
            sides[at and 2] += _written(*inner)
        elif _marks(line, b"|"):
            if at:
                return None
            at = 1
        elif _marks(line, b"="):
            if at == 2:
                return None
            at = 2
        elif _marks(line, b">"):
            first, second = sorted((bytes(sides[0]), bytes(sides[2])))
            return (first, second) if at == 2 else None
        else:
            sides[at] += line
    return None


def _written(one: bytes, two: bytes) -> bytes:
    return b"".join((b"<" * _SIZE, b"\n", one, b"=" * _SIZE, b"\n", two, b">" * _SIZE, b"\n"))


def replayed(git: Git, now: ConflictText, then: ConflictText, resolved: bytes) -> bytes | None:
    """What a file in conflict `now` becomes by the resolution that `then` got; None where that does not fit.

    Text around the conflict may be another than it was then.
    """
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("now", "then", "resolved")]
        for file, data in zip(files, (now.text, then.text, resolved), strict=True):
            file.write_bytes(data)
        output = git.attempt("merge-file", "-p", "-q", *map(str, files))
    return output.stdout if output.status == 0 and conflict_text(output.stdout) is None else None
