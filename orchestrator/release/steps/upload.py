"""Push the heavy bytes under the candidate's name, and believe only the digest that the registry gives back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import MismatchError, RemoteError
from orchestrator.core.record import Delta
from orchestrator.core.reference import parse_reference
from orchestrator.image.budgets import measure
from orchestrator.release.steps.build import Built
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan, PlannedImage


@dataclass(frozen=True, kw_only=True)
class Uploaded(Outcome):
    digest: str
    candidate: str
    size: int  # bytes in the registry, compressed
    delta: Delta

    def part(self) -> dict[str, Any]:
        return {"compressed_size": self.size, "delta": self.delta}


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.images)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=f"upload/{image.reference.rpartition(':')[2]}",
        title=f"upload {image.candidate}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
    )


def _run(context: TaskContext, image: PlannedImage) -> Uploaded:
    context.connections.engine().push(
        parse_reference(image.candidate),
        credentials=context.connections.credentials(parse_reference(image.candidate).repository.host),
        report=context.report,
        stall=context.session.options.push_stall,
    )
    uploaded = _there(context, image)
    if uploaded is None:
        raise RemoteError(
            f"the engine says that {image.candidate} was pushed, the registry does not have it",
            remedy="run the same command again; if it stays so, look at the registry's log",
            code="push-vanished",
        )
    return uploaded


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """Done when the registry has the image, as the candidate or, should that name be gone, as the version."""
    if isinstance(before, Uploaded):
        released = context.connections.registry(image.repository).head(parse_reference(image.reference).tag)
        if released and released.digest == before.digest:
            return before
    try:
        return _there(context, image)
    except MismatchError:
        return None  # an older candidate of that name: a private name may be pushed again


def _there(context: TaskContext, image: PlannedImage) -> Uploaded | None:
    """The candidate in the registry when it is the image that was built, and within its budget.

    An engine's image id is the digest of its config (overlay2) or of its manifest (containerd's state): one of
    the two must be what the registry holds.
    """
    built = context.outcome(Built, image)
    registry = context.connections.registry(image.repository)
    manifest = registry.manifest(parse_reference(image.candidate).tag)
    if manifest is None:
        return None
    config = json.loads(manifest.content).get("config", {}).get("digest", "")
    if built.image_id not in (config, manifest.digest):
        raise MismatchError(
            f"{image.candidate} in the registry is {config or manifest.digest}, the image built is {built.image_id}",
            code="candidate-differs",
        )
    size = sum(layer.size for layer in registry.layers(manifest))
    delta = measure(registry, image, manifest)
    return Uploaded(image=image.reference, digest=manifest.digest, candidate=image.candidate, size=size, delta=delta)
