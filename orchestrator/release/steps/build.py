"""Build each image from the tree of the tag: never from the work tree, and never published here."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.core import labels as names
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.plan import UPLOAD
from orchestrator.core.record import RecordedBase, RecordedLock, RecordedPatch
from orchestrator.core.reference import parse_reference
from orchestrator.core.remote_url import source_url
from orchestrator.core.results import Progress
from orchestrator.image.inputs import lock_digest, not_at_hand, patches_of
from orchestrator.image.patches import label, recorded
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import IO

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.dockerfile.facts import DockerfileFacts
    from orchestrator.engines import Builder, BuildRequest, ImageInfo
    from orchestrator.git.content import Pointed
    from orchestrator.git.scratch import Scratch
    from orchestrator.image.context import BuildContext


@dataclass(frozen=True, kw_only=True)
class Built(Outcome):
    """Its bytes are in the engine's store (`image_id`), or in the registry by `digest`, which nothing names yet."""

    engine: str = "classic"
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

    def part(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "image_id": self.image_id,
            "size": self.size,
            "layers": self.layers,
            "base": RecordedBase(name=self.base, id=self.base_id),
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
        group="build",
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
def prepared(context: TaskContext, image: PlannedImage, log: Path) -> Iterator[Prepared]:
    """The build context is open until the end of the block.  The base is pulled where the engine lacks it."""
    from orchestrator.engines import BuildRequest
    from orchestrator.git.content import Pointed

    seconds, pointed = int(context.plan.when.split()[0]), Pointed(context.repository)
    with context.repository.scratch(*pointed.stores) as scratch, tempfile.TemporaryFile() as tar:
        text = dockerfile_text(scratch, context.plan.tree, image.dockerfile)
        facts, given = _examined(context, image, text)
        base, logins = facts.final_base, _logins(context, image, (*facts.bases, *facts.copied_from))
        info = _base(context, image, base, logins) if base else None
        files = CommittedFiles(scratch, context.plan.tree)
        sent = _build_context(scratch, pointed, context.plan.tree, image, seconds, tar)
        _refuse_missing(sent, image, facts)
        tar.seek(0)
        request = BuildRequest(
            context=tar,
            dockerfile=sent.dockerfile_in_context,
            tag=image.candidate,
            build_args={**given, **dict(image.build_args), **given_args(context.plan)},
            labels=expected_labels(context, image) | base_labels(base, info),
            platform=image.platform,
            network=image.network,
            logins=logins,
            log=log,
        )
        yield Prepared(
            request=request,
            base=base,
            base_id=info.id if info else "",
            base_args=facts.base_args,
            context_sha256=sent.sha256,
            lock=RecordedLock(path=image.lock, sha256=lock_digest(files.lock(image.lock))) if image.lock else None,
            patches=tuple(recorded(entry) for entry in patches_of(files, image)),
        )


def _examined(context: TaskContext, image: PlannedImage, text: bytes) -> tuple[DockerfileFacts, dict[str, str]]:
    """What the Dockerfile asks for, and the build arguments of the platform that it wants and its builder lacks."""
    from orchestrator.dockerfile.facts import examine, platform_values
    from orchestrator.engines import engine_module

    dialect, arguments = engine_module().DIALECT, dict(image.build_args)
    facts = examine(text, image.dockerfile, arguments, dialect, platform=image.platform)
    if not facts.platform_args or dialect.fills_in_platform:
        return facts, {}
    health = context.connections.builder().health()
    native = f"{health.os}/{health.architecture}"
    facts = examine(text, image.dockerfile, arguments, dialect, platform=image.platform, native=native)
    values = platform_values(image.platform or native, native)
    return facts, {name: values[name] for name in facts.platform_args}


def _logins(context: TaskContext, image: PlannedImage, names: Iterable[str]) -> dict[str, Credentials]:
    """Registry host -> login, for the images that a build pulls; nothing is asked for those that the engine has."""
    builder = context.connections.builder()
    missing = [name for name in names if not _has(builder, name, image.platform)]
    logins = {host: pull_login(context, image, host) for host in dict.fromkeys(map(_host, missing))}
    return {host: login for host, login in logins.items() if login}


def _has(builder: Builder, name: str, platform: str) -> bool:
    """Whether an engine has the image; of a name it keeps that of one platform."""
    from orchestrator.registry.manifest import fits

    found = builder.inspect(name)
    return found is not None and (not platform or fits(f"linux/{found.architecture}", platform))


def pull_login(context: TaskContext, image: PlannedImage, host: str) -> Credentials | None:
    """The login to pull from a registry with; where it cannot be had, a public image can be pulled all the same."""
    try:
        return context.connections.credentials(host, released_to=host == image.reference.repository.host)
    except RemoteError as error:
        context.report(Progress(text=f"going on without a login for {host}: {error.message}"))
        return None


def _host(name: str) -> str:
    return parse_reference(name).repository.host


def _base(context: TaskContext, image: PlannedImage, name: str, logins: Mapping[str, Credentials]) -> ImageInfo:
    login = logins.get(_host(name))
    return context.connections.builder().resolve(
        name, platform=image.platform, credentials=login, report=context.report
    )


def _refuse_missing(sent: BuildContext, image: PlannedImage, facts: DockerfileFacts) -> None:
    """No image gets an empty folder or the text of a pointer where its Dockerfile asks for the content."""
    from orchestrator.dockerfile.facts import takes

    for path, is_submodule in (
        *((path, True) for path in sent.submodules),
        *((path, False) for path in sent.lfs_pointers),
    ):
        if takes(facts.sources, path):
            root = "" if image.context in (".", "") else image.context.rstrip("/") + "/"
            problem = not_at_hand(f"{root}{path}", submodule=is_submodule)
            raise UsageError(problem.message, where=problem.where, remedy=problem.remedy, code=problem.code)


def _run(context: TaskContext, image: PlannedImage) -> Built:
    log = context.state.logs / image.log
    with prepared(context, image, log) as ready:
        built = context.connections.builder().build(ready.request, context.report)
    return Built(
        image=image.reference,
        image_id=built.id,
        size=built.size,
        layers=built.layers,
        base=ready.base,
        base_id=ready.base_id,
        context_sha256=ready.context_sha256,
        labels=tuple(sorted(ready.request.labels.items())),
        log=str(log),
        lock=ready.lock,
        patches=ready.patches,
    )


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


def given_args(plan: Plan) -> dict[str, str]:
    """Build arguments that every build gets; a Dockerfile that declares one with ARG can use it."""
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
    labels[names.TITLE] = image.repository.rpartition("/")[2]
    if image.variant:
        labels[names.VARIANT] = image.variant
    if image.patches:
        with context.repository.scratch() as scratch:
            labels[names.PATCHES] = label(patches_of(CommittedFiles(scratch, plan.tree), image))
    return labels


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


def dockerfile_text(scratch: Scratch, tree: str, path: str) -> bytes:
    """The Dockerfile in a tree.  Raises UsageError when there is none."""
    text = scratch.file(tree, path)
    if text is None:
        raise UsageError(
            f"{path} is not in the released tree",
            where=path,
            remedy="correct `image.dockerfile`, or add the file to the release branch by a fix",
            code="no-dockerfile",
        )
    return text


def _build_context(
    scratch: Scratch, pointed: Pointed, tree: str, image: PlannedImage, seconds: int, out: IO[bytes]
) -> BuildContext:
    from orchestrator.git.content import filled
    from orchestrator.image.context import ContextEntry, ignore_rules, write_context

    return write_context(
        [ContextEntry(path=entry.path, mode=entry.mode, sha=entry.sha) for entry in filled(scratch, tree)],
        lambda entry: scratch.blob(entry.sha),
        out,
        root=image.context,
        dockerfile=image.dockerfile,
        mtime=seconds,
        rules=ignore_rules(lambda path: scratch.file(tree, path), image.context, image.dockerfile),
        lfs=pointed.lfs,
    )
