"""Manifests and indexes of the OCI distribution specification, as values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.core.reference import Reference


_IMAGES: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)


_INDEXES: Final = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What a name stands for; `size` is the manifest's own, in bytes."""

    digest: str
    media_type: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A manifest's exact bytes; `digest` is computed from them."""

    content: bytes = field(repr=False)
    media_type: str

    @property
    def digest(self) -> str:
        return _digest_of(self.content)

    @property
    def is_index(self) -> bool:
        """Whether it lists the manifests of several platforms, and has no config and layers of its own."""
        return self.media_type in _INDEXES


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer as it is stored and moved: compressed; `size` in bytes."""

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """`reference` stands for `digest` now.  `previous` is what it stood for before, "" for nothing."""

    reference: Reference
    digest: str
    previous: str = ""

    @property
    def changed(self) -> bool:
        return self.previous != self.digest


def _digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
