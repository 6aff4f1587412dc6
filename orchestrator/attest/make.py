"""The bill of one image: its lock and patches from a commit, the rest from the image in the engine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.attest import inventory
from orchestrator.attest.bill import Bill, components, faults
from orchestrator.attest.statement import Statement
from orchestrator.core.errors import MismatchError
from orchestrator.image.patches import concerning
from orchestrator.image.pytorch_builds import read_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.core.plan import PlannedImage
    from orchestrator.core.reference import Reference
    from orchestrator.engines import Prover
    from orchestrator.session.committed import CommittedFiles

_SHOWN = 5


def make_bill(
    committed: CommittedFiles,
    image: PlannedImage,
    engine: Prover,
    image_id: str,
    *,
    name: Reference,
    digest: str,
    when: int,
) -> Bill:
    """The bill of an image that was built from a commit, and is `image_id` in the engine.

    `name` is what it is released as, `digest` that of its manifest, `when` the time of the release commit in seconds.
    Raises MismatchError where lock and image do not agree.
    """
    found = inventory.take(engine, image_id)
    lock = committed.lock(image.lock)
    if wrong := faults(lock, found):
        more = f" (and {len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
        raise MismatchError(
            f"the image is not what its lock says: {'; '.join(wrong[:_SHOWN])}{more}",
            where=str(name),
            remedy="let the Dockerfile install what the lock names and nothing else, then release the next version",
            code="sbom-differs",
        )
    patches = concerning(committed.below(image.patches), read_lock(lock)[0]) if image.patches else []
    return Bill(
        repository=name.repository,
        tag=name.tag,
        digest=digest,
        variant=image.variant,
        platform=image.platform or f"linux/{found.architecture}",
        when=moment(when),
        components=components(lock, found, patches),
        unchecked=found.unasked if lock else "",
    )


def bill_statements(bill: Bill, forms: Sequence[str]) -> Iterator[Statement]:
    """A bill in standard forms, as statements; `forms` are of SBOM_FORMS."""
    from orchestrator.attest import cyclonedx, spdx

    known = {"cyclonedx": (cyclonedx.PREDICATE, cyclonedx.cyclonedx), "spdx": (spdx.PREDICATE, spdx.spdx)}
    for kind, document in map(known.__getitem__, forms):
        yield Statement(repository=bill.repository, digest=bill.digest, predicate_type=kind, predicate=document(bill))


def moment(seconds: int) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
