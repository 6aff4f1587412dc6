"""Bundles, and what is none."""

from __future__ import annotations

import json

from orchestrator.attest import bundle
from orchestrator.attest.keys import PublicKey, signing_key
from orchestrator.attest.statement import Statement
from orchestrator.attest.trust import Trust
from orchestrator.core.reference import parse_repository
from tests.support.signing import pair

DIGEST = f"sha256:{'a' * 64}"
STATEMENT = Statement(
    repository=parse_repository("registry.example.com/x"),
    digest=DIGEST,
    predicate_type="https://example.com/t",
    predicate={},
)


def test_it_is_read_back_and_believed_by_its_key_alone() -> None:
    mine, other = pair(), pair()
    data = bundle.sign(STATEMENT.content, signing_key(mine.private, b"", "k", "P"))
    found = bundle.read(data)
    assert found is not None
    assert found.signed_by((PublicKey(other.public), PublicKey(mine.public))) == PublicKey(mine.public)
    assert found.signed_by((PublicKey(other.public),)) is None
    assert found.is_about(DIGEST)
    assert not found.is_about(f"sha256:{'b' * 64}")
    assert found.statement["predicateType"] == "https://example.com/t"


def test_an_edited_payload_is_believed_by_nobody() -> None:
    mine = pair()
    data = bundle.sign(STATEMENT.content, signing_key(mine.private, b"", "k", "P"))
    document = json.loads(data)
    other = bundle.sign(STATEMENT.content.replace(b"aaaa", b"bbbb"), signing_key(mine.private, b"", "k", "P"))
    document["dsseEnvelope"]["payload"] = json.loads(other)["dsseEnvelope"]["payload"]
    found = bundle.read(json.dumps(document).encode())
    assert found is not None
    assert found.signed_by((PublicKey(mine.public),)) is None
    assert Trust(keys=(PublicKey(mine.public),)).is_broken(found)
    assert not Trust(keys=(PublicKey(pair().public),)).is_broken(found), "somebody else's is none of ours"
    genuine = bundle.read(data)
    assert genuine is not None
    assert not Trust(keys=(PublicKey(mine.public),)).is_broken(genuine)


def test_what_is_no_bundle() -> None:
    for data in (b"", b"[]", b"{}", b'{"dsseEnvelope": {"payload": 1}}', b'{"dsseEnvelope": []}', b"\xff"):
        assert bundle.read(data) is None
    odd = b'{"dsseEnvelope": {"payload": "W10=", "payloadType": "application/vnd.in-toto+json", "signatures": []}}'
    found = bundle.read(odd)
    assert found is not None
    assert found.statement == {}
    assert not found.is_about(DIGEST)
