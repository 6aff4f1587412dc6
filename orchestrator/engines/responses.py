"""An engine's answers as the values of this door.  Pure."""

from __future__ import annotations

import io
import re
import tarfile
from collections import deque
from typing import IO, TYPE_CHECKING, Any, Final

from orchestrator.core.text import one_line
from orchestrator.engines import HistoryStep, ImageInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_CHUNK: Final = 1024 * 1024
GO_DIRECTORY = 1 << 31  # Go's os.ModeDir: the engine reports file modes in Go's own bits


def image_info(data: Mapping[str, Any]) -> ImageInfo:
    """What `GET /images/NAME/json` says."""
    config = data.get("Config") or {}
    return ImageInfo(
        id=data["Id"],
        labels=dict(config.get("Labels") or {}),
        size=int(data.get("Size") or 0),
        layers=tuple((data.get("RootFS") or {}).get("Layers") or ()),
        repo_digests=tuple(data.get("RepoDigests") or ()),
        architecture=str(data.get("Architecture") or ""),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        config=config,
    )


# Instructions that write no files; the classic builder marks them, BuildKit begins with the bare word.
_NO_LAYER = re.compile(
    r"(/bin/sh -c #\(nop\)\s+)?(ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL"
    r"|USER|VOLUME)\b"
)
# What the builders write around an instruction: the build arguments it saw, the shell, their own marks.
_MARKS = re.compile(r"^(RUN )?\|\d+ .*?/bin/sh -c |^(RUN )?/bin/sh -c (#\(nop\)\s+)?| # buildkit$")


def steps(diff_ids: Sequence[str], history: Sequence[Mapping[str, Any]]) -> tuple[HistoryStep, ...]:
    """`GET /images/NAME/history` (newest first) beside the layers, which it does not name.

    A RUN that changes nothing has a line in the history, and no layer.
    """
    lines = [(str(entry["CreatedBy"] or ""), int(entry["Size"])) for entry in reversed(history)]
    made = [number for number, (created_by, _) in enumerate(lines) if not _NO_LAYER.match(created_by)]
    if len(made) != len(diff_ids):
        made = [number for number in made if lines[number][1]]
    layers = dict(zip(made, diff_ids, strict=True)) if len(made) == len(diff_ids) else {}
    return tuple(
        HistoryStep(
            created_by=created_by,
            instruction=one_line(_MARKS.sub("", created_by), 80),
            size=size,
            diff_id=layers.get(number, ""),
        )
        for number, (created_by, size) in enumerate(lines)
    )


def fits(image: ImageInfo, platform: str) -> bool:
    """Whether an image is one for `platform` (`os/architecture[/variant]`, "" for any)."""
    parts = platform.split("/")
    return len(parts) < 2 or not image.architecture or parts[1] == image.architecture


def only_file(chunks: Iterable[bytes]) -> bytes | None:
    """The bytes of the one regular file in a tar; None when it is something else."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        member = tar.next()
        data = tar.extractfile(member) if member is not None and member.isfile() else None
        return data.read() if data is not None else None


def saved_layers(chunks: Iterator[bytes]) -> Iterator[IO[bytes]]:
    """The layers in what `docker save` sends, each open until the next is asked for.

    Two layouts: `ID/layer.tar` (before Engine 25), and OCI's `blobs/sha256/ID`, where configs and manifests are too.
    """
    with tarfile.open(fileobj=_Stream(chunks), mode="r|", bufsize=_CHUNK) as tar:
        for member in tar:
            old, new = member.name.endswith("/layer.tar"), member.name.startswith("blobs/")
            data = tar.extractfile(member) if member.isfile() and (old or new) else None
            if data is None:
                continue
            if old or not (isinstance(data, io.BufferedReader) and data.peek(1).startswith(b"{")):
                yield data


class _Stream(io.RawIOBase):
    """Chunks of any size as a file that is read from its beginning."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        parts, missing = [], size
        while missing > 0 and (part := self._rest or next(self._chunks, b"")):
            parts.append(part[:missing])
            self._rest = part[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)


def tail(chunks: Iterable[bytes], limit: int) -> bytes:
    """The last `limit` bytes of a stream; little more than that is ever held."""
    kept: deque[bytes] = deque()
    size = 0
    for chunk in chunks:
        kept.append(chunk)
        size += len(chunk)
        while size - len(kept[0]) >= limit:
            size -= len(kept.popleft())
    return b"".join(kept)[-limit:]
