"""Manifests, indexes and image configurations of the OCI specifications, as values.

Whoever may push writes them, so each is read field by field: what is no such document is a ValueError, in words that
end the sentence "the manifest ...".
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from orchestrator.core.dataclass import dataclass
from orchestrator.registry.responses import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.reference import Reference

IMAGES: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
INDEXES: Final = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
# What object stores and static registries serve a manifest as; go-containerregistry reads such ones too.
NO_TYPES: Final = ("", "application/json", "application/octet-stream", "binary/octet-stream", "text/plain")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE_TYPE: Final = "vnd.docker.reference.type"  # an attestation that BuildKit puts beside the images
_UNKNOWN: Final = "unknown"  # the platform that those have


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
        return digest_of(self.content)

    @property
    def is_index(self) -> bool:
        """Whether it lists the manifests of several platforms, and has no config and layers of its own."""
        return self.media_type in INDEXES


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer as it is stored and moved: compressed; `size` in bytes."""

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, kw_only=True)
class ImageManifest:
    """One platform's image: where its configuration is, of how many bytes, and its layers, base first."""

    config: str
    config_size: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """An image of an index; `platform` is `os/architecture[/variant]`, "" where it does not say."""

    digest: str
    platform: str


def fits(said: str, wanted: str) -> bool:
    """Whether an image that says `said` of itself is one for a platform; a variant counts where both name one."""
    ours, theirs = said.split("/"), wanted.split("/")
    return all(mine == other for mine, other in zip(ours, theirs, strict=False)) and len(ours) > 1


def choose(entries: Sequence[IndexEntry], platform: str) -> IndexEntry | None:
    """The entry for `platform`, that of its very variant before others; the first one for "".

    An only one that does not say its platform may be any.
    """
    if not platform:
        return next(iter(entries), None)
    fitting = [each for each in entries if fits(each.platform, platform)]
    if not fitting and len(entries) == 1 and not entries[0].platform:
        return entries[0]
    return next((each for each in fitting if each.platform == platform), next(iter(fitting), None))


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """What an image says of itself.  `settings` is what containers get, keys as in the OCI image specification."""

    platform: str
    labels: Mapping[str, str]
    settings: Mapping[str, Any]
    diff_ids: tuple[str, ...]
    history: tuple[str, ...]  # the instruction of each step
    made_layers: tuple[str, ...]  # of those that made a layer; as many as there are, or the image does not say
    created: str = ""  # when it was made, as it says; RFC 3339


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """`reference` stands for `digest` now.  `previous` is what it stood for before, "" for nothing.

    `put_at` is when, by a clock that only goes forward, and `took` the seconds from the look before to the answer;
    0 where nothing was put.
    """

    reference: Reference
    digest: str
    previous: str = ""
    put_at: float = 0.0
    took: float = 0.0

    @property
    def changed(self) -> bool:
        return self.previous != self.digest


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def media_type_of(content: bytes) -> str:
    """What a manifest is by its own words, "" for none.

    Without a `mediaType` its shape tells, as containers/image guesses it: OCI leaves that field out, docker never does.
    """
    document = parse_json(content)
    values = document if isinstance(document, dict) and document.get("schemaVersion", 2) == 2 else {}
    said = values.get("mediaType")
    if said:
        return said if said in IMAGES + INDEXES else ""
    if isinstance(values.get("manifests"), list):
        return INDEXES[1]
    return IMAGES[1] if isinstance(values.get("config"), dict) and isinstance(values.get("layers"), list) else ""


def parse_image(manifest: Manifest) -> ImageManifest:
    """Raises ValueError for an index, and for what is no image manifest."""
    if manifest.is_index:
        raise ValueError("lists several platforms")
    document = _object(parse_json(manifest.content), "is not JSON")
    config = _object(document.get("config"), "names no config")
    layers = _list(document.get("layers"), "has no list of layers")
    digest, size = config.get("digest"), config.get("size", 0)
    if not _is_digest(digest) or not _is_size(size):
        raise ValueError("names no config")
    return ImageManifest(config=digest, config_size=size, layers=tuple(map(_layer, layers)))


def _layer(entry: object) -> Layer:
    values = _object(entry, "has a layer without digest and size")
    digest, size, kind = values.get("digest"), values.get("size"), values.get("mediaType", "")
    if not _is_digest(digest) or not _is_size(size) or not isinstance(kind, str):
        raise ValueError("has a layer without digest and size")
    return Layer(digest=digest, size=size, media_type=kind)


def parse_index(manifest: Manifest) -> tuple[IndexEntry, ...]:
    """The images of an index, without attestations.  Raises ValueError for what is no index."""
    document = _object(parse_json(manifest.content), "is not JSON")
    entries = _list(document.get("manifests"), "has no list of manifests")
    found = [_entry(_object(entry, "lists what is no manifest")) for entry in entries]
    return tuple(each for each in found if each)


def _entry(values: Mapping[str, Any]) -> IndexEntry | None:
    digest, platform, notes = values.get("digest"), values.get("platform"), values.get("annotations")
    if not _is_digest(digest):
        raise ValueError("lists a manifest without a digest")
    if (isinstance(notes, dict) and _REFERENCE_TYPE in notes) or values.get("artifactType"):
        return None
    parts = platform if isinstance(platform, dict) else {}
    name = _platform(parts)
    return None if name.startswith(_UNKNOWN) else IndexEntry(digest=digest, platform=name)


def render_index(images: Sequence[tuple[Manifest, str]], notes: Mapping[str, str] | None = None) -> Manifest:
    """The index of images, each with its platform; the same images in the same order give the same bytes.

    A list of docker's kind where all of them are of that kind: engines of before 2018 read no other.
    """
    docker = not notes and all(image.media_type == IMAGES[0] for image, _ in images)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": INDEXES[0 if docker else 1],
        "manifests": [
            {
                "mediaType": image.media_type,
                "digest": image.digest,
                "size": len(image.content),
                "platform": dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False)),
            }
            for image, platform in images
        ],
    }
    if notes:
        document["annotations"] = dict(notes)
    return Manifest(content=json.dumps(document, sort_keys=True).encode(), media_type=document["mediaType"])


def parse_annotations(manifest: Manifest) -> Mapping[str, str]:
    """The annotations of a manifest or index.  Raises ValueError for what is none."""
    document = _object(parse_json(manifest.content), "is not JSON")
    found = _object(document.get("annotations") or {}, "has annotations that are no object")
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError("has an annotation that is no text")
    return found


def parse_config(data: bytes) -> ImageConfig:
    """Raises ValueError for what is no image configuration."""
    document = _object(parse_json(data), "has a config that is not a JSON object")
    settings = _object(document.get("config") or {}, "has a config whose settings are no object")
    labels = _object(settings.get("Labels") or {}, "has labels that are no object")
    if not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("has a label that is no text")
    history = _list(document.get("history") or [], "has a history that is no list of steps")
    steps = [_object(step, "has a history that is no list of steps") for step in history]
    return ImageConfig(
        platform=_platform(document),
        labels=labels,
        settings=settings,
        diff_ids=_diff_ids(document.get("rootfs")),
        history=tuple(_created_by(step) for step in steps),
        made_layers=tuple(_created_by(step) for step in steps if not step.get("empty_layer")),
        created=made if isinstance(made := document.get("created"), str) else "",
    )


def _diff_ids(rootfs: object) -> tuple[str, ...]:
    found = _list(_object(rootfs or {}, "has layers that are no object").get("diff_ids") or [], "has no list of layers")
    if not all(map(_is_digest, found)):
        raise ValueError("has a diff_id that is no digest")
    return tuple(found)


def _platform(values: Mapping[str, Any]) -> str:
    """`os/architecture[/variant]`, "" where a part is missing or no text."""
    parts = [values.get("os"), values.get("architecture"), *filter(None, [values.get("variant")])]
    return "/".join(map(str, parts)) if all(isinstance(part, str) and part for part in parts) else ""


def _created_by(step: Mapping[str, Any]) -> str:
    made = step.get("created_by", "")
    return made if isinstance(made, str) else ""


def _object(value: object, otherwise: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(otherwise)  # noqa: TRY004 - what is wrong is the value of a document, not a type of ours
    return value


def _list(value: object, otherwise: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(otherwise)  # noqa: TRY004 - as above
    return value


def _is_digest(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60
