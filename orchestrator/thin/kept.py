"""What a release takes over from the image of the version before: what the same patches made on the same base.

The base's sources are large, and need not be read then.
"""

from __future__ import annotations

import json
import posixpath
import tarfile
import tempfile
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.core.labels import INPUTS
from orchestrator.registry.compression import broken, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Layer, Manifest
    from orchestrator.thin.layer import Tree
    from orchestrator.thin.prepared import Patching

_LARGEST: Final = 4 << 20  # bytes of a layer that is looked into: changed sources are a few kilobytes


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A layer of an earlier image with known inputs, which is the same one again."""

    descriptor: Mapping[str, Any]
    diff_id: str


def kept_layers(registry: Registry, manifest: Manifest) -> dict[str, Kept]:
    """Inputs -> layer, of an earlier image that this tool wrote; those that the registry still has."""
    layers = json.loads(manifest.content).get("layers") or []
    named = [(number, layer) for number, layer in enumerate(layers) if _inputs(layer)]
    if not named:
        return {}
    diff_ids = registry.config(manifest).diff_ids
    return {
        _inputs(layer): Kept(descriptor=layer, diff_id=diff_ids[number])
        for number, layer in named
        if number < len(diff_ids) and registry.has_blob(layer["digest"])
    }


def _inputs(layer: Mapping[str, Any]) -> str:
    return str((layer.get("annotations") or {}).get(INPUTS, ""))


def patched_before(registry: Registry, manifest: Manifest, below: Sequence[Layer], patching: Patching) -> Tree | None:
    """What the patches made in an earlier image, by whichever builder; None where it has no layer of just these.

    `below` are the layers of the base, which it must stand on.  Raises RemoteError for a layer that cannot be read.
    """
    layers, base = registry.layers(manifest), [layer.digest for layer in below]
    if [layer.digest for layer in layers[: len(base)]] != base:
        return None
    for layer in layers[len(base) :]:
        if layer.size <= _LARGEST and (tree := patching.taken_over(_files(registry, layer))):
            return tree
    return None


def _files(registry: Registry, layer: Layer) -> dict[str, bytes]:
    """The plain files of a layer, whose digest is compared."""
    found = {}
    with tempfile.TemporaryFile() as file:
        registry.download_blob(layer.digest, file, limit=layer.size)
        try:
            with tarfile.open(fileobj=unpacked(file), mode="r|") as archive:
                for member in archive:
                    if member.isfile() and (data := archive.extractfile(member)):
                        found[posixpath.normpath(f"/{member.name}").lstrip("/")] = data.read()
        except broken() as error:
            text = f"the layer {layer.digest} cannot be read: {error}"
            raise RemoteError(text, where=str(registry.repository), code="layer-unreadable") from error
    return found
