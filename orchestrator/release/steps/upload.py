"""Push the heavy bytes under the candidate's name, and believe only the digest that the registry gives back.

It goes on beside the smoke test: the name is private, and an image that does not pass never gets another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, RefusedError, RemoteError
from orchestrator.core.plan import SMOKE, UPLOAD
from orchestrator.core.record import Delta, RecordedBase
from orchestrator.core.reference import Reference
from orchestrator.core.results import CheckResult, Progress
from orchestrator.engines import PushRefusedError
from orchestrator.registry.responses import RegistryRefusedError
from orchestrator.release.steps.build import Built, expected_labels
from orchestrator.release.steps.builds.proving import by_digest
from orchestrator.release.steps.heavy import push
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.smoke import prove

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A candidate that stood in the registry and could not be replaced: proved in place of the image built."""

    image_id: str
    size: int  # bytes, unpacked
    layers: tuple[str, ...]  # diff_ids
    base: str  # its name: which image it was then is not known
    results: tuple[CheckResult, ...]

    def part(self) -> dict[str, Any]:
        return {
            "image_id": self.image_id,
            "size": self.size,
            "layers": self.layers,
            "base": RecordedBase(name=self.base, id=""),
            "checks": self.results,
        }


@dataclass(frozen=True, kw_only=True)
class Uploaded(Outcome):
    digest: str
    candidate: Reference
    size: int  # bytes in the registry, compressed
    delta: Delta
    taken: Taken | None = None

    def part(self) -> dict[str, Any]:
        found: dict[str, Any] = {"compressed_size": self.size, "delta": self.delta}
        return found | (self.taken.part() if self.taken else {})


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.builds)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=image.task(UPLOAD),
        title=f"upload {image.candidate}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
        group="prove",
        background=True,
        after=image.task(SMOKE),
    )


def _run(context: TaskContext, image: PlannedImage) -> Uploaded:
    registry, built = context.connections.registry(image.repository), context.outcome(Built, image)
    registry.renew_login()
    try:
        if built.digest:  # its layers are there: no byte of them moves
            before = registry.move(built.digest, image.candidate.tag).previous
            if manifest := registry.manifest(built.digest):  # which the name stands for, as the registry has just said
                return _uploaded(registry, image, manifest)
        else:
            there = registry.head(image.candidate.tag)
            before = there.digest if there else ""
            push(context, image.candidate, registry)
    except (PushRefusedError, RegistryRefusedError) as refusal:
        return _taken_over(context, image, refusal)
    manifest = _read_back(registry, image, built, before)
    return _uploaded(registry, image, manifest)


def _read_back(registry: Registry, image: PlannedImage, built: Built, before: str) -> Manifest:
    """What the registry has under the candidate's name, which may be shown late; it must be what was built."""
    manifest = registry.manifest(image.candidate.tag)
    if not (manifest and _is_built(registry, manifest, built)):
        manifest = registry.await_manifest(image.candidate.tag, before=before)
    if manifest is None or (manifest.digest == before and not _is_built(registry, manifest, built)):
        there = f"still has {before}" if manifest else "does not have it"
        raise RemoteError(
            f"{image.candidate} was pushed, says who pushed it; the registry {there}",
            remedy="run the same command again; if it stays so, look at the registry's log",
            code="push-vanished",
        )
    if not _is_built(registry, manifest, built):
        raise MismatchError(
            f"{image.candidate} in the registry is {manifest.digest}, "
            f"the image built is {built.digest or built.image_id}",
            remedy="somebody else pushed this private name at the same moment: run the same command again",
            code="candidate-differs",
        )
    return manifest


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """Done when the registry has what was uploaded, under whatever name, or the candidate is what was built."""
    registry, built = context.connections.registry(image.repository), context.outcome(Built, image)
    if isinstance(before, Uploaded) and registry.head(before.digest):
        return before
    manifest = registry.manifest(image.candidate.tag)
    if manifest is None or not _is_built(registry, manifest, built):
        return None  # an older candidate of that name may be pushed over: it is private
    return _uploaded(registry, image, manifest)


def _is_built(registry: Registry, manifest: Manifest, built: Built) -> bool:
    """An engine's image id is the digest of its config (overlay2) or of its manifest (containerd's store)."""
    if built.digest:
        return manifest.digest == built.digest
    own = registry.find_image(manifest)
    return own is not None and built.image_id in (manifest.digest, own.digest, registry.details(own).config)


def _uploaded(registry: Registry, image: PlannedImage, manifest: Manifest, taken: Taken | None = None) -> Uploaded:
    """The account of what the registry has.  Raises UnprovedError where it costs more than its budget."""
    from orchestrator.image.budgets import measure

    own = registry.image(manifest, image.platform)
    return Uploaded(
        image=image.reference,
        digest=manifest.digest,
        candidate=image.candidate,
        size=sum(layer.size for layer in registry.layers(own)),
        delta=measure(registry, image, own),
        taken=taken,
    )


# ------------------------------------------------------------------ a candidate that cannot be replaced


def _taken_over(context: TaskContext, image: PlannedImage, refusal: RemoteError) -> Uploaded:
    """Where tags are immutable, the candidate of an earlier run stands in the way: it is taken, and proved anew.

    It must say of itself all that this one would.  Raises RefusedError where it does not, else the `refusal`.
    """
    registry, built = context.connections.registry(image.repository), context.outcome(Built, image)
    manifest = registry.manifest(image.candidate.tag)
    if manifest is None:
        raise refusal
    if _is_built(registry, manifest, built):
        return _uploaded(registry, image, manifest)
    labels, expected = registry.labels(manifest), expected_labels(context, image)
    other = next((name for name, value in expected.items() if labels.get(name) != value), "")
    if other:
        raise RefusedError(
            f"{image.candidate} is there as another image (label {other} is {labels.get(other)!r})",
            where=str(image.candidate),
            remedy="the registry does not let it be replaced: remove that tag there, then run the same command again",
            code="candidate-taken",
            detail=refusal.message,
        )
    text = f"{image.candidate} stands in the registry, says the same commit and may not be replaced: it is taken"
    context.report(Progress(text=text))
    found = by_digest(context, image, manifest.digest)
    layers, results = found.info.layers if found.info else (), prove(context, image, found)
    taken = Taken(image_id=found.id, size=found.size, layers=layers, base=built.base, results=results)
    return _uploaded(registry, image, manifest, taken)
