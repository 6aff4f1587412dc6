"""The heavy base of an image: taken over where the registry has it, made and kept there where it has not.

And how what an engine has built is pushed, which the base and the image have in common.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.core import labels as names
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, ReleaseError, RemoteError
from orchestrator.core.plan import HEAVY_PLATFORM
from orchestrator.core.record import RecordedHeavy
from orchestrator.core.reference import parse_repository
from orchestrator.core.results import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.plan import PlannedHeavy, PlannedImage
    from orchestrator.core.record import Record
    from orchestrator.core.reference import Reference
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest
    from orchestrator.release.steps.runner import TaskContext
    from orchestrator.thin.write import BaseImage


@dataclass(frozen=True, kw_only=True)
class HeavyBase:
    """The heavy base as the registry has it."""

    planned: PlannedHeavy
    reference: Reference
    base: BaseImage

    @property
    def digest(self) -> str:
        return self.base.manifest.digest

    def instead(self, text: bytes) -> bytes:
        """A Dockerfile that has it, by its digest, in place of its stage."""
        from orchestrator.thin.made import on_base

        return on_base(text, self.planned.stage, f"{self.reference.repository}@{self.digest}")

    @property
    def recorded(self) -> RecordedHeavy:
        return RecordedHeavy(reference=self.reference, key=self.planned.key, digest=self.digest)


def heavy_base(context: TaskContext, image: PlannedImage, make: Callable[[], str]) -> HeavyBase:
    """The heavy base of an image; `make` builds it, leaves it in its repository and gives the digest.

    Raises MismatchError where another one stands under its name.
    """
    from orchestrator.thin.base import find_facts, publish_facts, read_base
    from orchestrator.thin.write import read_base_image

    planned = image.heavy
    if planned is None or planned.reference is None:
        raise ReleaseError(f"the heavy base of {image.reference} cannot be read", code="no-heavy-stage")
    reference, registry = planned.reference, context.connections.registry(planned.repository)
    found = registry.manifest(reference.tag) or _had_back(context, image, planned, reference, make)
    manifest = registry.image(found, image.platform or HEAVY_PLATFORM)
    base = read_base_image(registry, manifest, None)
    _must_be(context, image, planned, reference, base)
    facts = find_facts(registry, reference.tag, manifest.digest)
    if facts is None:
        size = sum(layer.size for layer in registry.layers(manifest))
        context.report(Progress(text=f"reading {reference} once, {size >> 10} KiB, to note what is in it"))
        facts, sources, index = read_base(registry, manifest)
        publish_facts(registry, reference.tag, facts, sources, index)
    return HeavyBase(planned=planned, reference=reference, base=replace(base, facts=facts))


def _had_back(
    context: TaskContext, image: PlannedImage, planned: PlannedHeavy, reference: Reference, make: Callable[[], str]
) -> Manifest:
    """A base whose name stands for nothing: the one that an earlier version was made on, else a new one."""
    registry = context.connections.registry(planned.repository)
    version, before = _recorded(context, planned.key)
    if before and registry.head(before.digest):
        context.report(Progress(text=f"{reference} was gone: it is {before.digest} again, as in {version}"))
        return _named(registry, reference, before.digest)
    context.report(Progress(text=f"{reference} is not there: it is built once, and every release takes it then"))
    digest = make()
    made = registry.await_manifest(digest)
    own = registry.image(made, image.platform or HEAVY_PLATFORM).digest if made else digest
    if before and before.digest != own:
        raise MismatchError(
            f"{reference} is gone, on which {version} was made as {before.digest}; built again it is {own}",
            where=str(reference),
            remedy="have it back from a copy of the registry, or change `image.heavy.epoch`: then it is another base, "
            "which everybody pulls once",
            code="heavy-differs",
            state="nothing is public, and the new one has no name",
        )
    return _named(registry, reference, digest)


def _named(registry: Registry, reference: Reference, digest: str) -> Manifest:
    """Give what was built its name, unless somebody else was faster: then theirs is taken."""
    there = registry.manifest(reference.tag)
    if there is None:
        registry.promote(digest, reference.tag)
        there = registry.await_manifest(digest)
    if there is None:
        raise RemoteError(
            f"{reference} was pushed as {digest}, and the registry does not have it",
            where=str(reference),
            remedy="run the same command again",
            code="push-vanished",
        )
    return there


def _must_be(
    context: TaskContext, image: PlannedImage, planned: PlannedHeavy, reference: Reference, base: BaseImage
) -> None:
    """What stands under the name must say the same key, and be what an earlier version was made on."""
    manifest, wanted = base.manifest, image.platform or HEAVY_PLATFORM
    key = base.labels.get(names.HEAVY_KEY, "")
    if key != planned.key:
        raise MismatchError(
            f"{reference} is {manifest.digest}, and says that it is made from {key or 'nothing'}, not {planned.key}",
            where=str(reference),
            remedy="somebody else pushed it: find out who; with that tag removed, the same command builds it",
            code="heavy-differs",
        )
    if not f"{base.platform}/".startswith(f"{wanted}/"):
        raise MismatchError(
            f"{reference} is for {base.platform}, not {wanted}",
            where=str(reference),
            remedy="with that tag removed, the same command builds it",
            code="heavy-differs",
        )
    version, before = _recorded(context, planned.key)
    if before and before.digest != manifest.digest:
        raise MismatchError(
            f"{reference} is {manifest.digest}, {version} was made on {before.digest}, from the same inputs",
            where=str(reference),
            remedy=f"somebody replaced it; give the name back to {before.digest}, or change `image.heavy.epoch` "
            "to have another one",
            code="heavy-differs",
        )


def _recorded(context: TaskContext, key: str) -> tuple[str, RecordedHeavy | None]:
    """The heavy base of that key in the record of an earlier version, and which: mostly the one before knows it."""
    from orchestrator.session.published import NoRecordError, PublishedReleases, read_record

    plan = context.plan
    if plan.previous:
        with suppress(NoRecordError):
            if found := _of_key(read_record(context.session, plan.previous, plan.remote), key):
                return plan.previous, found
    published = PublishedReleases(context.session, plan.remote)
    for version in published.with_records():
        record = published.record(version)
        if version != plan.version and record and (found := _of_key(record, key)):
            return version, found
    return "", None


def _of_key(record: Record, key: str) -> RecordedHeavy | None:
    bases = (each.heavy for image in record.images for each in (image, *image.platforms))
    return next((each for each in bases if each and each.key == key), None)


def candidate_of(planned: PlannedHeavy) -> Reference:
    """The private name of a heavy base until it is in the registry."""
    return parse_repository(planned.repository).tag(f"candidate-{planned.name}")


def heavy_text(text: bytes, planned: PlannedHeavy) -> bytes:
    """The Dockerfile as the builder of a heavy base gets it."""
    from orchestrator.thin.made import cut_off

    return cut_off(text, planned.stage)


def heavy_labels(planned: PlannedHeavy, title: str) -> dict[str, str]:
    """What a heavy base says of itself."""
    created = datetime.fromtimestamp(planned.epoch, UTC).isoformat().replace("+00:00", "Z")
    return {names.HEAVY_KEY: planned.key, names.CREATED: created, names.TITLE: title}


def push(context: TaskContext, reference: Reference, registry: Registry) -> None:
    """Give a local name of the engine to its registry, again where that broke off.  What the registry has refused is
    not tried again, but for a login that has ended meanwhile.
    """
    from orchestrator.release.steps.builds.pushing import pushed

    stall = context.session.options.push_stall

    def attempt(login: Credentials | None) -> None:
        builder = context.connections.builder()
        builder.publish(reference, credentials=login, report=context.report, stall=stall)

    pushed(context, registry, attempt)
