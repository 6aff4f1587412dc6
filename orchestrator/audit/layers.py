"""What is in a layer, and in what two layers differ.  Streams in, values out; never a whole layer in memory."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import fields
from typing import IO, TYPE_CHECKING, Final, Protocol

from orchestrator.core.dataclass import dataclass
from orchestrator.registry.compression import broken, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK: Final = 1024 * 1024
_KINDS: Final = {
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "fifo",
}
# OCI image layer spec, "Whiteouts": a file of that name hides one of the layers below, or all in its folder.
_HIDES: Final = ".wh."
_HIDES_ALL: Final = ".wh..wh..opq"
_XATTR: Final = "SCHILY.xattr."

ADDED, REMOVED, MTIME = "added", "removed", "mtime"


class LayerError(Exception):
    """What was read is no layer that this module understands; the text says why."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One entry of a layer.  `kind` is file, directory, symlink, hardlink, device, fifo, or what hides something of the
    layers below: whiteout (`d/.wh.name` hides d/name) and opaque (`d/.wh..wh..opq` everything in d).

    `mtime` in seconds since the epoch; `content` is the SHA-256 of a regular file, "" for all else.
    """

    kind: str
    mode: int
    owner: str  # "uid:gid", and their names where the archive has any
    size: int
    mtime: float
    content: str = ""
    link: str = ""
    device: str = ""
    xattr: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A layer read to its end.  `diff_id` and `digest` are computed: of the tar, and of the bytes as stored."""

    diff_id: str
    digest: str
    files: Mapping[str, File]  # by path, without a leading slash; the last entry of a path counts


@dataclass(frozen=True, kw_only=True)
class LayerDifference:
    """A path and in what it differs: `added` (only ours), `removed` (only theirs), or names of fields of `File`."""

    path: str
    kind: str
    differs: tuple[str, ...]
    theirs: File | None
    ours: File | None

    @property
    def only_time(self) -> bool:
        return self.differs == (MTIME,)


def read_layer(stream: IO[bytes]) -> Contents:
    """A layer, plain, gzip or zstd.  Raises LayerError for what is none of them, or broken."""
    stored = _Hashed(stream)
    buffered = io.BufferedReader(stored, _CHUNK)
    inner = unpacked(buffered)
    plain = stored if inner is buffered else _Hashed(inner)
    tar = io.BufferedReader(plain, _CHUNK) if plain is not stored else buffered
    try:
        files = _files(tar)
        while tar.read(_CHUNK):  # what follows the last entry is part of the digest
            pass
        while buffered.read(_CHUNK):
            pass
    except broken() as error:
        raise LayerError(f"it is no layer, or was cut off: {error}") from error
    return Contents(diff_id=plain.digest, digest=stored.digest, files=files)


def differences(theirs: Mapping[str, File], ours: Mapping[str, File]) -> tuple[LayerDifference, ...]:
    """In what two layers differ, by path.  Equal files in another order or form of archive are no difference."""
    found = (_difference(path, theirs.get(path), ours.get(path)) for path in sorted({*theirs, *ours}))
    return tuple(each for each in found if each.differs)


def _difference(path: str, theirs: File | None, ours: File | None) -> LayerDifference:
    if theirs is None or ours is None:
        differs: tuple[str, ...] = (ADDED,) if theirs is None else (REMOVED,)
    else:
        names = (each.name for each in fields(File))
        differs = tuple(name for name in names if getattr(theirs, name) != getattr(ours, name))
    kind = next(each.kind for each in (ours, theirs) if each is not None)
    return LayerDifference(path=path, kind=kind, differs=differs, theirs=theirs, ours=ours)


def _files(tar: IO[bytes]) -> dict[str, File]:
    files: dict[str, File] = {}
    with tarfile.open(fileobj=tar, mode="r|", bufsize=_CHUNK) as archive:
        for member in archive:
            path, file = _file(archive, member)
            files[path] = file
            archive.members = []  # type: ignore[attr-defined]  # else every header of a big layer is kept
    return files


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, File]:
    path = member.name.removeprefix("./").strip("/")
    name = path.rpartition("/")[2]
    kind = _KINDS.get(member.type, "file")
    if name.startswith(_HIDES):
        kind = "opaque" if name == _HIDES_ALL else "whiteout"
    names = f" ({member.uname}:{member.gname})" if member.uname or member.gname else ""
    return path, File(
        kind=kind,
        mode=member.mode,
        owner=f"{member.uid}:{member.gid}{names}",
        size=member.size if kind == "file" else 0,
        mtime=member.mtime,
        content=_sha256(archive, member) if kind == "file" else "",
        link=member.linkname if kind in ("symlink", "hardlink") else "",
        device=f"{member.devmajor}:{member.devminor}" if kind == "device" else "",
        xattr=tuple(
            sorted((key.removeprefix(_XATTR), v) for key, v in member.pax_headers.items() if key.startswith(_XATTR))
        ),
    )


def _sha256(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    hashed = hashlib.sha256()
    data = archive.extractfile(member)
    while data is not None and (chunk := data.read(_CHUNK)):
        hashed.update(chunk)
    return hashed.hexdigest()


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Hashed(io.RawIOBase):
    """Reads from a stream and computes the digest of what went through."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what BufferedReader gives
        data = self._source.read(len(buffer))
        self._hash.update(data)
        buffer[: len(data)] = data
        return len(data)
