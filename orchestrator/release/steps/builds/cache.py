"""What a build may take over from earlier ones, and what it leaves for later ones: `image.cache`.

Whoever may push to a cache can put layers into an image, so each one is taken by its digest: that of release.yaml, or
that of the record of the version before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core import labels as names
from orchestrator.core.declaration import PREVIOUS
from orchestrator.core.errors import MismatchError, RemoteError
from orchestrator.core.record import RecordedCache
from orchestrator.core.reference import parse_reference, parse_repository
from orchestrator.core.results import Progress
from orchestrator.image.builders import BUILDX, CLASSIC
from orchestrator.release.steps.builds.base import pull_login

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.core.record import RecordedImage, RecordedPlatform
    from orchestrator.core.reference import Reference
    from orchestrator.engines import BuildRequest
    from orchestrator.registry.client import Registry
    from orchestrator.release.steps.runner import TaskContext
    from orchestrator.session.connections import Connections
    from orchestrator.session.session import Session


def with_cache(context: TaskContext, image: PlannedImage, request: BuildRequest) -> BuildRequest:
    """The request of a release's build, with the caches that release.yaml declares.

    Raises MismatchError for one that is gone, or is not what it was.
    """
    spec = image.options.cache
    if not spec.sources and not spec.to:
        return request
    if image.engine != BUILDX:
        return _with_image_before(context, image, request)
    found, notes = sources(context.session, context.plan, image)
    for note in notes:
        context.report(Progress(text=note))
    to = target(image)
    hosts = [each.repository.host for each in (*found, *([to] if to else []))]
    logins = {host: login for host in dict.fromkeys(hosts) if (login := pull_login(context, image, host))}
    return replace(
        request,
        cache_from=tuple(map(str, found)),
        cache_to=str(to) if to else "",
        keep_times=not (image.heavy and image.heavy.is_thin),  # else every layer taken over were a new one
        logins={**request.logins, **logins},
    )


def target(image: PlannedImage) -> Reference | None:
    """The private name that the cache of this build gets: made from the commit, as the candidate's."""
    if not image.options.cache.to:
        return None
    return parse_repository(image.options.cache.to).tag(image.candidate.tag.replace("candidate-", "cache-", 1))


def sources(session: Session, plan: Plan, image: PlannedImage) -> tuple[list[Reference], list[str]]:
    """What BuildKit may take over, each proved to be there, and a line for what the version before does not have."""
    found, notes = list[str](), list[str]()
    for each in image.options.cache.sources:
        if each != PREVIOUS:
            found.append(each)
            continue
        before, why = recorded_before(session, plan, image)
        left = before.cache.left if before and before.cache else None
        if left and before and before.cache:
            found.append(f"{left.repository}:{before.cache.tag}@{left.digest}")
        else:
            notes.append(f"no cache of {plan.previous or 'a version before'}: {why or 'it left none'}")
    return [proved(_registry(session.connections, image, each), each) for each in found], notes


def _registry(connections: Connections, image: PlannedImage, name: str) -> Registry:
    repository = parse_reference(name).repository
    released_to = repository.host == image.reference.repository.host
    return connections.base_registry(str(repository), released_to=released_to)


def recorded_before(
    session: Session, plan: Plan, image: PlannedImage
) -> tuple[RecordedImage | RecordedPlatform | None, str]:
    """What the record of the version before says of the same image, and why there is none."""
    from orchestrator.session.published import NoRecordError, read_record

    if not plan.previous:
        return None, "it is the first"
    try:
        record = read_record(session, plan.previous, plan.remote)
    except NoRecordError:
        return None, "it has no record"
    whole = next((each for each in record.images if each.variant == image.variant), None)
    found = whole.of_platform(image.platform) if whole else None
    return found, "" if found else "it has no such image"


def proved(registry: Registry, name: str) -> Reference:
    """`REPOSITORY[:TAG]@DIGEST` by its digest.  Raises MismatchError where that is gone, or the tag is another one."""
    wanted, tag = parse_reference(name), _tag(name)
    stands = registry.head(tag) if tag else None
    if tag and (stands is None or stands.digest != wanted.digest):
        now = stands.digest if stands else "not there"
        raise _refused(name, f"the cache {wanted.repository}:{tag} is {now}, and was to be {wanted.digest}")
    if registry.head(wanted.digest) is None:
        raise _refused(name, f"the cache {wanted} is gone")
    return wanted


def _tag(name: str) -> str:
    return name.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _refused(name: str, message: str) -> MismatchError:
    return MismatchError(
        message,
        where=name,
        remedy="put its digest of now under `image.cache.from` where that is meant, or take the line out: then "
        "everything is built",
        code="cache-differs",
        state="nothing was built",
    )


def left(context: TaskContext, image: PlannedImage, request: BuildRequest) -> RecordedCache | None:
    """What the record says of the caches of a build that is done; None for a build without any."""
    taken = tuple(parse_reference(each) for each in request.cache_from)
    if not request.cache_to:
        return RecordedCache(taken=taken) if taken else None
    named = parse_reference(request.cache_to)
    there = _registry(context.connections, image, request.cache_to).await_manifest(named.tag)
    if there is None:
        raise RemoteError(
            f"{named} was pushed, says the builder, and the registry does not have it",
            remedy="run the same command again, or take `image.cache.to` out",
            code="push-vanished",
        )
    return RecordedCache(taken=taken, tag=named.tag, left=named.repository.digest(there.digest))


# ------------------------------------------------------------------ the classic builder


def _with_image_before(context: TaskContext, image: PlannedImage, request: BuildRequest) -> BuildRequest:
    """The classic builder takes over the steps of an image that its engine has: the version before is pulled for it.

    That is cheaper than to build all of it, unless the base is another one: then no step is the same.
    """
    before, why = recorded_before(context.session, context.plan, image)
    then, now = (before.labels.get(names.BASE_DIGEST) if before else ""), request.labels.get(names.BASE_DIGEST)
    if before and before.engine != CLASSIC:
        why = "another builder made it"
    elif before and then != now:
        why = f"its base was {then or 'not known'}, and is {now or 'not known'}"
    if before is None or why:
        context.report(Progress(text=f"{context.plan.previous or 'no version before'} is no cache: {why}"))
        return request
    tag = image.previous.tag if image.previous and not image.part_of else ""
    name = f"{image.repository}{f':{tag}' if tag else ''}@{before.digest}"
    pinned = proved(context.connections.registry(image.repository), name)
    context.report(
        Progress(text=f"{pinned} is the cache, {before.compressed_size >> 10} KiB where it has to be pulled")
    )
    context.connections.builder().resolve(
        str(pinned),
        platform=image.platform,
        credentials=pull_login(context, image, pinned.repository.host),
        report=context.report,
    )
    return replace(request, cache_from=(str(pinned),))
