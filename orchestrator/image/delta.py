"""What a client that has the previous version must pull for this one, as the registry tells it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from orchestrator.core.errors import UnprovedError
from orchestrator.release.steps.outcomes import Delta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.results import PlannedImage
    from orchestrator.registry.client import Layer, Manifest, Registry


def measure(registry: Registry, image: PlannedImage, manifest: Manifest) -> Delta:
    """The layers that the previous version has not, once each, and config and manifest, which are always new.

    Raises UnprovedError `delta-budget` where that is more than release.yaml allows.
    """
    before = registry.manifest(image.previous.rpartition(":")[2]) if image.previous else None
    if before is None or before.is_index:
        why = f"{image.previous} is not in the registry" if image.previous else "the first release of its line"
        return Delta(unknown=f"{image.previous} is an index of several platforms" if before else why)
    known = {layer.digest for layer in registry.layers(before)}
    fresh = {layer.digest: layer for layer in registry.layers(manifest) if layer.digest not in known}
    small = len(manifest.content) + int(json.loads(manifest.content)["config"].get("size", 0))
    delta = Delta(
        previous=image.previous,
        size=sum(layer.size for layer in fresh.values()) + small,
        layers=len(fresh),
    )
    if image.delta_budget and delta.size > image.delta_budget:
        raise _too_much(image, delta, list(fresh.values()), _made_by(registry, manifest))
    return delta


def _made_by(registry: Registry, manifest: Manifest) -> dict[str, str]:
    """Layer digest -> the instruction that made it, as the image's config says; empty where it does not."""
    config = json.loads(registry.blob(registry.config_digest(manifest)))
    made = [step.get("created_by", "") for step in config.get("history") or () if not step.get("empty_layer")]
    layers = registry.layers(manifest)
    return dict(zip((layer.digest for layer in layers), made, strict=True)) if len(made) == len(layers) else {}


def _too_much(image: PlannedImage, delta: Delta, layers: Sequence[Layer], made: Mapping[str, str]) -> UnprovedError:
    costly = sorted(layers, key=lambda layer: -layer.size)
    return UnprovedError(
        f"a client that has {delta.previous} must pull {delta.size} bytes for {image.reference}, "
        f"delta-budget allows {image.delta_budget}",
        where=image.candidate,
        remedy="look in the Dockerfile for what was built again (a changed base or an early layer), "
        "or raise `image.delta-budget`",
        detail="\n".join(
            f"{layer.digest} {layer.size} bytes  {_instruction(made.get(layer.digest, ''))}" for layer in costly
        ),
        code="delta-budget",
        state=f"{image.reference} does not exist; the registry has its layers under {image.candidate}",
    )


def _instruction(created_by: str) -> str:
    """One line of it, without the shell that runs it."""
    line = " ".join(created_by.rpartition("/bin/sh -c ")[2].removeprefix("#(nop)").split())
    return line if len(line) <= 80 else f"{line[:79]}…"
