"""tag <-> commit <-> release.yaml <-> record <-> digest <-> labels: each link is a check that passes, fails or is
skipped with the reason.  What could not be looked at never passes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError, ReleaseError, RemoteError
from orchestrator.core.labels import HEAVY_KEY, REVISION, VERSION
from orchestrator.core.record import comparisons, facts_of_tag
from orchestrator.core.results import CheckResult, CheckState
from orchestrator.core.versions import TagVersion
from orchestrator.plan.images import planned_images
from orchestrator.thin.planned import with_heavy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.audit.tags import Tag
    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record, RecordedHeavy, RecordedImage, ReleaseFacts
    from orchestrator.core.reference import Reference
    from orchestrator.git.scratch import Scratch
    from orchestrator.registry.client import Registry


def passed(name: str, message: str) -> CheckResult:
    return CheckResult(name=name, state=CheckState.PASSED, message=message)


def failed(name: str, message: str, remedy: str = "") -> CheckResult:
    return CheckResult(name=name, state=CheckState.FAILED, message=message, remedy=remedy)


def skipped(name: str, message: str) -> CheckResult:
    return CheckResult(name=name, state=CheckState.SKIPPED, message=message)


def compared(name: str, what: str, ours: object, theirs: object, said_by: str) -> CheckResult:
    """Two accounts of one thing."""
    if ours == theirs:
        return passed(name, f"{what} {str(ours)[:19]}, as {said_by} says")
    return failed(
        name, f"{what} is {ours or 'not there'}, {said_by} says {theirs or 'nothing'}", "find out who changed it"
    )


# ------------------------------------------------------------------ git's side


def record_links(record: Record, facts: ReleaseFacts) -> list[CheckResult]:
    """The record against what the tag, its commit and release.yaml there say."""
    return [
        failed(f"record: {each.name}", f"the record {each.fault}", "compare: release show, git cat-file tag")
        if each.fault
        else passed(f"record: {each.name}", f"{each.actual[:19]}, as the record says")
        for each in comparisons(record, facts)
    ]


def facts_of(scratch: Scratch, tag: Tag, text: bytes | None, config: Config | None) -> ReleaseFacts:
    """What a version tag says, with release.yaml at its commit (`text`, and as parsed)."""
    planned = planned_images(config, tag.name, tag.commit) if config else None
    return facts_of_tag(
        TagVersion.from_text(tag.name),
        tag=tag.object,
        commit=tag.commit,
        message=tag.message,
        tree=scratch.commit(tag.commit).tree,
        config_sha256=hashlib.sha256(text).hexdigest() if text is not None else None,
        images=None if planned is None else {image.reference: "" for image in planned},
    )


# ------------------------------------------------------------------ the registry's side


def image_links(
    tag: Tag, record: Record | None, config: Config | None, registry: Callable[[str], Registry] | None
) -> list[CheckResult]:
    """Each image of a version: the digest against the record, the labels against the tag.  No registry: offline."""
    wanted = _images(tag, record, config)
    checks: list[CheckResult] = []
    for reference, digest in wanted.items():
        if registry is None:
            checks.append(skipped(f"image {reference}", "offline: the registry was not asked"))
            continue
        try:
            checks += _image(tag, origin(record) or tag.name, reference, digest, registry(str(reference.repository)))
        except MismatchError as error:
            checks.append(failed(f"image {reference}", error.message, error.remedy))
        except RemoteError as error:
            checks.append(skipped(f"image {reference}", error.message))
        except ReleaseError as error:
            checks.append(failed(f"image {reference}", error.message, error.remedy))
    return checks


def _images(tag: Tag, record: Record | None, config: Config | None) -> dict[Reference, str]:
    """Reference -> digest by the record, "" where none tells."""
    if record is not None:
        return {name: image.digest for image in record.images for name in image.names}
    planned = planned_images(config, tag.name, tag.commit) if config else ()
    return {name: "" for image in planned for name in image.names}


def _image(tag: Tag, version: str, reference: Reference, digest: str, registry: Registry) -> list[CheckResult]:
    manifest = registry.manifest(reference.tag)
    if manifest is None:
        return [failed(f"image {reference}", "the registry does not have it", "release publish makes it again")]
    name = f"image {reference}"
    checks = [
        compared(f"{name}: digest", "the registry has", manifest.digest, digest, "the record")
        if digest
        else skipped(f"{name}: digest", f"{manifest.digest}; no record to compare with")
    ]
    labels = registry.labels(manifest)
    checks.append(compared(f"{name}: revision", "label revision is", labels.get(REVISION, ""), tag.commit, "the tag"))
    checks.append(compared(f"{name}: version", "label version is", labels.get(VERSION, ""), version, "the tag"))
    return checks


# ------------------------------------------------------------------ the heavy base under a thin image


def heavy_links(
    tag: Tag, record: Record | None, config: Config | None, scratch: Scratch, registry: Callable[[str], Registry] | None
) -> list[CheckResult]:
    """Each heavy base that the record of a version names.  No registry: offline."""
    checks: list[CheckResult] = []
    bases = [
        (image, platform, heavy) for image in (record.images if record else ()) for platform, heavy in _bases(image)
    ]
    for image, platform, heavy in bases:
        name = f"image {image.reference}: heavy base" + (f" for {platform}" if platform else "")
        key = _key(tag, image, platform, config, scratch)
        if not record or record.promoted_from is None:  # the candidate's tree is another one
            checks.append(compared(f"{name} key", "made from", heavy.key, key, "the tag's tree"))
        if registry is None:
            checks.append(skipped(name, "offline: the registry was not asked"))
            continue
        try:
            checks += _in_registry(name, image, platform, heavy, registry)
        except RemoteError as error:
            checks.append(skipped(name, error.message))
    return checks


def _bases(image: RecordedImage) -> list[tuple[str, RecordedHeavy]]:
    """Platform and heavy base of each image that has one; "" for what is no index."""
    builds = [(each.platform, each.heavy) for each in image.platforms] or [("", image.heavy)]
    return [(platform, heavy) for platform, heavy in builds if heavy]


def _key(tag: Tag, image: RecordedImage, platform: str, config: Config | None, scratch: Scratch) -> str:
    """What the tag's own tree makes the key to be, "" where it declares no such base."""
    if config is None:
        return ""
    tree = scratch.tree_of(tag.commit)
    for each in with_heavy(planned_images(config, tag.name, tag.commit), config.image, scratch, tree):
        for build in each.builds if each.reference == image.reference else ():
            if build.heavy and platform in ("", build.platform):
                return build.heavy.key
    return ""


def _in_registry(
    name: str, image: RecordedImage, platform: str, heavy: RecordedHeavy, registry: Callable[[str], Registry]
) -> list[CheckResult]:
    beside, own = registry(str(heavy.reference.repository)), registry(str(image.reference.repository))
    found, released = beside.manifest(heavy.reference.tag), own.manifest(image.reference.tag)
    checks = [compared(name, f"{heavy.reference} is", found.digest if found else "", heavy.digest, "the record")]
    base = beside.find_image(found, platform) if found else None
    if base is None:
        return checks
    said = beside.config(base).labels.get(HEAVY_KEY, "")
    checks.append(compared(f"{name} label", "it says that it is made from", said, heavy.key, "the record"))
    thin = own.find_image(released, platform) if released else None
    if thin is not None:
        below = [layer.digest for layer in beside.layers(base)]
        first = [layer.digest for layer in own.layers(thin)][: len(below)]
        checks.append(
            passed(f"{name} layers", f"the first {len(below)} layers of the image are its")
            if first == below
            else failed(f"{name} layers", "the image is not made on it", "find out who pushed the image")
        )
    return checks


# ------------------------------------------------------------------ what callers ask


def origin(record: Record | None) -> str:
    """The candidate that a version was promoted from, "" for one that was cut: its image goes on saying that name."""
    return str(record.promoted_from.version) if record and record.promoted_from else ""


def failures(checks: Sequence[CheckResult]) -> list[CheckResult]:
    return [check for check in checks if check.state is CheckState.FAILED]
