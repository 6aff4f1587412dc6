"""An engine's answers as the values of this door.  Pure."""

from __future__ import annotations

import io
import tarfile
from collections import deque
from typing import TYPE_CHECKING, Any

from orchestrator.engines import ImageInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
