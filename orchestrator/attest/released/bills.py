"""The bills of materials of a released version: one for each image and platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.attest.make import make_bill
from orchestrator.core.errors import UsageError
from orchestrator.plan.images import planned_images
from orchestrator.session.committed import CommittedFiles
from orchestrator.session.published import PublishedReleases, config_at, remote_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.attest.bill import Bill
    from orchestrator.core.plan import PlannedImage
    from orchestrator.core.record import Record
    from orchestrator.session.session import Session


def bills(session: Session, version: str, variant: str = "", platform: str = "") -> tuple[Bill, ...]:
    """Those of a version, perhaps of one variant or platform alone.

    The engine pulls what it does not have.  Raises UsageError for what was not released, MismatchError where an image
    is not what its lock says.
    """
    record = PublishedReleases(session, remote_name(session)).proved(version)
    config = config_at(session, version, record.commit, record.config.path)
    commit = session.scratch.commit(record.commit)
    committed = CommittedFiles(session.scratch, commit.tree)
    wanted = list(_builds(planned_images(config, version, record.commit), variant, platform))
    if not wanted:
        lacks = "image" if config.image is None else "such image"
        raise UsageError(
            f"{version} has no {lacks}",
            remedy="choose among `image.variants` and `image.platforms` of release.yaml at its tag"
            if config.image
            else f"see what it has: release show {version}",
            code="no-such-image",
        )
    engine = session.connections.runtime()
    found = []
    for image, build in wanted:
        digest = _digest(record, image, build)
        host = image.reference.repository.host
        info = engine.resolve(
            f"{image.repository}@{digest}",
            platform=build.platform,
            credentials=session.connections.credentials(host),
            report=session.terminal.progress,
        )
        found.append(
            make_bill(committed, build, engine, info.id, name=image.reference, digest=digest, when=commit.when.seconds)
        )
    return tuple(found)


def _builds(
    images: tuple[PlannedImage, ...], variant: str, platform: str
) -> Iterator[tuple[PlannedImage, PlannedImage]]:
    """Each image with each of its builds."""
    for image in images:
        for build in image.builds:
            if variant in ("", image.variant) and platform in ("", build.platform):
                yield image, build


def _digest(record: Record, image: PlannedImage, build: PlannedImage) -> str:
    recorded = record.image(image.reference)
    part = recorded.of_platform(build.platform)
    return (part or recorded).digest
