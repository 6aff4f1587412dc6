"""Offer the image of one platform to the other jobs of a release: a private name for it, with the account of it.

The name is that of an index of this one image, whose annotation is the account: name and account come and go together.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

from orchestrator.core import documents
from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import DocumentError
from orchestrator.core.errors import MismatchError, ReleaseError
from orchestrator.core.labels import ACCOUNT, REVISION
from orchestrator.core.record import RecordedPlatform
from orchestrator.registry.manifest import render_index
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.upload import Uploaded

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.registry.client import Registry


class PartMissingError(ReleaseError):
    """The image of a platform was not offered yet: its job is at work, or has failed."""

    default_code = "part-missing"


@dataclass(frozen=True, kw_only=True)
class Offered(Outcome):
    digest: str  # of the index that has the account


def tasks(plan: Plan) -> tuple[Task, ...]:
    """None where one run makes all platforms."""
    return tuple(_task(part) for part in plan.builds if part.part_of) if plan.elsewhere else ()


def _task(part: PlannedImage) -> Task:
    return Task(
        key=part.task("offer"),
        title=f"offer {part.platform} as {part.reference}",
        run=lambda context: _run(context, part),
        probe=lambda context, before: _probe(context, part, before),
    )


def _run(context: TaskContext, part: PlannedImage) -> Offered:
    registry = context.connections.registry(part.repository)
    made = account(context, part)
    manifest = registry.manifest(made.digest)
    if manifest is None:
        raise MismatchError(
            f"the registry has no {made.digest}, which was uploaded as {part.candidate}",
            remedy="somebody removed it: run the same command again",
            code="image-gone",
        )
    index = render_index([(manifest, part.platform)], {ACCOUNT: json.dumps(documents.encode(made), sort_keys=True)})
    registry.store(part.reference.tag, index)
    return Offered(image=part.reference, digest=index.digest)


def _probe(context: TaskContext, part: PlannedImage, before: Outcome | None) -> Outcome | None:
    if not isinstance(before, Offered):
        return None
    there = context.connections.registry(part.repository).head(part.reference.tag)
    return before if there and there.digest == before.digest else None


def account(context: TaskContext, part: PlannedImage) -> RecordedPlatform:
    """What this run made of a platform, for the record."""
    digest = context.outcome(Uploaded, part).digest
    registry = context.connections.registry(part.repository)
    manifest = registry.await_manifest(digest)
    own = registry.image(manifest, part.platform) if manifest else None
    names = {field.name for field in fields(RecordedPlatform)}
    found = {name: value for name, value in context.parts(part).items() if name in names}
    return RecordedPlatform(**{**found, "platform": part.platform, "digest": own.digest if own else digest})


def offered(registry: Registry, part: PlannedImage, revision: str) -> RecordedPlatform:
    """The account of a platform that another job has offered.  Raises PartMissingError where none of this commit is."""
    found = registry.manifest(part.reference.tag)
    if found is None:
        raise PartMissingError(f"{part.platform} is not uploaded yet", where=str(part.reference))
    try:
        data = documents.parse(registry.annotations(found).get(ACCOUNT, ""))
        said = documents.decode(RecordedPlatform, data)
    except DocumentError as error:
        raise MismatchError(
            f"it is no image that a job of this tool has offered: {error}",
            where=str(part.reference),
            remedy="remove that tag in the registry, then run the job of that platform again",
            code="part-differs",
        ) from error
    if said.labels.get(REVISION) != revision or said.platform != part.platform:
        raise PartMissingError(f"{part.platform} is there of another commit only", where=str(part.reference))
    return said
