"""What a release says of its images, as in-toto statements: https://in-toto.io/Statement/v1.

Everything comes from the record's values, so who has the record can make the same statement again and compare.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import PickState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.core.pick import Pick
    from orchestrator.core.record import Record, RecordedImage, RecordedPlatform
    from orchestrator.core.reference import ImageRepository

STATEMENT: Final = "https://in-toto.io/Statement/v1"
SIGNATURE: Final = "https://sigstore.dev/cosign/sign/v1"  # as cosign signs an image
PROVENANCE: Final = "https://slsa.dev/provenance/v1"
PICKS: Final = "https://release-orchestrator.org/picks/v1"  # docs/provenance.md
BUILD_TYPE: Final = "https://release-orchestrator.org/build/v1"  # docs/provenance.md
BUILDER: Final = "https://release-orchestrator.org/builder/v1"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A predicate about one manifest or index of a repository."""

    repository: ImageRepository
    digest: str
    predicate_type: str
    predicate: dict[str, Any]

    @property
    def content(self) -> bytes:
        """The bytes that are signed; the same statement always gives the same."""
        document = {
            "_type": STATEMENT,
            "subject": [{"name": str(self.repository), "digest": {"sha256": self.digest.partition(":")[2]}}],
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def signature(repository: ImageRepository, digest: str) -> Statement:
    """That this very image was released, and nothing more."""
    return Statement(repository=repository, digest=digest, predicate_type=SIGNATURE, predicate={})


# ------------------------------------------------------------------ provenance


def provenance(record: Record, image: RecordedImage, page: str) -> Statement:
    """SLSA's build provenance, version 1, of an image of a release.

    `page` is the repository's page, where release.yaml names it.
    """
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "version": str(record.version),
                "branch": record.branch,
                "config": {"path": record.config.path, "sha256": record.config.sha256},
                "image": {"reference": str(image.reference), "variant": image.variant},
            },
            "internalParameters": {"planId": record.plan_id, "git": record.tool.git},
            "resolvedDependencies": list(_dependencies(record, image, page)),
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"release-orchestrator": record.tool.version}},
            "metadata": {"invocationId": record.plan_id},
        },
    }
    return Statement(
        repository=image.reference.repository, digest=image.digest, predicate_type=PROVENANCE, predicate=predicate
    )


def _dependencies(record: Record, image: RecordedImage, page: str) -> Iterator[dict[str, Any]]:
    """Commits, then what the image is built on, then its locks."""
    yield _commit("release", record.commit, page) | {"annotations": {"tag": str(record.version), "tree": record.tree}}
    yield _commit("base of the branch", record.base, page)
    for pick in record.picks:
        yield _commit("pick", pick.source, page) | {"annotations": {"result": pick.carrier, "state": pick.state.value}}
    seen: list[dict[str, Any]] = []
    for build in image.platforms or (image,):
        seen += [each for each in _materials(build) if each not in seen]
    yield from seen


def _commit(name: str, sha: str, page: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "digest": {"gitCommit": sha}}
    return found | ({"uri": f"git+{page}@{sha}"} if page else {})


def _materials(build: RecordedImage | RecordedPlatform) -> Iterator[dict[str, Any]]:
    if build.base.id or build.base.name:
        digest = {"digest": {"sha256": build.base.id.partition(":")[2]}} if build.base.id.startswith("sha256:") else {}
        yield {"name": "base image", "uri": f"oci:{build.base.name}", **digest}
    if build.heavy:
        digest = {"digest": {"sha256": build.heavy.digest.partition(":")[2]}}
        yield {"name": "heavy base", "uri": f"oci:{build.heavy.reference}", **digest}
    if build.lock:
        yield {"name": "lock", "uri": f"file:{build.lock.path}", "digest": {"sha256": build.lock.sha256}}
    for patch in build.patches:
        yield {"name": "patch", "uri": f"file:{patch.name}", "digest": {"sha256": patch.sha256}}


# ------------------------------------------------------------------ picks


def picks(record: Record, image: RecordedImage) -> Statement:
    """Which fixes are in this digest, and how each is known to be."""
    predicate = {
        "version": str(record.version),
        "previous": str(record.previous or ""),
        "branch": record.branch,
        "base": record.base,
        "commit": record.commit,
        "tag": {"name": str(record.tag.name), "object": record.tag.object},
        "picks": [_pick(each) for each in record.picks],
        "skipped": [{"source": each.source, "subject": each.subject, "reason": each.reason} for each in record.skipped],
    }
    return Statement(
        repository=image.reference.repository, digest=image.digest, predicate_type=PICKS, predicate=predicate
    )


def _pick(pick: Pick) -> dict[str, Any]:
    return {
        "declared": pick.declared,
        "source": pick.source,
        "result": pick.result,
        "state": pick.state.value,
        "subject": pick.subject,
        "reason": pick.reason,
        "approvedBy": list(pick.approved_by),
        "proof": _proof(pick),
    }


def _proof(pick: Pick) -> dict[str, Any]:
    """What anybody with the repository can do again to see it."""
    if pick.state is PickState.CLEAN:
        return {"kind": "replay", "commit": pick.source, "gives": pick.result}
    if pick.state is PickState.ADAPTED:
        return {"kind": "resolution", "commit": pick.applied, "gives": pick.result}
    if pick.state is PickState.DUPLICATE:
        return {"kind": "duplicate", "of": pick.duplicate_of, "by": list(pick.duplicate_by)}
    return {"kind": "empty"}
