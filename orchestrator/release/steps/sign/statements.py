"""Everything that is signed of an image of a release, made before anything is public."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.attest import statement
from orchestrator.attest.make import bill_statements, make_bill
from orchestrator.attest.scan import vex
from orchestrator.attest.statement import Statement
from orchestrator.release.steps.builds.proving import by_digest
from orchestrator.release.steps.record import record
from orchestrator.release.steps.smoke import Smoked, in_engine
from orchestrator.session.committed import VEX_FOLDER, CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.attest.bill import Bill
    from orchestrator.core.plan import PlannedImage
    from orchestrator.core.record import RecordedImage
    from orchestrator.release.steps.runner import TaskContext


def statements(context: TaskContext, image: PlannedImage, forms: Sequence[str]) -> Iterator[Statement]:
    """All that is said of an image, and of each platform's; its SBOM in these forms."""
    made = record(context)
    recorded = made.image(image.reference)
    repository = image.reference.repository
    yield statement.signature(repository, recorded.digest)
    yield statement.provenance(made, recorded, image.repository_url)
    yield statement.picks(made, recorded)
    if said := _vex(context):
        yield Statement(repository=repository, digest=recorded.digest, predicate_type=vex.PREDICATE, predicate=said)
    for each in recorded.platforms:
        yield statement.signature(repository, each.digest)
    for build in image.builds:
        yield from bill_statements(_bill(context, image, build, recorded), forms)


def _vex(context: TaskContext) -> dict[str, Any] | None:
    """What the project itself says of vulnerabilities, at the commit that is released."""
    with context.repository.scratch() as scratch:
        return vex.merged(vex.documents_in(CommittedFiles(scratch, context.plan.tree).below(VEX_FOLDER)))


def _bill(context: TaskContext, image: PlannedImage, build: PlannedImage, recorded: RecordedImage) -> Bill:
    digest = (recorded.of_platform(build.platform) or recorded).digest
    smoked = context.find(Smoked, build)
    here = smoked.image_id if smoked and not smoked.digest else ""
    found = in_engine(context, here) if here else by_digest(context, build, digest)
    with context.repository.scratch() as scratch:
        return make_bill(
            CommittedFiles(scratch, context.plan.tree),
            build,
            found.prover,
            found.id,
            name=image.reference,
            digest=digest,
            when=int(context.plan.when.partition(" ")[0]),
        )
