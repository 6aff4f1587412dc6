"""Take over the images of a tested candidate: the registry must hold, under its tag, the digest of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core import record
from orchestrator.core.errors import MismatchError
from orchestrator.core.reference import parse_reference
from orchestrator.image.budgets import measure
from orchestrator.release.steps.outcomes import Outcome, Uploaded
from orchestrator.release.steps.record import candidate_record
from orchestrator.release.steps.runner import Task, TaskContext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.images)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=f"take/{image.reference.rpartition(':')[2]}",
        title=f"take {image.candidate}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
    )


def _run(context: TaskContext, image: PlannedImage) -> Uploaded:
    registry, recorded = context.connections.registry(image.repository), candidate_record(context)
    account = record.image_of(recorded, image.candidate)
    manifest = tested(registry, account)
    return Uploaded(
        image=image.reference,
        digest=manifest.digest,
        candidate=image.candidate,
        size=int(account["compressed_size"]),
        delta=measure(registry, image, manifest),
    )


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """What was taken stays taken while the registry has it, under whatever name."""
    if not isinstance(before, Uploaded):
        return None
    return before if context.connections.registry(image.repository).head(before.digest) else None


def tested(registry: Registry, account: Mapping[str, Any]) -> Manifest:
    """The candidate's image, as it is in the registry and in the record.  Raises MismatchError when they differ."""
    reference, digest = str(account["reference"]), str(account["digest"])
    manifest = registry.manifest(parse_reference(reference).tag)
    if manifest is None or manifest.digest != digest:
        raise MismatchError(
            f"{reference} is {manifest.digest if manifest else 'not in the registry'}, its record says {digest}",
            where=reference,
            remedy="what was tested is not there under its name any more: cut the next candidate",
            code="image-differs" if manifest else "image-gone",
        )
    return manifest
