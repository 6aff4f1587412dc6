"""Take over the images of a tested candidate: the registry must hold, under its tag, the digest of its record."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, ReleaseError
from orchestrator.core.record import RecordedImage, record_ref
from orchestrator.release.steps.join import index_of
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.upload import Uploaded
from orchestrator.session.published import record_at

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.core.record import Record
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest

_OWN = ("reference", "variant", "aliases", "digest", "floating")  # what the record does not take from the candidate's


@dataclass(frozen=True, kw_only=True)
class Tested(Uploaded):
    """`tested` is what the candidate's record says of the image: how it was built, and what was checked."""

    tested: RecordedImage

    def part(self) -> dict[str, Any]:
        names = [field.name for field in fields(self.tested) if field.name not in _OWN]
        return {name: getattr(self.tested, name) for name in names} | super().part()


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.images)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=image.task("take"),
        title=f"take {image.candidate}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
    )


def _run(context: TaskContext, image: PlannedImage) -> Tested:
    from orchestrator.image.budgets import measure

    registry = context.connections.registry(image.repository)
    recorded = _candidate(context).image(image.candidate)
    manifest = tested(registry, recorded)
    deltas = [measure(registry, each, registry.image(manifest, each.platform)) for each in image.builds]
    platforms = tuple(replace(each, delta=delta) for each, delta in zip(recorded.platforms, deltas, strict=False))
    return Tested(
        image=image.reference,
        digest=manifest.digest,
        candidate=image.candidate,
        size=recorded.compressed_size,
        delta=index_of(platforms)["delta"] if platforms else deltas[0],
        tested=replace(recorded, platforms=platforms),
    )


def _candidate(context: TaskContext) -> Record:
    """The record of the candidate that is promoted."""
    origin = context.plan.promoted_from
    if origin is None:
        raise ReleaseError(f"{context.plan.version} is not promoted from a candidate", code="task-order")
    ref, scratch = record_ref(origin.version), context.session.scratch
    if not scratch.has(origin.record):
        context.repository.bring(scratch, context.plan.remote, [ref])
    return record_at(scratch, origin.record, ref, context.plan.remote)


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """What was taken stays taken while the registry has it, under whatever name."""
    if not isinstance(before, Tested):
        return None
    return before if context.connections.registry(image.repository).head(before.digest) else None


def tested(registry: Registry, recorded: RecordedImage) -> Manifest:
    """The candidate's image, as it is in the registry and in the record.  Raises MismatchError when they differ."""
    manifest = registry.manifest(recorded.reference.tag)
    if manifest is None or manifest.digest != recorded.digest:
        there = manifest.digest if manifest else "not in the registry"
        raise MismatchError(
            f"{recorded.reference} is {there}, its record says {recorded.digest}",
            where=str(recorded.reference),
            remedy="what was tested is not there under its name any more: cut the next candidate",
            code="image-differs" if manifest else "image-gone",
        )
    return manifest
