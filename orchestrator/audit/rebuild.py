"""`release rebuild`: build a released tag again, and compare with what the registry holds, layer by layer.

Nothing is published, and nothing stays in the engine.  Layers are read as streams; those of the registry go through a
nameless temporary file.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from orchestrator.audit.layer_compare import Agreement, ImageComparison, LayerPair, facing, judge_layer, settings
from orchestrator.audit.layers import Contents, LayerError, differences, read_layer
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, ProblemsError, RemoteError, UsageError
from orchestrator.core.labels import BASE_DIGEST
from orchestrator.core.plan import NO_ENGINE
from orchestrator.core.reference import parse_reference
from orchestrator.image.builders import AUTO, BUILDX, CLASSIC, described
from orchestrator.plan.images import chosen
from orchestrator.registry.manifest import parse_config
from orchestrator.release.publish import plan_from_tag
from orchestrator.release.steps.build import linked, prepared, thin_of
from orchestrator.release.steps.builds.base import pull_login
from orchestrator.release.steps.builds.direct import on_base_of_then, trials
from orchestrator.release.steps.heavy import HeavyBase
from orchestrator.release.steps.runner import TaskContext
from orchestrator.session.journal import Lock
from orchestrator.session.published import NoRecordError, read_record
from orchestrator.session.state import ReleaseState, releases_directory
from orchestrator.thin.base import find_facts
from orchestrator.thin.write import read_base_image

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.core.record import Record, RecordedImage, RecordedPlatform
    from orchestrator.core.reference import Reference
    from orchestrator.engines import Builder, BuildRequest, ImageInfo, Trials
    from orchestrator.registry.client import Registry
    from orchestrator.registry.manifest import ImageConfig, Manifest
    from orchestrator.release.steps.build import Prepared
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class RebuildRequest:
    """`variant` "" is all of them; `deep` reads also the layers that claim to be identical."""

    variant: str = ""
    use_cache: bool = False
    deep: bool = False


@dataclass(frozen=True, kw_only=True)
class _Published:
    """An image as the registry has it: `digest` is what its name stands for, `manifest` the image's own, `config`
    what that names, `whole` its entry in the record and `record` that of its platform.
    """

    image: PlannedImage
    registry: Registry
    digest: str
    manifest: Manifest
    config: ImageConfig
    whole: RecordedImage | None
    record: RecordedImage | RecordedPlatform | None

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return self.config.diff_ids


def rebuild(session: Session, version: str, wishes: RebuildRequest) -> tuple[ImageComparison, ...]:
    """Build each image of a released version again and compare.

    Raises MismatchError when the tag is not what release.yaml at the tag declares, or an image is not in the registry.
    """
    state = ReleaseState(session.repository, version)
    plan = plan_from_tag(session, version)
    if origin := plan.promoted_from:
        raise UsageError(
            f"{version} was not built: it has the bytes of {origin.version}",
            remedy=f"release rebuild {origin.version}",
            code="promoted",
        )
    if plan.problems:
        raise ProblemsError(plan.problems)
    images = chosen(plan, wishes.variant)
    record = _record(session, plan)
    # Everything that is missing is found before an hour of building.
    published = [_published(session, image, record) for image in images]
    context = TaskContext(
        plan=plan, session=session, state=state, report=session.terminal.progress, finished=lambda _: False
    )
    logs = releases_directory(session.repository) / "logs" / "rebuild"
    with Lock(logs / "lock", session.holder(), "rebuild"):
        published = [_by_its_engine(session, each) for each in published]
        building = any(_engine(each) not in (NO_ENGINE, BUILDX) for each in published)
        if building and (left := context.connections.builder().clear_trials(logs)):
            session.terminal.note(f"removed {left} images that a killed rebuild had left")
        return tuple(_compared(session, context, each, wishes, logs / version) for each in published)


def _record(session: Session, plan: Plan) -> Record | None:
    """The record, None where there is none: then a cut is not finished, or git alone made the release."""
    try:
        return read_record(session, plan.version, plan.remote)
    except NoRecordError:
        session.terminal.note(f"there is no record of {plan.version}: its base and digest cannot be compared")
        return None


def _published(session: Session, image: PlannedImage, record: Record | None) -> _Published:
    registry = session.connections.registry(image.repository)
    name = _name(image)
    named = registry.manifest(name.tag)
    if named is None:
        raise MismatchError(
            f"{name} is not in the registry",
            where=str(name),
            remedy="see how far the release came: release status",
            code="image-missing",
        )
    manifest = registry.image(named, image.platform)
    recorded = {each.reference: each for each in record.images} if record else {}
    whole = recorded.get(name)
    found = _Published(
        image=image,
        registry=registry,
        digest=named.digest,
        manifest=manifest,
        config=registry.config(manifest),
        whole=whole,
        record=whole.of_platform(image.platform) if whole else None,
    )
    if len(found.diff_ids) != len(registry.layers(manifest)):
        raise MismatchError(
            f"its config names {len(found.diff_ids)} layers, its manifest {len(registry.layers(manifest))}",
            where=str(name),
            remedy="no engine can use this image: it is not what a builder wrote",
            code="image-broken",
        )
    return found


def _name(image: PlannedImage) -> Reference:
    """What people pull it by."""
    return image.reference.repository.tag(image.part_of) if image.part_of else image.reference


def _compared(
    session: Session, context: TaskContext, public: _Published, wishes: RebuildRequest, logs: Path
) -> ImageComparison:
    image, log = public.image, logs / public.image.log
    if _engine(public) == NO_ENGINE:
        return _written(session, context, public)
    engine = trials(context, image, _engine(public))
    session.terminal.note(f"building {image.short} again{'' if wishes.use_cache else ', without a cache'}")
    on_heavy = _engine(public) == BUILDX and public.record and public.record.heavy
    heavy = _heavy_base(context, public) if on_heavy else None
    with linked(context, image, heavy, log, afresh=True) if heavy else prepared(context, image, log) as ready:
        pinned, note = ("", "") if _engine(public) == BUILDX else _base(context, public, ready)
        request = _request(ready, public, pinned, wishes)
        if _engine(public) == BUILDX and not heavy:
            request, note = on_base_of_then(request, ready.base, ready.base_id, _base_then(public))
        with engine.trial(request, context.report) as built:
            pairs = _layers(lambda wanted: _ours(engine, built, wanted), built.layers, public, deep=wishes.deep)
            ours = [step.created_by for step in engine.history(built.id)]
            histories = public.config.history, ours
            return ImageComparison(
                reference=str(_name(image)) + (f" ({image.platform})" if image.part_of else ""),
                variant=image.variant,
                digest=public.digest,
                base=ready.base,
                base_note=note,
                layers=pairs,
                settings=settings(public.config.settings, built.config, histories),
                mismatches=_mismatches(public),
                log=str(log),
            )


def _engine(public: _Published) -> str:
    """Who made it, as the record says, or the plan where there is none."""
    return public.record.engine if public.record else public.image.engine


def _by_its_engine(session: Session, public: _Published) -> _Published:
    """With the image as its engine of then would build it; where no record says which, as one would be chosen now."""
    engine = _engine(public)
    if engine == AUTO:
        engine = BUILDX if (why := described(AUTO, session.connections)).startswith("docker buildx") else CLASSIC
        session.terminal.note(f"built again by {why}")
    return replace(public, image=replace(public.image, engine=engine))


def _base_then(public: _Published) -> str:
    return public.record.base.id if public.record else ""


def _written(session: Session, context: TaskContext, public: _Published) -> ImageComparison:
    """A thin image is written again, here and in memory, on the heavy base that the record names."""
    image = public.image
    session.terminal.note(f"writing {image.reference} again, on its heavy base")
    base = _heavy_base(context, public)
    thin = thin_of(context, image, base, afresh=True)
    config = parse_config(thin.config)
    made = {each.diff_id: each for each in (read_layer(io.BytesIO(content)) for content in thin.contents)}
    return ImageComparison(
        reference=str(image.reference),
        variant=image.variant,
        digest=public.digest,
        base=str(base.reference),
        base_note="",
        layers=_layers(lambda _: made, thin.diff_ids, public, deep=False),
        settings=settings(public.config.settings, config.settings, (public.config.history, config.history)),
        mismatches=_mismatches(public),
        log="",
    )


def _heavy_base(context: TaskContext, public: _Published) -> HeavyBase:
    """The heavy base of then.  Raises MismatchError where the registry does not have it any more."""
    planned, recorded = public.image.heavy, public.record.heavy if public.record else None
    reference = recorded.reference if recorded else planned.reference if planned else None
    if planned is None or reference is None:
        raise UsageError(f"{public.image.reference} has no heavy base that can be read", code="no-heavy-stage")
    registry = context.connections.registry(str(reference.repository))
    named = registry.manifest(recorded.digest if recorded else reference.tag)
    if named is None:
        raise MismatchError(
            f"{reference} is not in the registry",
            where=str(reference),
            remedy="its layers are those of the image: look there; the base cannot be read without its manifest",
            code="image-missing",
        )
    manifest = registry.image(named, public.image.platform)
    facts = find_facts(registry, reference.tag, manifest.digest)
    return HeavyBase(planned=planned, reference=reference, base=read_base_image(registry, manifest, facts))


def _request(ready: Prepared, public: _Published, pinned: str, wishes: RebuildRequest) -> BuildRequest:
    """The build of then: its labels, its base, a name that nobody else uses."""
    name = public.image.reference.repository.tag(f"rebuild-{uuid4().hex[:12]}")
    labels = (public.record.labels if public.record else {}) or ready.request.labels
    arguments = {**ready.request.build_args, **(dict.fromkeys(ready.base_args, pinned) if pinned else {})}
    return replace(
        ready.request,
        tag=name,
        labels=labels,
        build_args=arguments,
        no_cache=not wishes.use_cache,
    )


def _base(context: TaskContext, public: _Published, ready: Prepared) -> tuple[str, str]:
    """What to build on in place of the base's name, "" for what the name stands for now; and a line when it moved."""
    engine, recorded = context.connections.builder(), _base_then(public)
    if public.record is None or not recorded or recorded == ready.base_id:
        return "", ""
    moved = f"{ready.base} moved: it was {recorded[:19]} at the release and is {ready.base_id[:19]} now"
    if not ready.base_args:
        return "", f"{moved}; built on today's, because no build argument says which base to take"
    label = public.record.labels.get(BASE_DIGEST, "")
    by_digest = f"{parse_reference(ready.base).repository!s}@{label}" if label else ""
    for candidate in filter(None, (recorded, by_digest)):
        try:
            found = engine.inspect(candidate) or (
                _pulled(engine, context, public, candidate) if candidate == by_digest else None
            )
        except RemoteError:  # it is nowhere any more, which the line says
            continue
        if found and found.id == recorded:
            return candidate, f"{moved}; built on the one of then"
    return "", f"{moved}; built on today's, because the one of then is not to be had"


def _pulled(engine: Builder, context: TaskContext, public: _Published, name: str) -> ImageInfo:
    login = pull_login(context, public.image, parse_reference(name).repository.host)
    return engine.resolve(name, platform=public.image.platform, credentials=login, report=context.report)


def _mismatches(public: _Published) -> tuple[str, ...]:
    found = []
    recorded, layers = (public.whole.digest if public.whole else "", public.record.layers if public.record else ())
    if recorded and recorded != public.digest:
        found.append(f"the registry has {public.digest} under this name, the record says {recorded}")
    if public.image.part_of and public.record and public.record.digest != public.manifest.digest:
        found.append(f"the index lists {public.manifest.digest}, the record says {public.record.digest}")
    if layers and layers != public.diff_ids:
        wrong = [
            str(n) for n, (ours, theirs) in enumerate(zip(layers, public.diff_ids, strict=False), 1) if ours != theirs
        ]
        which = f"layer {', '.join(wrong)}" if wrong else f"{len(public.diff_ids)} layers"
        found.append(f"the record says other layers than the registry has: {which}")
    return tuple(found)


# ------------------------------------------------------------------ layers


def _layers(
    read: Callable[[Collection[str]], Mapping[str, Contents]],
    built: Sequence[str],
    public: _Published,
    *,
    deep: bool,
) -> tuple[LayerPair, ...]:
    """`read` gives the wanted layers of what was built, of which `built` are the diff_ids."""
    theirs = public.diff_ids
    pairs = facing(theirs, built)
    wanted = {built[j] for i, j in pairs if j is not None and (i is None or theirs[i] != built[j] or deep)}
    ours = read(wanted)
    instructions = public.config.made_layers
    return tuple(
        _pair(public, i, ours.get(built[j]) if j is not None else None, built[j] if j is not None else "",
              instructions, deep=deep)
        for i, j in pairs
    )  # fmt: skip


def _pair(
    public: _Published,
    index: int | None,
    ours: Contents | None,
    diff_id: str,
    instructions: Sequence[str],
    *,
    deep: bool,
) -> LayerPair:
    said = public.diff_ids[index] if index is not None else ""
    number = index + 1 if index is not None else 0
    created_by = instructions[index] if index is not None and len(instructions) == len(public.diff_ids) else ""
    if said == diff_id and not deep:
        return LayerPair(number=number, theirs=said, ours=diff_id, created_by=created_by, verdict=Agreement.IDENTICAL)
    theirs = _theirs(public, index) if index is not None else None
    note = f"its bytes are {theirs.diff_id}, not what its config says" if theirs and theirs.diff_id != said else ""
    found = differences(theirs.files if theirs else {}, ours.files if ours else {})
    same = theirs is not None and theirs.diff_id == diff_id
    verdict = (
        Agreement.CONTENT if note or not (theirs and ours) else Agreement.IDENTICAL if same else judge_layer(found)
    )
    if not found and not same and not note:
        note = "the same files, in another order or form of the archive"
    return LayerPair(
        number=number, theirs=said, ours=diff_id, created_by=created_by, verdict=verdict, files=found, note=note
    )


def _ours(engine: Trials, built: ImageInfo, wanted: Collection[str]) -> dict[str, Contents]:
    """The wanted layers of what was built, by diff_id.  The engine is asked only when some are."""
    found: dict[str, Contents] = {}
    if wanted:
        with _understood(built.id), closing(engine.layers(built.id)) as streams:
            for stream in streams:
                contents = read_layer(stream)
                if contents.diff_id in wanted:
                    found[contents.diff_id] = contents
    missing = set(wanted) - set(found)
    if missing:
        raise RemoteError(
            f"the engine gave no layer {sorted(missing)[0]} of the image that it has just built",
            where=built.id,
            code="engine-error",
        )
    return found


def _theirs(public: _Published, index: int) -> Contents:
    """A layer of the registry.  Raises MismatchError when its bytes do not have its digest."""
    layer = public.registry.layers(public.manifest)[index]
    with tempfile.TemporaryFile() as file, _understood(f"{public.image.repository}@{layer.digest}"):
        public.registry.download(layer, file)
        contents = read_layer(file)
    if contents.digest != layer.digest:
        raise MismatchError(
            f"the registry's bytes of layer {index + 1} are {contents.digest}, not {layer.digest}",
            where=str(public.image.reference),
            remedy="do not use what this registry holds before its owner has found out why",
            code="digest-mismatch",
        )
    return contents


@contextmanager
def _understood(where: str) -> Iterator[None]:
    try:
        yield
    except LayerError as error:
        raise RemoteError(
            f"a layer cannot be read: {error}", where=where, remedy="compare it by hand", code="layer-unreadable"
        ) from error
