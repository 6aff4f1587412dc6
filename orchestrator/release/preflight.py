"""Everything that can be known before the first minute is spent on building.

`release cut` runs these before its one question; `release doctor` runs them alone and shows them all.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import BY_CI
from orchestrator.core.errors import RefusedError, ReleaseError, UsageError
from orchestrator.core.plan import NO_ENGINE, Judgement
from orchestrator.core.results import CheckState
from orchestrator.git.tags import must_sign
from orchestrator.image import farm
from orchestrator.image.builders import AUTO, BUILDX, CLASSIC, described, secret_value, ssh_agent
from orchestrator.release.checks import Finding, SkipCheck, run_check
from orchestrator.release.steps.builds.cache import sources
from orchestrator.release.steps.builds.proving import on_builder
from orchestrator.session.state import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.core.declaration import BuildOptions, BuildSecret, ImageSpec
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.core.results import Problem
    from orchestrator.git.repository import Repository
    from orchestrator.session.connections import Connections
    from orchestrator.session.session import Session

_GIB = 1 << 30
DISK_FOR_GIT = 256 << 20  # bytes
_DISK_FOR_BUILD = 2 * _GIB
_UNPACKING = 2  # a CUDA image of 3.2 GB compressed takes 5.8 GB, one of busybox twice its size


def run(plan: Plan, repository: Repository, connections: Connections) -> list[Finding]:
    """All checks that fit the plan, in order."""
    return list(_all(plan, repository, connections))


def _all(plan: Plan, repository: Repository, connections: Connections) -> Iterator[Finding]:
    yield run_check("disk", partial(disk, repository.common_dir, DISK_FOR_GIT))
    if plan.signed_tag and not plan.tag_object:
        yield run_check("tag-signing", partial(tag_signing, repository, plan.signed_tag))
    building = plan.promoted_from is None  # the names of a promotion were looked at when it was planned
    if not plan.images:
        return
    if plan.built_by:
        yield run_check("image-tag-free", partial(nobody_has_it, plan.images, connections))
        return
    if plan.sign:
        yield run_check("signing-key", partial(signing_key, plan, repository, connections))
    if building and plan.builds:
        if said := on_builder(plan, connections, made_by=(BUILDX, NO_ENGINE)):
            yield run_check("engine", lambda: said)
        else:
            yield from engine_checks(connections, plan.builds[0])
        yield from builder_checks(plan, repository.top, connections)
    # The variants of a release share engine and repository.  Where jobs share it, another may just have named it.
    unnamed = building and not plan.elsewhere
    yield from registry_checks(plan.images[0].repository, connections, plan.images if unnamed else ())


def engine_checks(connections: Connections, image: PlannedImage | None = None) -> Iterator[Finding]:
    """Whether the engine can build, and has room for this image."""
    yield run_check("engine", partial(engine, connections))
    yield run_check("engine-disk", partial(engine_disk, image, connections))


def builder_checks(plan: Plan, top: Path, connections: Connections) -> Iterator[Finding]:
    """Whether BuildKit builds what it is to build, and what the builds are given is there."""
    direct = [image for image in plan.builds if image.engine == BUILDX]
    images = direct or [image for image in plan.builds if image.heavy and image.heavy.builder == BUILDX]
    if not images:
        return
    options = images[0].options
    if options.builders:
        yield run_check("builders", partial(farm.described, images, connections))
    elif direct:
        yield run_check("builder", partial(described, BUILDX, connections))
    yield from input_checks(options, connections.env, top)


def build_checks(spec: ImageSpec, top: Path, connections: Connections) -> Iterator[Finding]:
    """The same of release.yaml alone, before anything is planned."""
    options = spec.options
    if options.builders:
        yield placed(run_check("builders", partial(farm.answering, options.builders, connections)), spec)
    else:
        yield placed(run_check("builder", partial(described, options.builder, connections)), spec)
    if spec.built_by != BY_CI and options.builder != CLASSIC:
        yield from (placed(each, spec) for each in input_checks(options, connections.env, top))


def input_checks(options: BuildOptions, env: Mapping[str, str], top: Path) -> Iterator[Finding]:
    """Whether the secrets and keys that builds need are there: a cached step would hide that one is missing."""
    for secret in options.secrets:
        yield run_check("build-secrets", partial(build_secret, secret, env, top))
    for each in options.ssh:
        yield run_check("build-ssh", partial(ssh_agent, each, env))


def judge_builds(session: Session, plan: Plan) -> Judgement:
    """For who will not cut now: what would refuse the builds of a cut that is made here.

    Offline nobody is asked, and secrets are a note: such a plan may be made where no cut is.
    """
    spec, top, env = session.config().image, session.repository.top, session.connections.env
    if spec is None or plan.built_by or plan.promoted_from or not plan.builds or _is_built(session, plan):
        return Judgement()
    if session.options.offline:
        may = any(image.engine in (AUTO, BUILDX) for image in plan.builds)
        faults = _faults(input_checks(plan.builds[0].options, env, top) if may else (), spec)
        return Judgement(notes=tuple(f"{each.where}: a cut is refused here: {each.message}" for each in faults))
    faults = _faults(builder_checks(plan, top, session.connections), spec)
    asked = any(image.engine == BUILDX for image in plan.builds) and not faults
    return Judgement(problems=faults, notes=farm.down(plan.builds[0].options, session.connections) if asked else ())


def _is_built(session: Session, plan: Plan) -> bool:
    """Whether this very release was begun here, and has its builds behind it."""
    journal = session.journal(ReleaseState(session.repository, plan.version))
    begun = (journal.plan() or {}).get("plan_id") == plan.plan_id
    return begun and all(journal.outcome(image.task("build")) for image in plan.builds)


_KEYS: Final = {"builder": "builder", "builders": "builders", "build-secrets": "secrets", "build-ssh": "ssh"}


def placed(finding: Finding, spec: ImageSpec | None) -> Finding:
    """The finding with the line of release.yaml that asks for what was looked at."""
    key = _KEYS.get(finding.result.name)
    if spec is None or key is None or finding.where:
        return finding
    return replace(finding, where=str(dict(spec.places).get(key, spec.place)))


def _faults(findings: Iterable[Finding], spec: ImageSpec) -> tuple[Problem, ...]:
    return tuple(placed(each, spec).problem for each in findings if each.result.state is CheckState.FAILED)


def server_checks(session: Session, plan: Plan) -> Iterator[Finding]:
    """Whether the remote takes the push that the release ends with, as far as that can be known before."""
    if plan.request or plan.promoted_from or plan.tag_object or session.options.offline:
        return
    from orchestrator.release.setup import server

    yield run_check("direct-push", partial(server.by_forge, session, plan.remote, plan.branch, plan.version))
    if plan.builds:  # what is built takes long
        yield run_check("push", partial(server.by_dry_run, session, plan.remote, atomic=not plan.one_by_one))


def session_checks(session: Session, plan: Plan) -> Iterator[Finding]:
    """What the remote takes, and what the builds may take over."""
    yield from server_checks(session, plan)
    yield from cache_checks(session, plan)


def cache_checks(session: Session, plan: Plan) -> Iterator[Finding]:
    """Whether the caches of the builds are there, and what they were."""
    if any(image.engine == BUILDX and image.options.cache.sources for image in plan.builds):
        yield run_check("build-caches", partial(build_caches, session, plan))


def signing_checks(session: Session, plan: Plan, state: ReleaseState) -> Iterator[Finding]:
    """Whether the key signs commits, where they are to be signed."""
    if plan.sign_commits:
        from orchestrator.release.signing import try_key

        yield run_check("commit-signing", partial(try_key, session, plan, state))


def build_caches(session: Session, plan: Plan) -> str:
    """Each cache that a build may take over is there with its digest: else everything is built anew."""
    found = [str(each) for image in plan.builds if image.engine == BUILDX for each in sources(session, plan, image)[0]]
    return f"{len(found)} caches"


def build_secret(secret: BuildSecret, env: Mapping[str, str], top: Path) -> str:
    """A secret of the builds is there, or need not be."""
    value = secret_value(secret, env, top)
    return f"{secret.name} is there" if value else f"{secret.name} is not there, and need not be"


def registry_checks(
    repository: str, connections: Connections, images: Sequence[PlannedImage] = ()
) -> Iterator[Finding]:
    """Whether the registry of a repository answers and takes a push, and whether the names of `images` are free."""
    answers = run_check("registry", partial(registry, repository, connections))
    yield answers
    if answers.result.state is CheckState.FAILED:
        return  # the rest would say the same again
    yield run_check("registry-push", partial(registry_push, repository, connections))
    for each in images:
        yield run_check("image-tag-free", partial(image_tag_free, each, connections))
        if each.heavy:
            yield run_check("heavy-base", partial(heavy_base, each, connections))


def disk(directory: Path, wanted: int) -> str:
    """There is room for commits, logs and the journal where git keeps them."""
    free = shutil.disk_usage(directory).free
    if free < wanted:
        raise UsageError(
            f"{free >> 20} MiB are free at {directory}, {wanted >> 20} MiB are needed",
            where=str(directory),
            remedy="free some disk",
            code="disk-full",
        )
    return f"{free / _GIB:.1f} GiB free at {directory}"


def tag_signing(repository: Repository, rule: str) -> str:
    """Where policy wants the tag signed, git is set to sign it."""
    must_sign(repository, rule)
    return f"tags are signed with {repository.config('user.signingKey') or 'the key of the committer'}"


def signing_key(plan: Plan, repository: Repository, connections: Connections) -> str:
    """Who is to sign images can: the key is there, opens, and is one that release.yaml pins; CI says who it is."""
    from orchestrator.attest.signing import signer

    return f"signed by {signer(plan.sign, str(plan.version), connections.env, repository.top).name}"


def engine(connections: Connections) -> str:
    """The Docker Engine answers, and its API is one that this tool speaks."""
    said = connections.builder().health()
    return f"Docker Engine {said.version}, API {said.api_version}, {said.storage_driver}"


def engine_disk(image: PlannedImage | None, connections: Connections) -> str:
    """There is room for the build in the engine's data directory, where that is on this machine.

    An engine that lacks the version before will build all of it anew: its size in the registry, unpacked, is a guess.
    """
    said = connections.builder().health()
    if not said.is_local or not said.root or not os.access(said.root, os.X_OK):
        raise SkipCheck("the engine's data directory is not on this machine, or not readable")
    return disk(Path(said.root), max(_DISK_FOR_BUILD, _unpacked(image, connections) if image else 0))


def _unpacked(image: PlannedImage, connections: Connections) -> int:
    """Bytes that the version before would take in an engine that has it not; 0 where nothing is known of it."""
    if not image.previous or connections.builder().inspect(str(image.previous)):
        return 0
    registry = connections.registry(image.repository)
    with suppress(ReleaseError):  # what is wrong with the registry is said by its own checks
        named = registry.released(image.previous.tag)
        own = registry.find_image(named, image.platform) if named else None
        return _UNPACKING * sum(layer.size for layer in registry.layers(own)) if own else 0
    return 0


def registry(repository: str, connections: Connections) -> str:
    """The registry answers and takes the credentials."""
    connections.registry(repository).ping()
    return f"{repository.partition('/')[0]} answers"


def registry_push(repository: str, connections: Connections) -> str:
    """The credentials may push to this very repository (an upload is opened and cancelled)."""
    connections.registry(repository).can_push()
    return f"may push to {repository}"


def heavy_base(image: PlannedImage, connections: Connections) -> str:
    """The registry has the heavy base of the image, or it is built first."""
    heavy = image.heavy
    if heavy is None or heavy.reference is None:
        raise SkipCheck("its stage cannot be read")
    found = connections.registry(heavy.repository).head(heavy.reference.tag)
    if found is None:
        return f"{heavy.reference} is not there yet: it is built first, once"
    return f"{heavy.reference} is {found.digest}"


def heavy_bases(plan: Plan, connections: Connections, *, offline: bool) -> list[str]:
    """A line for each heavy base of a plan; one that cannot be asked for is no fault of the plan."""
    lines = []
    for image in plan.images if plan.promoted_from is None else ():
        if image.heavy and image.heavy.reference and offline:
            lines.append(f"{image.heavy.reference}: offline, so the registry was not asked")
        elif image.heavy:
            result = run_check("heavy-base", partial(heavy_base, image, connections)).result
            lines.append(result.message)
    return list(dict.fromkeys(lines))


def nobody_has_it(images: Sequence[PlannedImage], connections: Connections) -> str:
    """As `image_tag_free`, for who does not build: whoever does may be the only one with a login."""
    try:
        return "; ".join(image_tag_free(image, connections) for image in images)
    except RefusedError:
        raise
    except ReleaseError as error:
        raise SkipCheck(f"the registry does not tell: {error.message}") from None


def image_tag_free(image: PlannedImage, connections: Connections) -> str:
    """Nobody has published an image under the version yet: version tags are never overwritten."""
    for name in image.names:
        found = connections.registry(image.repository).head(name.tag)
        if found:
            raise RefusedError(
                f"{name} exists already as {found.digest}",
                where=str(name),
                remedy="a version tag is never overwritten: release the next version",
                code="image-tag-exists",
            )
    return f"{' and '.join(map(str, image.names))} {'are' if image.aliases else 'is'} free"
