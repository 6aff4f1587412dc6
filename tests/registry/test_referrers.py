"""Statements beside an image, in registries that take them badly: a real docker-registry behind a proxy."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.attest.attach import bundles, publish
from orchestrator.attest.keys import signing_key
from orchestrator.attest.signing import KeySigner
from orchestrator.attest.statement import PICKS, Statement, signature
from orchestrator.core.errors import RemoteError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.registry.retry import RetryPolicy
from tests.registry.beside import ADA
from tests.support.registry_images import tiny_image
from tests.support.registry_proxy import Answer, Asked, Proxy, refusal
from tests.support.signing import pair

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.docker
WHEN = "2025-01-01T00:00:00Z"
LARGEST = 5000  # bytes of a blob, where the registry has a limit


def mine() -> KeySigner:
    return KeySigner(signing_key(pair().private, b"", "k", "P"))


def _client(proxy: Proxy, name: str) -> Registry:
    patience = RetryPolicy(sleep=lambda _: None, jitter=lambda: 1.0)
    return Registry(ImageRepository(host=proxy.host, path=f"team/{name}"), credentials=lambda: ADA, patience=patience)


def _no_api(asked: Asked) -> Answer | None:
    return refusal(403, "DENIED", "no such thing here") if "/referrers/" in asked.path else None


def _no_method(asked: Asked) -> Answer | None:
    return Answer(405, {}, b"") if "/referrers/" in asked.path else None


def _no_tags(asked: Asked) -> Answer | None:
    wrong = asked.method == "PUT" and asked.tag.startswith("sha256-")
    return refusal(400, "TAG_INVALID", "tags are versions here") if wrong else None


def _only_small(asked: Asked) -> Answer | None:
    large = asked.method in ("PUT", "PATCH", "POST") and int(asked.headers.get("Content-Length") or 0) > LARGEST
    return Answer(413, {}, b"<html>413</html>") if large else None


@pytest.mark.parametrize(
    ("name", "way", "code", "says"),
    [
        ("no-api", _no_api, "registry-forbidden", "look for what refers to sha256:"),
        ("no-method", _no_method, "registry-refused", "HTTP 405"),
        ("no-tags", _no_tags, "registry-refused", "tags are versions here"),
        ("only-small", _only_small, "registry-too-large", "HTTP 413"),
    ],
)
def test_a_registry_that_takes_no_statements_is_one_line(
    proxy: Proxy, upstream: str, name: str, way: Callable[[Asked], Answer | None], code: str, says: str
) -> None:
    client = _client(proxy, name)
    image = tiny_image(replace(client.repository, host=upstream), "v1")
    client.put_manifest("v1", image)
    proxy.before = way
    bill = Statement(
        repository=client.repository, digest=image.digest, predicate_type=PICKS, predicate={"components": "x" * LARGEST}
    )
    with pytest.raises(RemoteError) as raised:
        publish(client, [bill], mine(), WHEN)
    found = raised.value
    assert (found.code, says in found.message, "\n" in found.message, bool(found.remedy)) == (code, True, False, True)
    proxy.before = lambda _: None
    assert len(publish(client, [bill], mine(), WHEN)) == 1, "what the registry took before is no hindrance"


def test_what_somebody_else_signed_stays_and_does_not_count(proxy: Proxy, upstream: str) -> None:
    client, one, other = _client(proxy, "others"), mine(), mine()
    image = tiny_image(replace(client.repository, host=upstream), "v1")
    client.put_manifest("v1", image)
    said = signature(client.repository, image.digest)
    theirs, ours = publish(client, [said], other, WHEN), publish(client, [said], one, WHEN)
    assert theirs != ours
    assert publish(client, [said], one, WHEN) == ours
    found = [each for _, each in bundles(client, image.digest)]
    assert [sum(map(each.trust.believes, found)) for each in (one, other)] == [1, 1]
    tag = client.manifest(image.digest.replace(":", "-"))
    assert tag is not None
    assert len(json.loads(tag.content)["manifests"]) == 2
