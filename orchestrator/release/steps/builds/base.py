"""What an image is built on: the logins for it, the image itself, and what is said of it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from orchestrator.core import labels as names
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.reference import parse_reference
from orchestrator.core.results import Progress
from orchestrator.image.builders import BUILDX
from orchestrator.image.farm import choice
from orchestrator.registry.manifest import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.plan import PlannedImage
    from orchestrator.core.reference import Reference
    from orchestrator.engines import Builder, ImageInfo
    from orchestrator.registry.reader import RegistryReader
    from orchestrator.release.steps.runner import TaskContext


def logins_for(context: TaskContext, image: PlannedImage, names: Iterable[str]) -> dict[str, Credentials]:
    """Registry host -> login, for the images that a build pulls; nothing is asked for those that the engine has."""
    if image.engine == BUILDX or image.options.pull:  # the one's store may be elsewhere, the other asks for all
        missing = list(names)
    else:
        builder = context.connections.builder()
        missing = [name for name in names if not _has(builder, name, image.platform)]
    logins = {host: pull_login(context, image, host) for host in dict.fromkeys(map(host_of, missing))}
    return {host: login for host, login in logins.items() if login}


def _has(builder: Builder, name: str, platform: str) -> bool:
    """Whether an engine has the image; of a name it keeps that of one platform."""
    found = builder.inspect(name)
    return found is not None and (not platform or fits(f"linux/{found.architecture}", platform))


def pull_login(context: TaskContext, image: PlannedImage, host: str) -> Credentials | None:
    """The login to pull from a registry with; where it cannot be had, a public image can be pulled all the same."""
    try:
        return context.connections.credentials(host, released_to=host == image.reference.repository.host)
    except RemoteError as error:
        context.report(Progress(text=f"going on without a login for {host}: {error.message}"))
        return None


def host_of(name: str) -> str:
    return parse_reference(name).repository.host


@dataclass(frozen=True, kw_only=True)
class BuiltOn:
    """What is built on, "" for nothing; `contexts` make the builder take that very image, whatever its name means."""

    name: str = ""
    id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)


def base(
    context: TaskContext, image: PlannedImage, name: str, logins: Mapping[str, Credentials], *, is_heavy: bool = False
) -> BuiltOn:
    """`is_heavy`: it is the heavy base by its digest, which was looked at.  Raises UnprovedError for one of another
    platform.
    """
    if not name:
        return BuiltOn()
    if image.engine == BUILDX:
        digest, instead = base_of(context, image, name, is_heavy=is_heavy)
        labels = {names.BASE_NAME: name} | ({names.BASE_DIGEST: digest} if digest else {})
        return BuiltOn(name=name, id=digest, labels=labels, contexts={name: instead} if instead else {})
    login = logins.get(host_of(name))
    info = context.connections.builder().resolve(
        name, platform=image.platform, credentials=login, report=context.report, afresh=image.options.pull
    )
    return BuiltOn(name=name, id=info.id, labels=base_labels(name, info))


def base_of(context: TaskContext, image: PlannedImage, name: str, *, is_heavy: bool) -> tuple[str, str]:
    """The digest that an image's base has now, and what to build on in place of its name, so that it is that very one.

    Both are "" where nobody can tell: then the builder takes what the name stands for.
    """
    reference, here = parse_reference(name), None
    if reference.digest and (is_heavy or not image.platform):
        return reference.digest, ""
    builder = context.connections.direct(choice(image, context.plan.builds, context.connections).names[0])
    if builder.has_store and not image.options.pull and (here := _in_store(context, name)) and not _unlike(image, here):
        known = (parse_reference(each) for each in here.repo_digests)
        found = (each.digest for each in known if each.repository == reference.repository)
        return reference.digest or next(found, ""), ""
    released_to = reference.repository.host == image.reference.repository.host
    try:
        registry = context.connections.base_registry(str(reference.repository), released_to=released_to)
        digest = _digest_there(registry, reference, image)
    except RemoteError as error:
        context.report(Progress(text=f"the digest of the base {name} is not known: {error.message}"))
        digest = ""
    if here and not digest:  # the builder would take that
        raise _wrong_platform(image, name, [f"linux/{here.architecture}"])
    return digest or reference.digest, f"docker-image://{reference.repository}@{digest}" if digest else ""


def _unlike(image: PlannedImage, base: ImageInfo) -> bool:
    return bool(image.platform and base.architecture) and not fits(f"linux/{base.architecture}", image.platform)


def _digest_there(registry: RegistryReader, reference: Reference, image: PlannedImage) -> str:
    """ "" where the registry does not have it.

    BuildKit builds for any platform on an image that has one platform alone, and writes the wanted one on the result.
    """
    if not image.platform:
        there = registry.head(reference.identifier)
        return there.digest if there else ""
    manifest = registry.manifest(reference.identifier)
    said = [each for each in registry.platforms(manifest) if each] if manifest else []
    if said and not any(fits(each, image.platform) for each in said):
        raise _wrong_platform(image, str(reference), said)
    return manifest.digest if manifest else ""


def _wrong_platform(image: PlannedImage, name: str, said: Sequence[str]) -> UnprovedError:
    return UnprovedError(
        f"{image.short} is to be for {image.platform}, and its base {name} is for {' and '.join(said)}",
        where=image.dockerfile,
        remedy="name a base that has this platform, or correct the platform; where nothing in it is of a platform: "
        "`FROM scratch` and `COPY --from` of that base",
        code="wrong-platform",
        state="nothing was pushed",
    )


def _in_store(context: TaskContext, name: str) -> ImageInfo | None:
    try:
        return context.connections.runtime().inspect(name)
    except RemoteError:  # it is the builder's engine, which says so itself
        return None


def base_labels(base: str, info: ImageInfo | None) -> dict[str, str]:
    """Name of the base, and its digest in that very repository, where the engine knows one."""
    if info is None:
        return {}
    labels, reference = {names.BASE_NAME: base}, parse_reference(base)
    known = [parse_reference(each) for each in info.repo_digests]
    digests = [each.digest for each in known if each.repository == reference.repository]
    if digest := reference.digest or min(digests, default=""):
        labels[names.BASE_DIGEST] = digest
    return labels
