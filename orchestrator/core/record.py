"""The record of a release: one JSON document that says what was declared, made, checked and published."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator import __version__
from orchestrator.core.errors import MismatchError, ReleaseError, UsageError
from orchestrator.image.inputs import patches_of
from orchestrator.image.patches import account
from orchestrator.release.steps.outcomes import Built, Floated, Landed, Promoted, Smoked, Tagged, Uploaded, Verified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.results import PlannedImage, PromotedFrom
    from orchestrator.release.steps.runner import Workshop

SCHEMA_VERSION = 1


def record_ref(version: str) -> str:
    """The ref that holds a version's record, here and on the remote."""
    return f"refs/release-records/{version}"


def record(shop: Workshop) -> dict[str, Any]:
    """The record, from the plan and the outcomes so far."""
    plan = shop.plan
    tagged = shop.find(Landed) or shop.find(Tagged)
    verified = shop.find(Verified)
    return {
        "schema_version": SCHEMA_VERSION,
        "version": plan.version,
        "previous": plan.previous,
        "summary": plan.summary,
        "branch": plan.branch,
        "base": plan.base,
        "commit": plan.head,
        "tree": plan.tree,
        "picked_tree": plan.picked_tree,
        "tag": {"name": plan.version, "object": tagged.tag_object if tagged else shop.plan.tag_object},
        "plan_id": plan.plan_id,
        "config": {"path": plan.config_path, "sha256": plan.config_sha256},
        "committer": plan.committer,
        "picks": [asdict(pick) for pick in plan.picks],
        "freeze_broken": plan.freeze_broken,
        "skipped": [asdict(skipped) for skipped in plan.skipped],
        "verify": asdict(verified) if verified else None,
        "promoted_from": _origin(plan.promoted_from) if plan.promoted_from else None,
        "images": [_promoted(shop, image) if plan.promoted_from else _image(shop, image) for image in plan.images],
        "tool": {"name": "release", "version": __version__, "git": plan.git_version},
        "finished_at": shop.doors.now(),
        "seconds": dict(shop.durations),
    }


def _image(shop: Workshop, image: PlannedImage) -> dict[str, Any]:
    built, uploaded = shop.outcome(Built, image), shop.outcome(Uploaded, image)
    floated = shop.find(Floated, image)
    with shop.repository.scratch() as scratch:
        patches = [account(entry) for entry in patches_of(scratch, shop.plan.tree, image)]
    return {
        "reference": image.reference,
        "variant": image.variant,
        "aliases": list(image.aliases),
        "digest": shop.outcome(Promoted, image).digest,
        "image_id": built.image_id,
        "size": built.size,
        "compressed_size": uploaded.size,
        "delta": asdict(uploaded.delta),
        "layers": list(built.layers),
        "base": {"name": built.base, "id": built.base_id},
        "lock": {"path": image.lock, "sha256": built.lock_sha256} if image.lock else None,
        "patches": patches,
        "context_sha256": built.context_sha256,
        "labels": dict(built.labels),
        "checks": [asdict(result) for result in shop.outcome(Smoked, image).results],
        "floating": {"moved": list(floated.moved), "left": list(floated.left)} if floated else None,
    }


def _origin(origin: PromotedFrom) -> dict[str, str]:
    """`version_inside`: what the bytes say of themselves, in labels and files; they are those that were tested."""
    return {
        "version": origin.version,
        "tag": origin.tag_object,
        "record": origin.record,
        "version_inside": origin.version,
    }


def _promoted(shop: Workshop, image: PlannedImage) -> dict[str, Any]:
    """The candidate's account of the image, under the names that it has now."""
    floated, uploaded = shop.find(Floated, image), shop.outcome(Uploaded, image)
    return {
        **image_of(candidate_record(shop), image.candidate),
        "reference": image.reference,
        "aliases": list(image.aliases),
        "digest": shop.outcome(Promoted, image).digest,
        "delta": asdict(uploaded.delta),
        "floating": {"moved": list(floated.moved), "left": list(floated.left)} if floated else None,
    }


def candidate_record(shop: Workshop) -> dict[str, Any]:
    """The record of the candidate that is promoted."""
    origin = shop.plan.promoted_from
    if origin is None:
        raise ReleaseError(f"{shop.plan.version} is not promoted from a candidate", code="task-order")
    ref, scratch = record_ref(origin.version), shop.doors.scratch()
    if not scratch.has(origin.record):
        shop.repository.bring(scratch, shop.plan.remote, [ref])
    return parse_record(scratch.blob(origin.record), ref)


def image_of(record: Mapping[str, Any], reference: str) -> dict[str, Any]:
    """The image of a record by its reference.  Raises MismatchError when there is none."""
    found = next((dict(image) for image in record["images"] if image["reference"] == reference), None)
    if found is None:
        raise MismatchError(
            f"the record of {record['version']} has no image {reference}",
            where=record_ref(record["version"]),
            remedy="release.yaml at its tag declares an image that it did not publish: release the next version",
            code="record-differs",
        )
    return found


def render(data: Mapping[str, Any]) -> bytes:
    """The bytes that are stored."""
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def parse_record(data: bytes, where: str) -> dict[str, Any]:
    """Raises UsageError for what is no record of this format."""
    try:
        parsed = json.loads(data)
        known = parsed["schema_version"] == SCHEMA_VERSION
        if known:
            essence(parsed)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(
            "this is not a release record",
            where=where,
            remedy=f"somebody else wrote that ref; see: git ls-remote origin {where}",
            code="bad-record",
        ) from error
    if not known:
        raise UsageError(
            f"the record has format {parsed['schema_version']!r}, this tool reads {SCHEMA_VERSION}",
            where=where,
            remedy="use a newer version of this tool",
            code="bad-record",
        )
    return dict(parsed)


def essence(data: Mapping[str, Any]) -> dict[str, Any]:
    """What two accounts of one release must agree on."""
    return {
        "version": data["version"],
        "commit": data["commit"],
        "tree": data["tree"],
        "tag": data["tag"]["object"],
        "images": {image["reference"]: image["digest"] for image in data["images"]},
    }


def must_agree(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> None:
    """Raises MismatchError naming the first difference."""
    mine, other = essence(ours), essence(theirs)
    for key, value in mine.items():
        if other[key] != value:
            raise MismatchError(
                f"the record of {mine['version']} says {key} {other[key]}, this run made {value}",
                where=where,
                remedy=f"find out who made the other: release show {mine['version']}; release verify {mine['version']}",
                code="record-differs",
            )
