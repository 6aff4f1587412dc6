"""Files of the work tree, read as they stand there, and never through a link.

A branch may bring a symbolic link to a private key or to `/proc/self/environ`, and messages quote what they complain
about: in the log of a public CI that would be the secret.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.core.versions import KINDS, Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator


def refuse_link(top: Path, path: Path) -> None:
    """Raises UsageError where `path` is a symbolic link of the work tree at `top`, or one is among its folders.

    What is on the way to the work tree is not the branch's doing, and a path outside of it was given by a person.
    """
    at, inside = Path(path.anchor), None
    for name in path.absolute().parts:
        at = at.parent if inside and name == ".." else at / name
        if inside is None or not at.is_relative_to(inside):
            inside = at if _same(at, top) else None
        elif at.is_symlink():
            raise _link(at.relative_to(inside))


def files_below(top: Path, folder: Path) -> Iterator[Path]:
    """Every file in a folder and in those below it, by name.  Raises UsageError as `refuse_link`."""
    refuse_link(top, folder)
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *names]):
            refuse_link(top, Path(where) / name)
        yield from (path for name in sorted(names) if (path := Path(where) / name).is_file())


_VALUE = re.compile(rb"(branch +)?[A-Za-z0-9._/-]{1,80}")
_MOST = 1024 * 1024  # bytes of release.yaml that are looked at, as its reader does


def written(top: Path, path: Path) -> bytes | None:
    """A release.yaml as far as `scheme_in` and `records_in` look at it; None where there is none that may be read."""
    try:
        refuse_link(top, path)
        if not path.is_file():  # opening a pipe waits for somebody who writes into it
            return None
        with path.open("rb") as file:
            return file.read(_MOST)
    except (OSError, UsageError):
        return b"" if path.is_file() else None


def scheme_in(data: bytes) -> Scheme:
    """How a release.yaml says that versions are written.

    Only two keys at the beginning of a line are looked for, so that a file with faults can still be talked about.
    """
    said = dict(_pairs(data, (b"tag-prefix:", b"scheme:")))
    kind = next((each for each in KINDS if each == said.get("scheme")), KINDS[0])
    return Scheme.of(said.get("tag-prefix", ""), kind)


def records_in(data: bytes) -> tuple[str, str]:
    """(where a release.yaml says that records are kept, the remote), as `scheme_in`; "" where it says nothing."""
    told = dict(_pairs(data, (b"records:", b"remote:")))
    return told.get("records", ""), told.get("remote", "")


def _pairs(data: bytes, keys: tuple[bytes, ...]) -> Iterator[tuple[str, str]]:
    """What these keys, at the beginning of a line, have behind them."""
    for key, rest in (line.partition(b":")[::2] for line in data.splitlines() if line.startswith(keys)):
        if value := _VALUE.fullmatch(rest.partition(b"#")[0].strip().strip(b"\"'")):
            yield key.decode(), value[0].decode()


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _link(path: Path) -> UsageError:
    return UsageError(
        f"{path.as_posix()} is a symbolic link: nothing of the work tree is read through one",
        where=path.as_posix(),
        remedy="put the file or folder itself there, or name the one that it leads to",
        code="symbolic-link",
    )
