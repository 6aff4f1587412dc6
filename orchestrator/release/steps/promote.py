"""Give the uploaded digest its public names: the version (never overwritten), then floating tags (forward only)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.core.labels import VERSION
from orchestrator.core.record import RecordedFloating
from orchestrator.core.versions import moves_forward, parse_tag
from orchestrator.registry.responses import RegistryRefusedError
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.upload import Uploaded
from orchestrator.session import yanks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.registry.client import Registry
    from orchestrator.session.yanks import Yank


@dataclass(frozen=True, kw_only=True)
class Promoted(Outcome):
    digest: str
    already: bool = False  # the tag was there with this digest

    def part(self) -> dict[str, Any]:
        return {"digest": self.digest}


@dataclass(frozen=True, kw_only=True)
class Floated(Outcome):
    moved: tuple[str, ...]
    left: tuple[str, ...]  # a line each: which tag was left where it is, and why

    def part(self) -> dict[str, Any]:
        return {"floating": RecordedFloating(moved=self.moved, left=self.left)}


def tasks(plan: Plan) -> tuple[Task, ...]:
    versions = tuple(_promote(image) for image in plan.images)
    return versions + tuple(_float(image) for image in plan.images if image.floating)


def _promote(image: PlannedImage) -> Task:
    return Task(
        key=image.task("promote"),
        title=f"promote to {image.reference}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
    )


def _run(context: TaskContext, image: PlannedImage) -> Promoted:
    uploaded = context.outcome(Uploaded, image)
    registry = context.connections.registry(image.repository)
    registry.renew_login()
    done = [registry.promote(uploaded.digest, name.tag, settled=False) for name in image.names]
    context.connections.unsettled += [(registry, each) for each in done if each.changed]  # before the record is public
    return Promoted(image=image.reference, digest=uploaded.digest, already=not any(each.changed for each in done))


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """Done when the registry has the version, under each of its names, with the digest that was uploaded."""
    uploaded = context.outcome(Uploaded, image)
    registry = context.connections.registry(image.repository)
    for name in image.names:
        found = registry.head(name.tag)
        if found is None and before is None:
            return None
        if found is None or found.digest != uploaded.digest:
            raise MismatchError(
                f"{name} is {found.digest if found else 'not there'}, this release made {uploaded.digest}",
                remedy="somebody changed the registry; a version tag is never overwritten: release the next version",
                code="image-differs",
            )
    return before or Promoted(image=image.reference, digest=uploaded.digest)


def _float(image: PlannedImage) -> Task:
    return Task(
        key=image.task("float"),
        title="move floating tags: " + ", ".join(image.floating),
        run=lambda context: _move_all(context, image),
        probe=lambda _context, _before: None,  # moving again is a no-op
        once=True,
    )


def _move_all(context: TaskContext, image: PlannedImage) -> Floated:
    registry, digest = context.connections.registry(image.repository), context.outcome(Promoted, image).digest
    taken_back = yanks.ask(context.repository, context.session.scratch, context.plan.remote)
    moved, left = [], []
    for tag in image.floating:
        reason = _why_not(registry, tag, digest, context.plan.version, taken_back)
        if reason:
            left.append(f"{tag} was left where it is: {reason}")
        else:
            try:
                registry.move(digest, tag)
            except RegistryRefusedError as error:  # immutable, or protected: the version is public without it
                left.append(f"{tag} was left where it is: {error.message}")
                continue
            moved.append(tag)
    return Floated(image=image.reference, moved=tuple(moved), left=tuple(left))


def _why_not(registry: Registry, tag: str, digest: str, version: str, taken_back: Mapping[str, Yank]) -> str:
    """Why a floating tag must stay: it is ahead already, or nobody can tell what it is.

    Never to a version that was yanked; and one that stands at a yanked image is ahead of nothing.
    """
    parsed = parse_tag(version)
    if parsed and parsed.is_candidate:
        return f"{version} is a pre-release"
    if version in taken_back:
        return f"{version} was {taken_back[version].said}"
    manifest = registry.manifest(tag)
    if manifest is None or manifest.digest == digest:
        return ""
    if any(manifest.digest in yank.digests for yank in taken_back.values()):
        return ""
    current = registry.labels(manifest).get(VERSION, "")
    if not parse_tag(current):
        return f"the image there ({manifest.digest[:19]}) does not say its version; move it by hand once"
    return "" if moves_forward(current, version) else f"it is at {current}"
