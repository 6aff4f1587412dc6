"""A thin image, written by the registry client: layers, configuration, manifest.  No engine; no byte of the base."""

from __future__ import annotations

import json
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.labels import INPUTS
from orchestrator.registry.manifest import Manifest, digest_of
from orchestrator.registry.responses import parse_json
from orchestrator.thin.base import odd_parents
from orchestrator.thin.files import copied_tree
from orchestrator.thin.final import Copy, FinalStage
from orchestrator.thin.layer import GZIP_LAYER, MadeLayer, make_layer
from orchestrator.thin.settings import ImageDraft

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.registry.client import Registry
    from orchestrator.thin.base import BaseFacts
    from orchestrator.thin.kept import Kept
    from orchestrator.thin.layer import FileNode, Tree

_SENT_UNASKED: Final = 8 * 1024  # bytes: to ask whether a blob of that size is there costs as much as to send it
_DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """A heavy base in a registry: its manifest and configuration as parsed, and what is remembered of it."""

    repository: str  # its path in the registry
    manifest: Manifest
    config: Mapping[str, Any]
    facts: BaseFacts | None

    @property
    def env(self) -> dict[str, str]:
        return dict(each.partition("=")[::2] for each in (self.config.get("config") or {}).get("Env") or [])

    @property
    def labels(self) -> dict[str, str]:
        return dict((self.config.get("config") or {}).get("Labels") or {})

    @property
    def platform(self) -> str:
        """`os/architecture[/variant]`."""
        parts = [self.config.get(name) for name in ("os", "architecture", "variant")]
        return "/".join(str(part) for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class CopyOrigin:
    """What `COPY --link --from` takes: `inputs` names it by what it is made from, "" where that is not worth it."""

    tree: Callable[[], Mapping[str, FileNode]]
    inputs: str = ""


@dataclass(frozen=True, kw_only=True)
class ThinImage:
    """An image that is not in the registry yet.  `contents` are the blobs that it needs beside the base's."""

    manifest: Manifest
    config: bytes
    diff_ids: tuple[str, ...]
    contents: tuple[bytes, ...] = field(repr=False)
    trees: tuple[Tree, ...] = field(repr=False)  # of the layers made here
    made: Mapping[str, str] = field(default_factory=dict)  # digest of a layer -> the instruction that made it


def read_base_image(registry: Registry, manifest: Manifest, facts: BaseFacts | None) -> BaseImage:
    """The base as a release is built on it."""
    config = parse_json(registry.blob(registry.details(manifest).config))
    if not isinstance(config, dict) or not isinstance(config.get("rootfs"), dict):
        raise RemoteError(
            f"the configuration of {manifest.digest} is none of an image",
            where=str(registry.repository),
            remedy="remove the tag of the heavy base, then run the same command again",
            code="registry-bad-answer",
        )
    return BaseImage(repository=registry.repository.path, manifest=manifest, config=config, facts=facts)


def make_image(
    base: BaseImage,
    final: FinalStage,
    origins: Mapping[str, CopyOrigin],
    *,
    labels: Mapping[str, str],
    created: str,
    mtime: int,
    file: str,
    escape: str,
    kept: Mapping[str, Kept] | None = None,
) -> ThinImage:
    """Everything of the image; nothing is asked of the registry.  `origins` by name, "" for the build context.

    `created` is the time in the configuration, `mtime` the same in seconds.  Raises UsageError for what the Dockerfile
    wants and is not there, UnprovedError where a layer would change folders of the base.
    """
    draft = ImageDraft(dict(base.config), created, file, escape)
    made: list[MadeLayer] = []
    trees: list[Tree] = []
    instructions: dict[str, str] = {}
    document = json.loads(base.manifest.content)
    is_docker = base.manifest.media_type == _DOCKER
    layers = list(document["layers"])
    for step in final.steps:
        if not isinstance(step, Copy):
            draft.apply(step)
            continue
        origin = origins[step.origin]
        inputs = digest_of(json.dumps([origin.inputs, step.shown, step.owner]).encode()) if origin.inputs else ""
        if inputs and inputs in (kept or {}):
            again = (kept or {})[inputs]
            layers.append(dict(again.descriptor))
            draft.add_layer(step, again.diff_id)
            continue
        tree = copied_tree(step, origin.tree(), folder=draft.settings.get("WorkingDir") or "/", mtime=mtime, file=file)
        _refuse_odd(base, tree, f"{file}:{step.line}")
        layer = make_layer(tree)
        made.append(layer)
        trees.append(tree)
        instructions[layer.digest] = step.shown
        layers.append(_descriptor(layer, inputs, is_docker=is_docker))
        draft.add_layer(step, layer.diff_id)
    draft.label(labels)
    config = _compact(draft.finished())
    document |= {"config": {**document["config"], "digest": digest_of(config), "size": len(config)}, "layers": layers}
    document.pop("annotations", None)  # the base's own
    return ThinImage(
        manifest=Manifest(content=_compact(document), media_type=base.manifest.media_type),
        config=config,
        diff_ids=tuple(draft.diff_ids),
        contents=tuple(layer.content for layer in made),
        trees=tuple(trees),
        made=instructions,
    )


def _descriptor(layer: MadeLayer, inputs: str, *, is_docker: bool) -> dict[str, Any]:
    described = layer.described
    kind = _DOCKER_LAYER if is_docker else GZIP_LAYER
    found: dict[str, Any] = {"mediaType": kind, "digest": described.digest, "size": described.size}
    return found | ({"annotations": {INPUTS: inputs}} if inputs else {})


def _refuse_odd(base: BaseImage, tree: Tree, where: str) -> None:
    odd = odd_parents(tree, base.facts) if base.facts else []
    if odd:
        message, _, remedy = odd[0].rpartition("; ")
        raise UnprovedError(message, where=where, remedy=remedy, detail="\n".join(odd[1:]), code="thin-parents")


def _compact(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def push_image(registry: Registry, base: BaseImage, image: ThinImage) -> None:
    """Store what is missing, then the manifest under its digest: nobody finds it by a name yet.

    Raises RemoteError where the base is in another repository and the registry does not mount from there.
    """
    if base.repository != registry.repository.path:
        for layer in registry.layers(base.manifest):
            if not registry.mount_blob(layer.digest, base.repository):
                raise RemoteError(
                    f"the registry does not mount {layer.digest} from {base.repository}",
                    where=str(registry.repository),
                    remedy="leave `image.heavy.repository` out: the heavy base then is beside the image",
                    code="no-mount",
                )
    for content in (*image.contents, image.config):
        registry.put_blob(content, is_new=len(content) <= _SENT_UNASKED)
    registry.put_manifest("", image.manifest)
