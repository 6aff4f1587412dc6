"""Sign what was uploaded, and what is said of it: before anything is public, so what cannot be signed never is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.smoke import Smoked, by_digest
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.attest.bill import Bill
    from orchestrator.attest.statement import Statement
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.core.record import RecordedImage


@dataclass(frozen=True, kw_only=True)
class Signed(Outcome):
    """`attached` are the digests of what refers to the image; `key` names the key as bundles do."""

    key: str
    attached: tuple[str, ...]


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.images) if plan.sign else ()


def _task(image: PlannedImage) -> Task:
    return Task(
        key=image.task("sign"),
        title=f"sign {image.candidate}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
    )


def _run(context: TaskContext, image: PlannedImage) -> Signed:
    from orchestrator.attest.attach import publish
    from orchestrator.attest.make import moment
    from orchestrator.attest.signing import load_key

    key = load_key(context.plan.sign, context.connections.env, context.repository.top)
    registry = context.connections.registry(image.repository)
    registry.renew_login()
    when = moment(int(context.plan.when.partition(" ")[0]))
    attached = publish(registry, list(_statements(context, image)), key, when)
    return Signed(image=image.reference, key=key.public.hint, attached=attached)


def _statements(context: TaskContext, image: PlannedImage) -> Iterator[Statement]:
    """All that is said of an image, and of each platform's."""
    from orchestrator.attest import statement
    from orchestrator.attest.make import bill_statements
    from orchestrator.release.steps.record import record

    made = record(context)
    recorded = made.image(image.reference)
    repository = image.reference.repository
    yield statement.signature(repository, recorded.digest)
    yield statement.provenance(made, recorded, image.repository_url)
    yield statement.picks(made, recorded)
    for each in recorded.platforms:
        yield statement.signature(repository, each.digest)
    for build in image.builds:
        yield from bill_statements(_bill(context, image, build, recorded))


def _bill(context: TaskContext, image: PlannedImage, build: PlannedImage, recorded: RecordedImage) -> Bill:
    from orchestrator.attest.make import make_bill

    digest = (recorded.of_platform(build.platform) or recorded).digest
    smoked = context.find(Smoked, build)
    here = smoked.image_id if smoked and not smoked.digest else by_digest(context, build, digest).id
    with context.repository.scratch() as scratch:
        return make_bill(
            CommittedFiles(scratch, context.plan.tree),
            build,
            context.connections.runtime(),
            here,
            name=image.reference,
            digest=digest,
            when=int(context.plan.when.partition(" ")[0]),
        )


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """Done while the registry has all of it."""
    if not isinstance(before, Signed):
        return None
    registry = context.connections.registry(image.repository)
    return before if all(registry.head(each) for each in before.attached) else None
