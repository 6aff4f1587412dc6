"""Build; by a builder that has no store the image is in the registry, by its digest, when it is built."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.reference import parse_reference
from orchestrator.core.results import Progress
from orchestrator.engines import BuilderLostError, PushRefusedError
from orchestrator.image.builders import BUILDX, secret_values, ssh_agents
from orchestrator.image.farm import choice

if TYPE_CHECKING:
    from orchestrator.core.credentials import Credentials
    from orchestrator.core.plan import PlannedImage
    from orchestrator.engines import BuildRequest, DirectBuilder, Pushed, Trials
    from orchestrator.registry.reader import RegistryReader
    from orchestrator.release.steps.builds.base import BuiltOn
    from orchestrator.release.steps.runner import TaskContext


def made(context: TaskContext, image: PlannedImage, request: BuildRequest) -> dict[str, Any]:
    """Build an image by its engine; where its bytes are now, and how many."""
    if image.engine == BUILDX:
        pushed = build_pushed(context, image, request)
        layers = layers_of(context, image, pushed.digest)
        told: dict[str, Any] = {"engine": image.engine, "builder": pushed.builder, "digest": pushed.digest}
        return {**told, "image_id": "", "size": 0, "layers": layers}
    built = context.connections.builder().build(request, context.report)
    return {"image_id": built.id, "size": built.size, "layers": built.layers}


def build_pushed(context: TaskContext, image: PlannedImage, request: BuildRequest) -> Pushed:
    """Build and push, by the builder whose work it is; where that one goes away, by the next one that can."""
    chosen = choice(image, context.plan.builds, context.connections)
    for line in chosen.down:
        context.report(Progress(text=line))
    for name, instead in pairwise(chosen.names):
        try:
            return _told(context, image, _by(context, context.connections.direct(name), image, request))
        except BuilderLostError as error:
            context.report(Progress(text=f"{error.message}; {instead} builds {image.reference} in its place"))
            request.context.seek(0)
    last = chosen.names[-1]
    pushed = _by(context, context.connections.direct(last), image, request)
    return _told(context, image, pushed) if last else pushed


def _told(context: TaskContext, image: PlannedImage, pushed: Pushed) -> Pushed:
    for_what = f" for {image.platform}" if image.platform else ""
    context.report(Progress(text=f"{pushed.builder} built {image.reference}{for_what}"))
    return pushed


def _by(context: TaskContext, builder: DirectBuilder, image: PlannedImage, request: BuildRequest) -> Pushed:
    """Build and push, again where that broke off: what is built and there is not built and sent twice.

    Where the candidate's name is taken and may not be replaced, another name is used; the upload decides then.
    """
    from orchestrator.release.steps.builds.pushing import pushed

    registry, stall = context.connections.registry(image.repository), context.session.options.push_stall

    def attempt(login: Credentials | None) -> Pushed:
        nonlocal request
        try:
            return builder.build_pushed(request, context.report, credentials=login, stall=stall)
        except PushRefusedError as error:
            if not _taken(registry, request, error):
                raise
        request = replace(request, tag=request.tag.repository.tag(f"candidate-{uuid4().hex[:12]}"))
        return builder.build_pushed(request, context.report, credentials=login, stall=stall)

    return pushed(context, registry, attempt)


def _taken(registry: RegistryReader, request: BuildRequest, error: PushRefusedError) -> bool:
    return not error.about_login and registry.head(request.tag.tag) is not None


def layers_of(context: TaskContext, image: PlannedImage, digest: str) -> tuple[str, ...]:
    """The diff_ids of what was pushed, as the registry has it."""
    registry = context.connections.registry(image.repository)
    manifest = registry.await_manifest(digest)
    if manifest is None:
        raise RemoteError(
            f"{image.repository}@{digest} was pushed, says the builder, and the registry does not have it",
            remedy="run the same command again; if it stays so, look at the registry's log",
            code="push-vanished",
        )
    return registry.config(registry.image(manifest, image.platform)).diff_ids


def options_of(context: TaskContext, image: PlannedImage, base: BuiltOn) -> dict[str, Any]:
    """The fields of a request that release.yaml gives, and those that only BuildKit takes."""
    options, session = image.options, context.session
    found: dict[str, Any] = {"target": options.target, "shm_size": options.shm_size, "pull": options.pull}
    if image.engine != BUILDX:
        return found
    top = context.repository.top
    return found | {
        "epoch": int(context.plan.when.split()[0]),
        "secrets": secret_values(image, session.env, top),
        "ssh": ssh_agents(image, session.env),
        "gpus": options.gpus,
        "compression": options.compression,
        "contexts": base.contexts,
    }


def trials(context: TaskContext, image: PlannedImage, engine: str) -> Trials:
    """What builds an image again by that engine, and forgets it."""
    if engine != BUILDX:
        return context.connections.builder()
    from orchestrator.engines.buildx.archive import ArchivedTrials

    return ArchivedTrials(context.connections.direct(_again(context, image)), context.session.options.push_stall)


def _again(context: TaskContext, image: PlannedImage) -> str:
    """The builder that has such work; buildx's current one where those that the release names are gone."""
    try:
        return choice(image, context.plan.builds, context.connections).names[0]
    except UsageError as error:
        context.report(Progress(text=f"{error.message}; built by the current builder in their place"))
        return ""


def on_base_of_then(request: BuildRequest, base: str, now: str, then: str) -> tuple[BuildRequest, str]:
    """The build on the base that a record names by its digest, and a line where its name stands for another now."""
    if not base or not then or then == now:
        return request, ""
    pinned = f"docker-image://{parse_reference(base).repository}@{then}"
    moved = f"{base} moved: it was {then[:19]} at the release and is {now[:19]} now; built on that of then"
    return replace(request, contexts={**request.contexts, base: pinned}), moved
