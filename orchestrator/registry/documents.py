"""What registries have said in this run: a document is read once, whoever asks for it, and in whichever thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.registry.manifest import Manifest

_LARGEST: Final = 256 * 1024  # bytes of what is kept: manifests and configurations, not what else is a blob


class Documents:
    """Manifests and configurations by repository and digest: what has a digest is the same whenever it is read.

    Of a tag only what it stood for last is known: whether it still does is asked, unless it is one that never moves.
    Nothing is kept of what was only put: a registry is believed when it has shown it.
    """

    def __init__(self) -> None:
        self._manifests: dict[tuple[str, str], Manifest] = {}
        self._blobs: dict[tuple[str, str], bytes] = {}
        self._tags: dict[tuple[str, str], str] = {}

    def manifest(self, repository: str, identifier: str) -> Manifest | None:
        """What a digest is, or what a tag stood for when it was last asked."""
        return self._manifests.get((repository, self._tags.get((repository, identifier), identifier)))

    def keep_manifest(self, repository: str, identifier: str, manifest: Manifest) -> None:
        if len(manifest.content) <= _LARGEST:
            self._manifests[repository, manifest.digest] = manifest
            self.saw(repository, identifier, manifest.digest)

    def saw(self, repository: str, identifier: str, digest: str) -> None:
        """What a tag stands for now."""
        if identifier != digest:
            self._tags[repository, identifier] = digest

    def blob(self, repository: str, digest: str) -> bytes | None:
        return self._blobs.get((repository, digest))

    def keep_blob(self, repository: str, digest: str, content: bytes) -> None:
        if len(content) <= _LARGEST:
            self._blobs[repository, digest] = content
