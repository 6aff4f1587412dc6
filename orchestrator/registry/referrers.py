"""What refers to a manifest: signatures, statements.  OCI distribution 1.1, and its fallback tag where there is no API.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.registry.manifest import DIGEST, INDEXES, Manifest, digest_of
from orchestrator.registry.responses import RegistryRefusedError, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.registry.client import Registry
    from orchestrator.registry.reader import RegistryReader

_EMPTY: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
_TRIES: Final = 5  # at the fallback tag, which others may write at the same moment


@dataclass(frozen=True, kw_only=True)
class Referrer:
    """A manifest that refers to another."""

    digest: str
    artifact_type: str


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file that is to refer to a manifest, as one blob."""

    kind: str  # media type of the file and of the artifact
    content: bytes
    annotations: Mapping[str, str]


def fallback_tag(digest: str) -> str:
    return digest.replace(":", "-")


def referrers(registry: RegistryReader, digest: str) -> tuple[Referrer, ...]:
    """Everything that refers to the manifest, in the registry's order."""
    index = registry.referrers(digest) or registry.manifest(fallback_tag(digest))
    found = (row for row in _rows(index) if isinstance(row.get("digest"), str) and DIGEST.fullmatch(row["digest"]))
    return tuple(Referrer(digest=row["digest"], artifact_type=str(row.get("artifactType", ""))) for row in found)


def content(registry: RegistryReader, referrer: Referrer) -> tuple[str, bytes]:
    """Media type and bytes of a referrer's file, ("", b"") for one that has not exactly one, or is gone."""
    manifest = registry.manifest(referrer.digest)
    layers = registry.layers(manifest) if manifest and not manifest.is_index else ()
    return (layers[0].media_type, registry.blob(layers[0].digest)) if len(layers) == 1 else ("", b"")


def attach(registry: Registry, subject: Manifest, artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """Store files as artifacts that refer to a manifest.  Returns the digests of their manifests.

    Raises RemoteError where the registry takes none, MismatchError where others write without end at the same place.
    """
    manifests = [_stored(registry, subject, each) for each in artifacts]
    known = [registry.put_referrer(manifest) for manifest, _ in manifests]
    if manifests and not all(known):
        _list(registry, subject.digest, [row for _, row in manifests])
    return tuple(manifest.digest for manifest, _ in manifests)


def _stored(registry: Registry, subject: Manifest, artifact: Artifact) -> tuple[Manifest, dict[str, Any]]:
    """The artifact's blobs in the registry; its manifest, and the row that lists it."""
    registry.put_blob(_EMPTY)
    registry.put_blob(artifact.content)
    document = {
        "schemaVersion": 2,
        "mediaType": _IMAGE,
        "artifactType": artifact.kind,
        "config": {"mediaType": _EMPTY_TYPE, "digest": digest_of(_EMPTY), "size": len(_EMPTY)},
        "layers": [_descriptor(artifact.kind, artifact.content)],
        "subject": _descriptor(subject.media_type, subject.content),
        "annotations": dict(artifact.annotations),
    }
    manifest = Manifest(content=json.dumps(document, sort_keys=True).encode(), media_type=_IMAGE)
    row = _descriptor(_IMAGE, manifest.content)
    return manifest, row | {"artifactType": artifact.kind, "annotations": dict(artifact.annotations)}


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest_of(content), "size": len(content)}


def _list(registry: Registry, digest: str, rows: list[dict[str, Any]]) -> None:
    """Add rows to the index under the fallback tag; a registry has no compare-and-swap, so it is read again."""
    tag = fallback_tag(digest)
    for _ in range(_TRIES):
        there = _rows(registry.manifest(tag))
        missing = [row for row in rows if row["digest"] not in {each.get("digest") for each in there}]
        if not missing:
            return
        document = {"schemaVersion": 2, "mediaType": INDEXES[1], "manifests": [*there, *missing]}
        try:
            registry.put_manifest(tag, Manifest(content=json.dumps(document).encode(), media_type=INDEXES[1]))
        except RegistryRefusedError as error:
            error.remedy = (
                f"let the registry take and move the tag {tag[:12]}...: it has no API for what refers to an image"
            )
            raise
    raise MismatchError(
        f"what refers to {digest} is written by somebody else at the same moment",
        where=str(registry.repository.tag(tag)),
        remedy="run the same command again: what is there already is not written twice",
        code="tag-race",
    )


def _rows(index: Manifest | None) -> list[dict[str, Any]]:
    """The manifests that an index lists; none for what is no index."""
    document = parse_json(index.content) if index and index.is_index else {}
    rows = document.get("manifests") if isinstance(document, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
