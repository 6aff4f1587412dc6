"""Smoke checks of what an image weighs: its size and layers, and what it costs those who have the version before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from orchestrator.core.results import CheckState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.core.results import PlannedImage
    from orchestrator.engines import Engine, Step
    from orchestrator.image.smoke import Check
    from orchestrator.registry.client import Registry

    Verdict = tuple[CheckState, str, str]

# No deflate stream (RFC 1951) is smaller: a copy of 258 bytes takes at least two bits.
MOST_COMPRESSED: Final = 1032
_BLAMED: Final = 3  # layers


def budget_checks(engine: Engine, image: PlannedImage, image_id: str, registry: Callable[[], Registry]) -> list[Check]:
    """Those that release.yaml asks for: `budget`, `delta-budget`."""
    checks: list[Check] = []
    if image.size_budget or image.max_layers:
        checks.append(("budget", lambda: _budget(engine, image, image_id)))
    if image.delta_budget:
        checks.append(("delta-budget", lambda: _delta(engine, image, image_id, registry())))
    return checks


def _budget(engine: Engine, image: PlannedImage, image_id: str) -> Verdict:
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


def _delta(engine: Engine, image: PlannedImage, image_id: str, registry: Registry) -> Verdict:
    """Fails where the new layers cannot fit, however well they compress; the exact number comes with the upload."""
    known = _published(registry, image)
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


def _published(registry: Registry, image: PlannedImage) -> frozenset[str] | None:
    """The diff_ids of the version before, or None where there is none."""
    manifest = registry.manifest(image.previous.rpartition(":")[2]) if image.previous else None
    if manifest is None or manifest.is_index:
        return None
    config = json.loads(registry.blob(registry.config_digest(manifest)))
    return frozenset(config.get("rootfs", {}).get("diff_ids") or ())


def _blame(steps: Iterable[Step]) -> str:
    costly = sorted(steps, key=lambda step: -step.size)[:_BLAMED]
    return "".join(f"; {step.size} bytes by `{step.instruction}`" for step in costly if step.size)
