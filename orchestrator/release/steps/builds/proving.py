"""Where an image is proved that the registry has by its digest: in the engine; where none answers, on its builder."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.plan import NO_ENGINE
from orchestrator.core.reference import parse_repository
from orchestrator.core.results import CheckResult, CheckState, Progress
from orchestrator.core.text import one_line
from orchestrator.engines import ImageInfo, PullBrokenError
from orchestrator.image.builders import BUILDX, of_base
from orchestrator.image.farm import choice
from orchestrator.registry.manifest import Manifest
from orchestrator.release.steps.builds.base import pull_login

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.engines import Prover
    from orchestrator.registry.client import Registry
    from orchestrator.registry.retry import RetryPolicy
    from orchestrator.release.steps.runner import TaskContext
    from orchestrator.session.connections import Connections

_CHECK = "proved-on"
_UNPACKED = "budget-size"


@dataclass(frozen=True, kw_only=True)
class ProvingPlace:
    """Who runs the checks, in the image of that id there; `first` are results that say how."""

    prover: Prover
    id: str
    info: ImageInfo | None = None  # what is known without asking
    first: tuple[CheckResult, ...] = ()

    @property
    def place(self) -> str:
        return "in the registry" if self.first else "in the engine"

    @property
    def size(self) -> int:
        """Bytes unpacked, which only an engine knows; 0 without one."""
        return self.info.size if self.info and not self.first else 0

    def measurable(self, image: PlannedImage) -> PlannedImage:
        """The image with the budgets that can be looked at there."""
        return replace(image, size_budget=0) if self.first else image


def no_engine(connections: Connections) -> str:
    """Why no engine answers, "" where one does."""
    try:
        connections.runtime().health()
    except (RemoteError, UsageError) as error:
        return one_line(error.message)
    return ""


def on_builder(plan: Plan, connections: Connections, *, made_by: Collection[str] = (BUILDX,)) -> str:
    """Where the images of a plan are proved that no engine can pull, as a line; "" where an engine answers, or one of
    them needs it.  Nobody is asked for a plan whose images are not all `made_by` these."""
    if not plan.builds or any(image.engine not in made_by for image in plan.builds):
        return ""
    why = no_engine(connections)
    if not why or not all(_has_builder(image, connections) for image in plan.builds):
        return ""
    return f"no engine answers ({why}): images are smoke-tested on a builder, as build steps that nobody keeps"


def _has_builder(image: PlannedImage, connections: Connections) -> bool:
    """Whether BuildKit can prove what it has built, or what no engine makes."""
    return image.engine == BUILDX or (image.engine == NO_ENGINE and of_base(image, connections) == BUILDX)


def by_digest(context: TaskContext, image: PlannedImage, digest: str) -> ProvingPlace:
    """What the registry has under a digest: pulled by the engine where it is not there."""
    connections, login = context.connections, pull_login(context, image, image.candidate.repository.host)
    may = image.engine in (BUILDX, NO_ENGINE)
    if may and (why := no_engine(connections)) and _has_builder(image, connections):
        return _by_builder(context, image, digest, why)
    name, runtime = f"{image.repository}@{digest}", connections.runtime()

    def pull() -> ImageInfo:
        return runtime.resolve(name, platform=image.platform, credentials=login, report=context.report)

    found = _pulled(context, connections.registry(image.repository).retry, pull)
    return ProvingPlace(prover=connections.swept_runtime(), id=found.id, info=found)


def _pulled(context: TaskContext, retry: RetryPolicy, pull: Callable[[], ImageInfo]) -> ImageInfo:
    """The image in the engine; again where the pull broke off, or the registry shows what it has stored late."""
    for seconds in retry.looks():
        try:
            return pull()
        except PullBrokenError as error:
            context.report(Progress(text=f"{error.message}; it is tried again"))
            retry.sleep(seconds)
    return pull()


def _by_builder(context: TaskContext, image: PlannedImage, digest: str, why: str) -> ProvingPlace:
    host = image.candidate.repository.host
    login = pull_login(context, image, host)
    builder = context.connections.direct(choice(image, context.plan.builds, context.connections).names[0])
    registry = context.connections.registry(image.repository)
    own = _own(registry, image, digest)
    info = _info(registry, own, digest)
    triggers = bool(info.config.get("OnBuild"))
    prover = builder.prover(
        parse_repository(image.repository).digest(_without_triggers(registry, own) if triggers else digest),
        info,
        {host: login} if login else {},
        log=context.state.logs / f"smoke-{image.log}",
        stall=context.session.options.push_stall,
    )
    said = f"on builder {builder.title}, as build steps that nobody keeps: no engine answers ({why})"
    said += "; without its ONBUILD, which FROM would run" if triggers else ""
    first = [CheckResult(name=_CHECK, state=CheckState.PASSED, message=said)]
    if image.size_budget:
        unknown = "size-budget is of the unpacked image, which only an engine knows"
        first.append(CheckResult(name=_UNPACKED, state=CheckState.SKIPPED, message=unknown))
    return ProvingPlace(prover=prover, id=digest, info=info, first=tuple(first))


def _own(registry: Registry, image: PlannedImage, digest: str) -> Manifest:
    manifest = registry.await_manifest(digest)
    if manifest is None:
        raise RemoteError(
            f"{image.repository}@{digest} is not in the registry any more",
            remedy="run the same command again: what is gone is built anew",
            code="push-vanished",
        )
    return registry.image(manifest, image.platform)


def _info(registry: Registry, own: Manifest, digest: str) -> ImageInfo:
    """As an engine would say it, but for the size, which is what it takes in the registry."""
    config = registry.config(own)
    return ImageInfo(
        id=digest,
        labels=config.labels,
        size=sum(layer.size for layer in registry.layers(own)),
        layers=config.diff_ids,
        repo_digests=(),
        architecture=config.platform.partition("/")[2].partition("/")[0],
        entrypoint=tuple(config.settings.get("Entrypoint") or ()),
        command=tuple(config.settings.get("Cmd") or ()),
        config=config.settings,
    )


def _without_triggers(registry: Registry, own: Manifest) -> str:
    """The digest of the same image without ONBUILD, which no name stands for: each check begins FROM it."""
    document, config = json.loads(own.content), json.loads(registry.blob(registry.details(own).config))
    del config["config"]["OnBuild"]
    content = json.dumps(config).encode()
    document["config"] |= {"digest": registry.put_blob(content), "size": len(content)}
    return registry.put_manifest("", Manifest(content=json.dumps(document).encode(), media_type=own.media_type))
