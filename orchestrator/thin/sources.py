"""The Python sources of a heavy base: a layer in pieces, and an index, so that a few files are read without the rest.

Each piece is a gzip member of its own with the tar of the files that follow each other in it.  All of them together
are an ordinary layer, which readers that know no index, and registries that give no part of a blob, take whole.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from orchestrator.core import documents
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.registry.compression import unpacked
from orchestrator.registry.manifest import digest_of
from orchestrator.thin.layer import END, entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from orchestrator.registry.client import Registry
    from orchestrator.thin.layer import FileNode

PIECE: Final = 128 << 10  # bytes of tar at most, but for one file: index and a few pieces together are the least then


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Where a piece of the blob is, and the first path in it."""

    path: str
    start: int
    size: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class SourceIndex:
    """The pieces of a blob, in the order of their paths."""

    pieces: tuple[Piece, ...]

    def holding(self, paths: Collection[str]) -> list[Piece]:
        """The pieces where those paths are, of those that are there."""
        firsts = [each.path for each in self.pieces]
        found = {bisect_right(firsts, path) - 1 for path in paths}
        return [self.pieces[number] for number in sorted(found) if number >= 0]


def pack(files: Mapping[str, FileNode]) -> tuple[bytes, bytes]:
    """The blob and its index, of the files that a patch can name: their paths are ASCII.  Nothing of no files."""
    blob, pieces = bytearray(), []
    for path, tar in _tars(files):
        content = gzip.compress(tar, mtime=0)
        pieces.append(Piece(path=path, start=len(blob), size=len(content), digest=digest_of(content)))
        blob += content
    if not pieces:
        return b"", b""
    index = documents.render(documents.encode(SourceIndex(pieces=tuple(pieces))))
    return bytes(blob + gzip.compress(END, mtime=0)), gzip.compress(index, mtime=0)


def _tars(files: Mapping[str, FileNode]) -> Iterator[tuple[str, bytes]]:
    first, tar = "", bytearray()
    for path in sorted(each for each in files if each.isascii()):
        made = entry(path, files[path])
        if tar and len(tar) + len(made) > PIECE:
            yield first, bytes(tar)
            first, tar = "", bytearray()
        first = first or path
        tar += made
    if tar:
        yield first, bytes(tar)


def read_sources(registry: Registry, blob: str, index: str, paths: Collection[str]) -> dict[str, bytes]:
    """The sources at those paths, of those that are kept.  `index` "": an earlier version kept them in one piece."""
    if not blob or not paths:
        return {}
    found = _in_pieces(registry, blob, index, paths) if index else None
    return _whole(registry, blob, paths) if found is None else found


def _in_pieces(registry: Registry, blob: str, index: str, paths: Collection[str]) -> dict[str, bytes] | None:
    """None where the registry gives no parts, or the index is none: then the whole decides."""
    try:
        text = gzip.decompress(registry.blob(index))
        pieces = documents.decode(SourceIndex, documents.parse(text)).holding(paths)
    except (documents.DocumentError, OSError, EOFError, RemoteError):
        return None
    found: dict[str, bytes] = {}
    for piece in pieces:
        content = registry.blob_part(blob, piece.start, piece.size)
        if content is None or digest_of(content) != piece.digest:
            return None
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content) + END)) as archive:
            found |= _wanted(archive, paths)
    return found


def _whole(registry: Registry, blob: str, paths: Collection[str]) -> dict[str, bytes]:
    with tempfile.TemporaryFile() as file:
        registry.download_blob(blob, file)
        with tarfile.open(fileobj=unpacked(file), mode="r|") as archive:  # "r|gz" would end with the first piece
            return _wanted(archive, paths)


def _wanted(archive: tarfile.TarFile, paths: Collection[str]) -> dict[str, bytes]:
    return {
        member.name: data.read() for member in archive if member.name in paths and (data := archive.extractfile(member))
    }
