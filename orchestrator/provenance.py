"""The record of a release: one JSON document that says what was declared, made, checked and published."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator import __version__
from orchestrator.errors import MismatchError, UsageError
from orchestrator.outcomes import Built, Floated, Landed, Promoted, Smoked, Tagged, Uploaded, Verified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.model import PlannedImage
    from orchestrator.pipeline import Workshop

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
        "images": [_image(shop, image) for image in plan.images],
        "tool": {"name": "release", "version": __version__, "git": plan.git_version},
        "finished_at": shop.doors.now(),
        "seconds": dict(shop.durations),
    }


def _image(shop: Workshop, image: PlannedImage) -> dict[str, Any]:
    built, uploaded = shop.outcome(Built, image), shop.outcome(Uploaded, image)
    floated = shop.find(Floated, image)
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
        "context_sha256": built.context_sha256,
        "labels": dict(built.labels),
        "checks": [asdict(result) for result in shop.outcome(Smoked, image).results],
        "floating": {"moved": list(floated.moved), "left": list(floated.left)} if floated else None,
    }


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
    except (ValueError, TypeError, KeyError) as error:
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
                code="record-differs",
            )
