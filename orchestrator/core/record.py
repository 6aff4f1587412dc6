"""The record of a release: one JSON document that says what was declared, made, checked and published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import MismatchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


SCHEMA_VERSION = 1


def record_ref(version: str) -> str:
    """The ref that holds a version's record, here and on the remote."""
    return f"refs/release-records/{version}"


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


def recorded_picks(record: Mapping[str, Any]) -> set[tuple[str, str]] | None:
    """(source, commit) of each pick that the version brings; None where the record does not tell picks."""
    picks = record.get("picks")
    if not isinstance(picks, list):
        return None
    rows = [row for row in picks if isinstance(row, dict)]
    found = {(str(row.get("source")), str(row["result"])) for row in rows if row.get("result")}
    return found | {(str(row.get("source")), str(row.get("duplicate_of"))) for row in rows if row.get("since_previous")}


def render(data: Mapping[str, Any]) -> bytes:
    """The bytes that are stored."""
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def parse_record(data: bytes, where: str) -> dict[str, Any]:
    """Raises UsageError for what is no record of this format."""
    try:
        parsed = json.loads(data)
        known = parsed["schema_version"] == SCHEMA_VERSION
        if known:
            identity(parsed)
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


def identity(data: Mapping[str, Any]) -> dict[str, Any]:
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
    mine, other = identity(ours), identity(theirs)
    for key, value in mine.items():
        if other[key] != value:
            raise MismatchError(
                f"the record of {mine['version']} says {key} {other[key]}, this run made {value}",
                where=where,
                remedy=f"find out who made the other: release show {mine['version']}; release verify {mine['version']}",
                code="record-differs",
            )
