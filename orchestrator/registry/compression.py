"""A layer as it is stored, as the tar that it holds: plain, gzip or zstd."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import IO, Final, Protocol, cast

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_WINDOW: Final = 1 << 27  # bytes; what `zstd --ultra` makes at most without --long, and 16 times what engines make


class Peekable(Protocol):
    """A buffered stream, whose next bytes can be looked at."""

    def peek(self, size: int = 0, /) -> bytes: ...

    def read(self, size: int = -1, /) -> bytes: ...


def unpacked(stream: Peekable) -> IO[bytes]:
    """The tar in a layer; `stream` itself where it is one.  Reading it raises one of `broken()`."""
    magic = stream.peek(4)[:4]
    if magic.startswith(_GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=cast("IO[bytes]", stream)))
    if magic.startswith(_ZSTD):
        import zstandard

        decompress = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        reader = decompress.stream_reader(cast("IO[bytes]", stream), read_across_frames=True, closefd=False)
        return cast("IO[bytes]", reader)
    return cast("IO[bytes]", stream)


def broken() -> tuple[type[Exception], ...]:
    """What is raised for a layer that was cut off, or is none."""
    import zstandard

    return (tarfile.TarError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, EOFError)
