"""Advisories from files: OSV's records one by one, in a list, or in the archive of an ecosystem (`all.zip`); Debian's
tracker.  Only those about packages that are asked for are kept: a database has some hundred thousand.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from orchestrator.attest.scan import advisory
from orchestrator.core import documents
from orchestrator.core.documents import DocumentError
from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from orchestrator.attest.scan.advisory import Advisory

_MOST: Final = 512 * 1024 * 1024  # bytes of one file
_FILES: Final = 1_000_000  # in one folder or archive
_REMEDY: Final = (
    "give OSV's records (https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip, .../Debian:12/all.zip), or "
    "https://security-tracker.debian.org/tracker/data/json"
)


def load(paths: Collection[Path], keys: Collection[str]) -> list[Advisory]:
    """The advisories about packages with these keys.  Raises UsageError with the place of what cannot be read."""
    kept = set(keys)
    return [each for each in every(paths) if any(one.key in kept for one in each.affected)]


def every(paths: Collection[Path]) -> Iterator[Advisory]:
    """All that is in these files, one at a time.  Raises UsageError as `load`."""
    return (each for path in paths for each in _of(path))


def _of(path: Path) -> Iterator[Advisory]:
    try:
        if path.is_dir():
            yield from _folder(path)
        elif zipfile.is_zipfile(path):
            yield from _archive(path)
        else:
            if path.stat().st_size > _MOST:
                raise _refused(str(path), f"has more than {_MOST >> 20} MiB")
            yield from _documents(str(path), path.read_bytes())
    except OSError as error:
        raise _refused(str(path), error.strerror or str(error)) from error


def _folder(path: Path) -> Iterator[Advisory]:
    files = sorted(each for each in path.rglob("*.json") if each.is_file() and not each.is_symlink())
    if not files:
        raise _refused(str(path), "has no *.json file in it")
    for each in files[:_FILES]:
        yield from _documents(str(each), each.read_bytes())


def _archive(path: Path) -> Iterator[Advisory]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist()[:_FILES]:
                place = f"{path}: {member.filename}"
                if member.filename.endswith(".json"):
                    if member.file_size > documents.LARGEST:
                        raise _refused(place, f"has {member.file_size} bytes, more than {documents.LARGEST}")
                    yield from _documents(place, archive.read(member))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise _refused(str(path), f"cannot be read as a zip archive: {error}") from error


def _documents(place: str, data: bytes) -> Iterator[Advisory]:
    try:
        value = documents.parse(data) if len(data) <= documents.LARGEST else json.loads(data)
        if isinstance(value, dict) and "id" in value:
            found = advisory.osv(value)
            yield from [found] if found else []
        elif isinstance(value, list):
            yield from (each for row in value if (each := advisory.osv(row)))
        else:
            yield from advisory.tracker(value)
    except DocumentError as error:
        raise _refused(place, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _refused(place, "is no JSON that can be read") from error


def _refused(where: str, what: str) -> UsageError:
    return UsageError(what, where=where, remedy=_REMEDY, code="bad-advisories")
