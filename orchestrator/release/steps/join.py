"""Join the images of several platforms to one index, under the candidate's name.

Each is proved to be there, whole, for its platform and of this commit.  The index has nothing of who joined it and
when: two jobs that do it at once make the same bytes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError
from orchestrator.core.record import RecordedBase, RecordedPlatform
from orchestrator.image.previous import refuse_dropped
from orchestrator.registry.manifest import fits, render_index
from orchestrator.release.steps.build import expected_labels
from orchestrator.release.steps.offer import account, offered
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.upload import Uploaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Joined(Uploaded):
    """The index; `platforms` are its images."""

    platforms: tuple[RecordedPlatform, ...]

    def part(self) -> dict[str, Any]:
        return index_of(self.platforms)


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.images if image.parts)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=image.task("join"),
        title=f"join {' and '.join(part.platform for part in image.parts)} as {image.candidate}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
    )


def _run(context: TaskContext, image: PlannedImage) -> Joined:
    registry = context.connections.registry(image.repository)
    registry.renew_login()
    platforms = tuple(_account(context, part) for part in image.parts)
    index = render_index([(_proved(context, registry, part, each), part.platform)
                          for part, each in zip(image.parts, platforms, strict=True)])  # fmt: skip
    refuse_dropped(registry, image, [part.platform for part in image.parts])
    registry.store(image.candidate.tag, index)
    told = index_of(platforms)
    return Joined(
        image=image.reference,
        digest=index.digest,
        candidate=image.candidate,
        size=told["compressed_size"],
        delta=told["delta"],
        platforms=platforms,
    )


def _account(context: TaskContext, part: PlannedImage) -> RecordedPlatform:
    """What was made of a platform: here, or by another job."""
    if context.find(Uploaded, part):
        return account(context, part)
    return offered(context.connections.registry(part.repository), part, context.plan.head)


def _proved(context: TaskContext, registry: Registry, part: PlannedImage, said: RecordedPlatform) -> Manifest:
    """The image of a platform, with all that it names, as the registry has it.  Raises MismatchError."""
    manifest = registry.await_manifest(said.digest)
    wrong = "is not in the registry" if manifest is None else ""
    if manifest and not wrong:
        wrong = _fault(context, registry, part, manifest)
    if manifest is None or wrong:
        raise MismatchError(
            f"the image for {part.platform}, {said.digest}, {wrong}",
            where=str(part.reference),
            remedy=f"upload it again: release publish {context.plan.version} --platform {part.platform}"
            if context.plan.tag_object
            else f"run the same command again: release cut {context.plan.version}",
            code="part-differs",
        )
    return manifest


def _fault(context: TaskContext, registry: Registry, part: PlannedImage, manifest: Manifest) -> str:
    """What is wrong with an image, as the end of a sentence; "" where it is whole and the right one."""
    if manifest.is_index:
        return "is an index"
    if lacking := registry.lacking(manifest):
        return f"names {lacking[0]}, which the registry does not have"
    config, expected = registry.config(manifest), expected_labels(context, part)
    if not fits(config.platform, part.platform):
        return f"says that it is for {config.platform or 'no platform'}"
    other = next((name for name, value in expected.items() if config.labels.get(name) != value), "")
    return f"has {config.labels.get(other)!r} as label {other}, not {expected[other]!r}" if other else ""


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """Done while the registry has the index, under whatever name."""
    if not isinstance(before, Joined):
        return None
    return before if context.connections.registry(image.repository).head(before.digest) else None


def index_of(parts: Sequence[RecordedPlatform]) -> dict[str, Any]:
    """The fields of `RecordedImage` that are true of all images of an index together."""
    bases, contexts = {each.base for each in parts}, {each.context_sha256 for each in parts}
    unknown = next((each.delta for each in parts if each.delta.unknown), None)
    return {
        "image_id": "",
        "engine": " ".join(dict.fromkeys(each.engine for each in parts)),
        "builder": " ".join(dict.fromkeys(each.builder for each in parts if each.builder)),
        "size": sum(each.size for each in parts),
        "compressed_size": sum(each.compressed_size for each in parts),
        "delta": unknown or max((each.delta for each in parts), key=lambda delta: delta.size),
        "layers": (),
        "base": bases.pop() if len(bases) == 1 else RecordedBase(name="", id=""),
        "heavy": None,
        "cache": None,
        "lock": None,
        "patches": tuple(dict.fromkeys(patch for each in parts for patch in each.patches)),
        "context_sha256": contexts.pop() if len(contexts) == 1 else "",
        "labels": dict(set.intersection(*(set(each.labels.items()) for each in parts))),
        "checks": tuple(
            replace(check, name=f"{each.platform} {check.name}") for each in parts for check in each.checks
        ),
        "platforms": tuple(parts),
    }
