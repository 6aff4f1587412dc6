"""Smoke checks of what an image weighs: its size and layers, and what it costs those who have the version before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import UnprovedError
from orchestrator.core.record import Delta
from orchestrator.core.results import CheckState
from orchestrator.image.previous import refuse_shrunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from orchestrator.core.plan import PlannedImage
    from orchestrator.engines import HistoryStep, ImageStore
    from orchestrator.image.smoke import Check
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Layer, Manifest

    Verdict = tuple[CheckState, str, str]


# No deflate stream (RFC 1951) is smaller: a copy of 258 bytes takes at least two bits.
MOST_COMPRESSED: Final = 1032
_BLAMED: Final = 3  # layers


def budget_checks(
    engine: ImageStore, image: PlannedImage, image_id: str, registry: Callable[[], Registry]
) -> list[Check]:
    """Those that release.yaml asks for: `budget`, `delta-budget`."""
    checks: list[Check] = []
    if image.size_budget or image.max_layers:
        checks.append(("budget", lambda: _budget(engine, image, image_id)))
    if image.delta_budget:
        checks.append(("delta-budget", lambda: _delta(engine, image, image_id, registry())))
    return checks


def _budget(engine: ImageStore, image: PlannedImage, image_id: str) -> Verdict:
    info = engine.inspect(image_id)
    if info is None:
        return CheckState.FAILED, f"the engine has no image {image_id}", "build it first"
    wrong = []
    if image.size_budget and info.size > image.size_budget:
        blame = _blame(engine.history(image_id))
        wrong.append(f"{info.size} bytes, size-budget allows {image.size_budget}{blame}")
    if image.max_layers and len(info.layers) > image.max_layers:
        wrong.append(f"{len(info.layers)} layers, max-layers allows {image.max_layers}")
    if wrong:
        return CheckState.FAILED, "; ".join(wrong), "make the image smaller, or raise the limit under `image:`"
    return CheckState.PASSED, f"{info.size} bytes in {len(info.layers)} layers", ""


def _delta(engine: ImageStore, image: PlannedImage, image_id: str, registry: Registry) -> Verdict:
    """Fails where the new layers cannot fit, however well they compress; the exact number comes with the upload."""
    info = engine.inspect(image_id)
    known = _published(registry, image, f"linux/{info.architecture}" if info and info.architecture else "")
    layers = {step.diff_id: step for step in engine.history(image_id) if step.diff_id}  # a client pulls each once
    if known is None or not layers:
        why = f"{image.previous} is no image in the registry" if known is None else "the engine does not say its layers"
        return CheckState.SKIPPED, f"not known before the upload: {why}", ""
    new = [layer for layer in layers.values() if layer.diff_id not in known]
    size = sum(layer.size for layer in new)
    if size > image.delta_budget * MOST_COMPRESSED:
        message = (
            f"a client that has {image.previous} must pull {len(new)} new layers, {size} bytes unpacked: more than "
            f"{image.delta_budget}, what delta-budget allows, however well they compress{_blame(new)}"
        )
        return CheckState.FAILED, message, "look for what was built again, or raise `image.delta-budget`"
    said = f"{len(new)} new layers, {size} bytes unpacked; what they are compressed is measured at the upload"
    return CheckState.SKIPPED, said, ""


def _published(registry: Registry, image: PlannedImage, platform: str) -> frozenset[str] | None:
    """The diff_ids of the version before, or None where there is none for this platform."""
    manifest = registry.released(image.previous.tag) if image.previous else None
    before = registry.find_image(manifest, image.platform or platform) if manifest else None
    return frozenset(registry.config(before).diff_ids) if before else None


def _blame(steps: Iterable[HistoryStep]) -> str:
    costly = sorted(steps, key=lambda step: -step.size)[:_BLAMED]
    return "".join(f"; {step.size} bytes by `{step.instruction}`" for step in costly if step.size)


def measure(
    registry: Registry, image: PlannedImage, manifest: Manifest, made: Mapping[str, str] | None = None
) -> Delta:
    """The layers that the previous version has not, once each, and config and manifest, which are always new.

    `manifest` is an image's own; where the previous version is an index, its image for the same platform counts.
    `made` tells which instruction made a layer, of an image that is not in the registry yet.

    Raises UnprovedError `delta-budget` where that is more than release.yaml allows.
    """
    if not image.previous:
        return Delta(unknown="the first release of its line")
    named = registry.released(image.previous.tag)
    if named is None:
        return Delta(unknown=f"{image.previous} is not in the registry")
    ours = registry.details(manifest)
    platform = image.platform or (registry.config(manifest).platform if named.is_index else "")
    before = registry.find_image(named, platform)
    if before is None:
        return Delta(unknown=f"{image.previous} has no image for {platform}")
    refuse_shrunk(registry, image, sum(layer.size for layer in ours.layers), platform)
    known = {layer.digest for layer in registry.layers(before)}
    fresh = {layer.digest: layer for layer in ours.layers if layer.digest not in known}
    small = len(manifest.content) + ours.config_size
    delta = Delta(
        previous=str(image.previous),
        size=sum(layer.size for layer in fresh.values()) + small,
        layers=len(fresh),
    )
    if image.delta_budget and delta.size > image.delta_budget:
        raise _too_much(image, delta, list(fresh.values()), made or _made_by(registry, manifest))
    return delta


def _made_by(registry: Registry, manifest: Manifest) -> dict[str, str]:
    """Layer digest -> the instruction that made it, as the image's config says; empty where it does not."""
    made, layers = registry.config(manifest).made_layers, registry.layers(manifest)
    return dict(zip((layer.digest for layer in layers), made, strict=True)) if len(made) == len(layers) else {}


def _too_much(image: PlannedImage, delta: Delta, layers: Sequence[Layer], made: Mapping[str, str]) -> UnprovedError:
    costly = sorted(layers, key=lambda layer: -layer.size)
    return UnprovedError(
        f"a client that has {delta.previous} must pull {delta.size} bytes for {image.reference}, "
        f"delta-budget allows {image.delta_budget}",
        where=str(image.candidate),
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
