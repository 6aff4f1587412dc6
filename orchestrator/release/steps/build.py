"""Build each image from the tree of the tag: never from the work tree, and never published here."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.core import labels as names
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ProblemsError, RemoteError
from orchestrator.core.plan import HEAVY_PLATFORM, NO_ENGINE, UPLOAD
from orchestrator.core.record import RecordedBase, RecordedCache, RecordedHeavy, RecordedLock, RecordedPatch
from orchestrator.core.remote_url import source_url
from orchestrator.image.builders import BUILDX, CLASSIC, of_base
from orchestrator.image.inputs import lock_digest, patches_of
from orchestrator.image.patches import label, recorded
from orchestrator.release.steps.builds.base import base, logins_for
from orchestrator.release.steps.builds.cache import left, with_cache
from orchestrator.release.steps.builds.direct import build_pushed, made, options_of
from orchestrator.release.steps.builds.dockerfile import dockerfile_text, examined, refuse_missing
from orchestrator.release.steps.heavy import candidate_of, heavy_base, heavy_labels, heavy_text, push
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.core.plan import Plan, PlannedHeavy, PlannedImage
    from orchestrator.engines import BuildRequest
    from orchestrator.release.steps.heavy import HeavyBase
    from orchestrator.thin.made import ThinRelease
    from orchestrator.thin.write import ThinImage


@dataclass(frozen=True, kw_only=True)
class Built(Outcome):
    """Its bytes are in the engine's store (`image_id`), or in the registry by `digest`, which nothing names yet."""

    engine: str = "classic"
    builder: str = ""  # of BuildKit's, which one
    image_id: str  # "" where no engine has it
    digest: str = ""
    size: int  # bytes, unpacked; 0 where no engine has it
    layers: tuple[str, ...]  # diff_ids
    base: str
    base_id: str
    context_sha256: str
    labels: tuple[tuple[str, str], ...]
    log: str
    lock: RecordedLock | None
    patches: tuple[RecordedPatch, ...]
    heavy: RecordedHeavy | None = None
    cache: RecordedCache | None = None

    def part(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "builder": self.builder,
            "image_id": self.image_id,
            "size": self.size,
            "layers": self.layers,
            "base": RecordedBase(name=self.base, id=self.base_id),
            "heavy": self.heavy,
            "cache": self.cache,
            "lock": self.lock,
            "patches": self.patches,
            "context_sha256": self.context_sha256,
            "labels": dict(self.labels),
        }


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.builds)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=image.task("build"),
        title=f"build {image.reference}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
        # The classic builder's engine has one image of a name: the base of one platform would be taken for another.
        group="" if image.part_of and image.engine == CLASSIC else "build",
    )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Everything that a build of an image of the plan is made from."""

    request: BuildRequest
    base: str
    base_id: str
    base_args: tuple[str, ...]  # the build arguments that say which base it is
    context_sha256: str
    lock: RecordedLock | None
    patches: tuple[RecordedPatch, ...]


@contextmanager
def prepared(
    context: TaskContext, image: PlannedImage, log: Path, heavy: PlannedHeavy | None = None, on: HeavyBase | None = None
) -> Iterator[Prepared]:
    """The build context is open until the end of the block.  The base is pulled where the engine lacks it.

    With `heavy` it is the build of that stage, at its own time, and of no version; `on` a base it is not built again.
    """
    from orchestrator.dockerfile.stages import line_of, without
    from orchestrator.engines import BuildRequest, dialect_of
    from orchestrator.git.content import Pointed
    from orchestrator.image.context import tree_context

    seconds = heavy.epoch if heavy else int(context.plan.when.split()[0])
    pointed = Pointed(context.repository)
    with context.repository.scratch(*pointed.stores) as scratch, tempfile.TemporaryFile() as tar:
        text = dockerfile_text(scratch, context.plan.tree, image.dockerfile)
        text = heavy_text(text, heavy) if heavy else on.instead(text) if on else text
        facts, given = examined(context, image, text)
        if facts.problems:  # it may be planned where another builder was
            raise ProblemsError(facts.problems)
        logins = logins_for(context, image, facts.pulled)
        found = base(context, image, facts.final_base, logins, is_heavy=on is not None)
        files = CommittedFiles(scratch, context.plan.tree)
        text = without(text, dialect_of(image.engine).dropped)
        sent = tree_context(scratch, context.plan.tree, image, seconds, tar, text, pointed.lfs)
        refuse_missing(sent, image, facts)
        tar.seek(0)
        request = BuildRequest(
            context=tar,
            dockerfile=sent.dockerfile_in_context,
            tag=candidate_of(heavy) if heavy else image.candidate,
            build_args={**given, **dict(image.build_args), **given_args(context.plan, heavy)},
            labels=(heavy_labels(heavy, _title(image)) if heavy else expected_labels(context, image))
            | dict(found.labels),
            platform=image.platform or (HEAVY_PLATFORM if heavy else ""),
            network=image.network,
            logins=logins,
            log=log,
            locate=lambda step: f"{image.dockerfile}:{line}" if (line := line_of(text, step)) else "",
            **options_of(context, image, found),
        )
        yield Prepared(
            request=request,
            base=found.name,
            base_id=found.id,
            base_args=facts.base_args,
            context_sha256=sent.sha256,
            lock=RecordedLock(path=image.lock, sha256=lock_digest(files.lock(image.lock))) if image.lock else None,
            patches=tuple(recorded(entry) for entry in patches_of(files, image)),
        )


def _run(context: TaskContext, image: PlannedImage) -> Built:
    if image.heavy and image.engine == NO_ENGINE:
        return _written(context, image, image.heavy)
    if image.heavy and image.heavy.is_thin and image.engine == BUILDX:
        return _linked(context, image, image.heavy)
    log = context.state.logs / image.log
    with prepared(context, image, log) as ready:
        request = with_cache(context, image, ready.request)
        told = made(context, image, request)
    return Built(
        image=image.reference,
        base=ready.base,
        base_id=ready.base_id,
        context_sha256=ready.context_sha256,
        labels=tuple(sorted(ready.request.labels.items())),
        log=str(log),
        lock=ready.lock,
        patches=ready.patches,
        cache=left(context, image, request),
        **told,
    )


def _written(context: TaskContext, image: PlannedImage, heavy: PlannedHeavy) -> Built:
    """A thin image, written without a builder; only a heavy base that is not there yet needs one."""
    from orchestrator.image.budgets import measure
    from orchestrator.thin.made import content_sha256
    from orchestrator.thin.write import push_image

    base = heavy_base(context, image, lambda: _make_heavy(context, image, heavy))
    thin = thin_of(context, image, base)
    registry, files = (
        context.connections.registry(image.repository),
        CommittedFiles(context.session.scratch, context.plan.tree),
    )
    measure(registry, replace(image, platform=image.platform or HEAVY_PLATFORM), thin.manifest, thin.made)
    push_image(registry, base.base, thin)
    return Built(
        image=image.reference,
        engine=NO_ENGINE,
        image_id="",
        digest=thin.manifest.digest,
        size=0,
        layers=thin.diff_ids,
        base=str(base.reference),
        base_id=base.digest,
        context_sha256=content_sha256(thin),
        labels=tuple(sorted(thin_labels(context, image, base).items())),
        log="",
        lock=RecordedLock(path=image.lock, sha256=lock_digest(files.lock(image.lock))) if image.lock else None,
        patches=tuple(recorded(entry) for entry in patches_of(files, image)),
        heavy=base.recorded,
    )


def _linked(context: TaskContext, image: PlannedImage, heavy: PlannedHeavy) -> Built:
    """A thin image by BuildKit, which needs no byte of the heavy base; `delta-budget` is looked at before any name."""
    from orchestrator.image.budgets import measure

    base, log = heavy_base(context, image, lambda: _make_heavy(context, image, heavy)), context.state.logs / image.log
    with linked(context, image, base, log) as ready:
        request = with_cache(context, image, ready.request)
        told = made(context, image, request)
    registry = context.connections.registry(image.repository)
    if manifest := registry.await_manifest(told["digest"]):
        measure(registry, image, registry.image(manifest, image.platform))
    return Built(
        image=image.reference,
        base=str(base.reference),
        base_id=base.digest,
        context_sha256=ready.context_sha256,
        labels=tuple(sorted(request.labels.items())),
        log=str(log),
        lock=ready.lock,
        patches=ready.patches,
        heavy=base.recorded,
        cache=left(context, image, request),
        **told,
    )


@contextmanager
def linked(
    context: TaskContext, image: PlannedImage, base: HeavyBase, log: Path, *, afresh: bool = False
) -> Iterator[Prepared]:
    """As `prepared`, of thin layers on a heavy base that is there; `afresh` as in `thin_of`."""
    from orchestrator.release.steps.builds.thin import thin_contexts
    from orchestrator.thin.made import prepared_trees

    own, labels = context.connections.registry(base.planned.repository), thin_labels(context, image, base)
    with context.repository.scratch() as scratch:
        trees = prepared_trees(_release(context, image, base, afresh=afresh), base.base, scratch, own)
    with prepared(context, image, log, on=base) as ready, thin_contexts(trees) as contexts:
        contexts = {**ready.request.contexts, **contexts}
        yield replace(ready, request=replace(ready.request, contexts=contexts, labels=labels))


def thin_of(context: TaskContext, image: PlannedImage, base: HeavyBase, *, afresh: bool = False) -> ThinImage:
    """The thin image of a plan, in memory; `afresh`: no layer of the version before is taken over."""
    from orchestrator.git.content import Pointed
    from orchestrator.release.steps.builds.thin import image_before
    from orchestrator.thin.kept import kept_layers
    from orchestrator.thin.made import thin_image

    registry, pointed = context.connections.registry(image.repository), Pointed(context.repository)
    release = _release(context, image, base, afresh=afresh)
    if not afresh and (before := image_before(registry, image)):
        release = replace(release, kept=kept_layers(registry, before))
    with context.repository.scratch(*pointed.stores) as scratch:
        return thin_image(release, base.base, scratch, pointed, context.connections.registry(base.planned.repository))


def _release(context: TaskContext, image: PlannedImage, base: HeavyBase, *, afresh: bool) -> ThinRelease:
    from orchestrator.release.steps.builds.thin import patched_before
    from orchestrator.thin.made import ThinRelease

    labels = thin_labels(context, image, base)
    return ThinRelease(
        image=image,
        heavy=base.planned,
        tree=context.plan.tree,
        given=given_args(context.plan),
        labels=labels,
        created=labels[names.CREATED],
        mtime=int(context.plan.when.split()[0]),
        before=(lambda _: None) if afresh else (lambda patching: patched_before(context, image, base, patching)),
    )


def thin_labels(context: TaskContext, image: PlannedImage, base: HeavyBase) -> dict[str, str]:
    """As `expected_labels`, with the heavy base as the base."""
    own = {names.BASE_NAME: str(base.reference), names.BASE_DIGEST: base.digest}
    return expected_labels(context, image) | own


def _make_heavy(context: TaskContext, image: PlannedImage, heavy: PlannedHeavy) -> str:
    """Build the stage and push it under a private name; its digest there."""
    registry, candidate = context.connections.registry(heavy.repository), candidate_of(heavy)
    engine = of_base(image, context.connections) if image.engine == NO_ENGINE else image.engine
    image = replace(image, engine=engine, options=replace(image.options, target=""))  # its stage is the last one now
    with prepared(context, image, context.state.logs / f"heavy-{image.log}", heavy) as ready:
        if image.engine == BUILDX:
            request = replace(ready.request, epoch=heavy.epoch)
            return build_pushed(context, image, request).digest
        built = context.connections.builder().build(ready.request, context.report)
    before = registry.head(candidate.tag)
    push(context, candidate, registry)
    manifest = registry.manifest(candidate.tag)
    if manifest is None or (before and manifest.digest == before.digest):
        manifest = registry.await_manifest(candidate.tag, before=before.digest if before else "")
    own = registry.find_image(manifest) if manifest else None
    if manifest is None or own is None or built.id not in (manifest.digest, own.digest, registry.details(own).config):
        raise RemoteError(
            f"{candidate} was pushed, and the registry has {manifest.digest if manifest else 'nothing'} there",
            where=str(candidate),
            remedy="run the same command again",
            code="push-vanished",
        )
    return manifest.digest


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """Done while the engine has that very image under the candidate's name, or the registry has what was built."""
    if not isinstance(before, Built):
        return None
    if context.finished(image.task(UPLOAD)):
        return before
    if before.digest:
        return before if context.connections.registry(image.repository).head(before.digest) else None
    found = context.connections.builder().inspect(str(image.candidate))
    return before if found and found.id == before.image_id else None


def given_args(plan: Plan, heavy: PlannedHeavy | None = None) -> dict[str, str]:
    """Build arguments that every build gets; a Dockerfile that declares one with ARG can use it."""
    if heavy:
        return {"SOURCE_DATE_EPOCH": str(heavy.epoch)}
    return {
        "RELEASE_VERSION": plan.version,
        "RELEASE_REVISION": plan.head,
        "SOURCE_DATE_EPOCH": plan.when.split()[0],
    }


def expected_labels(context: TaskContext, image: PlannedImage) -> dict[str, str]:
    """The OCI labels that say what the image is: annotations spec, and our own."""
    plan = context.plan
    created = datetime.fromtimestamp(int(plan.when.split()[0]), UTC).isoformat().replace("+00:00", "Z")
    labels = {
        names.VERSION: plan.version, names.REVISION: plan.head, names.CREATED: created, names.REF_NAME: plan.version
    }  # fmt: skip
    source = image.repository_url or source_url(context.repository.remote_url(plan.remote))
    if source:  # a path on this machine says nothing elsewhere
        labels[names.SOURCE] = source
    labels = dict(image.options.labels) | labels
    labels[names.TITLE] = _title(image)
    if image.variant:
        labels[names.VARIANT] = image.variant
    if image.patches:
        with context.repository.scratch() as scratch:
            labels[names.PATCHES] = label(patches_of(CommittedFiles(scratch, plan.tree), image))
    return labels


def _title(image: PlannedImage) -> str:
    return image.repository.rpartition("/")[2]
