"""A build that is looked at and kept nowhere: an OCI archive in a folder of its own, read as an engine's store is."""

from __future__ import annotations

import json
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from orchestrator.core.errors import RemoteError
from orchestrator.engines import HistoryStep, ImageInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from orchestrator.core.results import Progress
    from orchestrator.engines import BuildRequest, DirectBuilder


class ArchivedTrials:
    """`trial`, `history` and `layers` of `Builder`, for a builder without a store."""

    def __init__(self, builder: DirectBuilder, stall: float) -> None:
        self._builder = builder
        self._stall = stall
        self._path = Path()

    @contextmanager
    def trial(self, request: BuildRequest, report: Callable[[Progress], None]) -> Iterator[ImageInfo]:
        """The image for the length of a `with` block."""
        with tempfile.TemporaryDirectory(prefix="release-archive-") as folder:
            self._path = Path(folder, "image.tar")
            self._builder.build_archive(request, report, self._path, stall=self._stall)
            digest, _, config = self._read()
            said = config.get("config") or {}
            yield ImageInfo(
                id=digest,
                labels=said.get("Labels") or {},
                size=0,
                layers=tuple(config["rootfs"]["diff_ids"]),
                repo_digests=(),
                architecture=str(config.get("architecture", "")),
                config=said,
            )

    def history(self, _image: str) -> tuple[HistoryStep, ...]:
        _, _, config = self._read()
        lines = [str(each.get("created_by", "")) for each in config.get("history") or ()]
        return tuple(HistoryStep(created_by=line, instruction=line, size=0) for line in lines)

    def layers(self, _image: str) -> Generator[IO[bytes], None, None]:
        _, manifest, _ = self._read()
        with tarfile.open(self._path) as tar:
            for digest in dict.fromkeys(str(each["digest"]) for each in manifest["layers"]):
                yield _blob(tar, digest)

    def _read(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Digest, manifest and config of the one image in the archive."""
        try:
            with tarfile.open(self._path) as tar:
                descriptor = _json(_member(tar, "index.json"))["manifests"][0]
                manifest = _json(_blob(tar, descriptor["digest"]))
                if "manifests" in manifest:  # an index of one platform
                    descriptor = manifest["manifests"][0]
                    manifest = _json(_blob(tar, descriptor["digest"]))
                return str(descriptor["digest"]), manifest, _json(_blob(tar, manifest["config"]["digest"]))
        except (tarfile.TarError, KeyError, IndexError, TypeError, ValueError, OSError) as error:
            raise RemoteError(
                f"docker buildx wrote an archive that holds no image: {type(error).__name__}",
                remedy="update docker buildx",
                code="builder-unusable",
            ) from error


def _json(file: IO[bytes]) -> dict[str, Any]:
    return dict(json.loads(file.read()))


def _blob(tar: tarfile.TarFile, digest: str) -> IO[bytes]:
    return _member(tar, f"blobs/{digest.replace(':', '/')}")


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found
