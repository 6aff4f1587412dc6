"""Signed statements beside an image in its registry: written where they are missing, found again, read."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from orchestrator.attest import bundle
from orchestrator.core.errors import MismatchError
from orchestrator.core.labels import CREATED
from orchestrator.registry.referrers import Artifact, Referrer, attach, content, referrers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.attest.bundle import Bundle
    from orchestrator.attest.signing import Signer
    from orchestrator.attest.statement import Statement
    from orchestrator.registry.client import Registry
    from orchestrator.registry.reader import RegistryReader

_MOST: Final = 500  # bundles of one image that are read: anybody who may push can add some


def bundles(registry: RegistryReader, digest: str) -> list[tuple[Referrer, Bundle]]:
    """The bundles that refer to a manifest, whoever made them.  Some lists do not say the type."""
    found: list[tuple[Referrer, Bundle]] = []
    for each in referrers(registry, digest)[:_MOST]:
        kind, data = content(registry, each)
        read = bundle.read(data) if kind.startswith(bundle.FAMILY) else None
        if read:
            found.append((each, read))
    return found


def publish(registry: Registry, statements: Sequence[Statement], signer: Signer, when: str) -> tuple[str, ...]:
    """Have each statement there, signed; the digests of what refers to the images.

    What is there already is not written again.  `when` is the time that they carry.
    """
    made: list[str] = []
    for digest, group in groupby(sorted(statements, key=lambda each: each.digest), key=lambda each: each.digest):
        made += _publish(registry, digest, list(group), signer, when)
    return tuple(made)


def _publish(registry: Registry, digest: str, statements: list[Statement], signer: Signer, when: str) -> list[str]:
    subject = registry.manifest(digest)
    if subject is None:
        raise MismatchError(
            f"{registry.repository}@{digest} is not in the registry any more",
            remedy="run the same command again: it uploads what is missing",
            code="image-gone",
        )
    wanted = {each.content for each in statements}
    there = {
        each.payload: referrer.digest
        for referrer, each in bundles(registry, digest)
        if each.payload in wanted and signer.trust.believes(each)
    }
    missing = [each for each in statements if each.content not in there]
    artifacts = [
        Artifact(
            kind=bundle.MEDIA_TYPE,
            content=signer.sign(each.content),
            annotations={
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": each.predicate_type,
                CREATED: when,
            },
        )
        for each in missing
    ]
    kept = [there[each.content] for each in statements if each.content in there]
    return [*kept, *attach(registry, subject, artifacts)]
