"""Build each image from the tree of the tag: never from the work tree, and never published here."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import UsageError
from orchestrator.core.labels import VARIANT_LABEL
from orchestrator.core.record import RecordedBase, RecordedLock, RecordedPatch
from orchestrator.core.reference import parse_reference
from orchestrator.core.results import Progress
from orchestrator.image.inputs import lock_digest, lock_files, patches_of
from orchestrator.image.patches import LABEL as PATCHES_LABEL
from orchestrator.image.patches import label, recorded
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.engines import BuildRequest, ImageInfo
    from orchestrator.git.scratch import Scratch
    from orchestrator.image.context import Context


_LOGIN = re.compile(r"^(?P<scheme>[a-z+]+://)[^/@]*@")


@dataclass(frozen=True, kw_only=True)
class Built(Outcome):
    image_id: str
    size: int  # bytes, unpacked
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
    return tuple(_task(image) for image in plan.images)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=f"build/{image.reference.rpartition(':')[2]}",
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
    from orchestrator.image.dockerfile import examine

    seconds = int(context.plan.when.split()[0])
    with context.repository.scratch() as scratch, tempfile.TemporaryFile() as tar:
        text = dockerfile_text(scratch, context.plan.tree, image.dockerfile)
        facts = examine(text, image.dockerfile, dict(image.build_args))
        base = facts.final_base
        info = (
            context.connections.engine().resolve(base, platform=image.platform, report=context.report) if base else None
        )
        sent = _build_context(scratch, context.plan.tree, image, seconds, tar)
        for path in sent.lfs_pointers:
            context.report(Progress(text=f"{path} is a Git LFS pointer, not the file: it goes into the image as it is"))
        for path in sent.submodules:
            context.report(Progress(text=f"{path} is a submodule: the build gets an empty folder in its place"))
        tar.seek(0)
        request = BuildRequest(
            context=tar,
            dockerfile=sent.dockerfile_in_context,
            tag=parse_reference(image.candidate),
            build_args={**dict(image.build_args), **given_args(context.plan)},
            labels=expected_labels(context, image) | _base_labels(base, info),
            platform=image.platform,
            network=image.network,
            log=log,
        )
        yield Prepared(
            request=request,
            base=base,
            base_id=info.id if info else "",
            base_args=facts.base_args,
            context_sha256=sent.sha256,
            lock=_lock(scratch, context.plan.tree, image.lock) if image.lock else None,
            patches=tuple(recorded(entry) for entry in patches_of(scratch, context.plan.tree, image)),
        )


def _run(context: TaskContext, image: PlannedImage) -> Built:
    log = context.state.logs / (f"build-{image.variant}.log" if image.variant else "build.log")
    with prepared(context, image, log) as ready:
        built = context.connections.engine().build(ready.request, context.report)
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
    """Done while the engine has that very image under the candidate's name, or once the registry has it."""
    if not isinstance(before, Built):
        return None
    if context.finished(f"upload/{image.reference.rpartition(':')[2]}"):
        return before
    found = context.connections.engine().inspect(image.candidate)
    return before if found and found.id == before.image_id else None


def _lock(scratch: Scratch, tree: str, path: str) -> RecordedLock:
    return RecordedLock(path=path, sha256=lock_digest(lock_files(scratch, tree, path)))


def given_args(plan: Plan) -> dict[str, str]:
    """Build arguments that every build gets; a Dockerfile that declares one with ARG can use it."""
    return {
        "RELEASE_VERSION": plan.version,
        "RELEASE_REVISION": plan.head,
        "SOURCE_DATE_EPOCH": plan.when.split()[0],
    }


def expected_labels(context: TaskContext, image: PlannedImage) -> dict[str, str]:
    """The OCI labels that say what the image is: annotations spec, `org.opencontainers.image.*`."""
    plan = context.plan
    created = datetime.fromtimestamp(int(plan.when.split()[0]), UTC).isoformat().replace("+00:00", "Z")
    labels = {"version": plan.version, "revision": plan.head, "created": created, "ref.name": plan.version}
    source = _LOGIN.sub(r"\g<scheme>", context.repository.remote_url(plan.remote))
    if "://" in source or re.match(r"^[^/]+@[^/]+:", source):  # a path on this machine says nothing elsewhere
        labels["source"] = source
    labels["title"] = image.repository.rpartition("/")[2]
    own = {VARIANT_LABEL: image.variant} if image.variant else {}
    if image.patches:
        with context.repository.scratch() as scratch:
            own[PATCHES_LABEL] = label(patches_of(scratch, plan.tree, image))
    return {f"org.opencontainers.image.{key}": value for key, value in labels.items()} | own


def _base_labels(base: str, info: ImageInfo | None) -> dict[str, str]:
    """Name of the base, and its registry digest where the engine knows one."""
    if info is None:
        return {}
    labels = {"org.opencontainers.image.base.name": base}
    if info.repo_digests:
        labels["org.opencontainers.image.base.digest"] = sorted(info.repo_digests)[0].partition("@")[2]
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


def _build_context(scratch: Scratch, tree: str, image: PlannedImage, seconds: int, out: IO[bytes]) -> Context:
    from orchestrator.image.context import ContextEntry, write_context
    from orchestrator.image.dockerignore import ignore_filter

    prefix = "" if image.context in (".", "") else image.context.rstrip("/") + "/"
    rules = scratch.file(tree, f"{prefix}.dockerignore")
    return write_context(
        [ContextEntry(path=entry.path, mode=entry.mode, sha=entry.sha) for entry in scratch.entries(tree)],
        lambda entry: scratch.blob(entry.sha),
        out,
        root=image.context,
        dockerfile=image.dockerfile,
        mtime=seconds,
        ignored=ignore_filter(rules.decode("utf-8", "replace")) if rules is not None else None,
    )
