"""What is asked of a registry when several conversations share what they have read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import MismatchError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.registry.documents import Documents
from tests.registry.client import ADA, BASIC, BASIC_ADA, DIGEST, FOUND, IMAGE, OCI, OTHER, failing
from tests.registry.scripted_server import Reply, Script, in_turn

if TYPE_CHECKING:
    from collections.abc import Callable


def pair(host: str, path: str = "team/cuda") -> tuple[Registry, Registry]:
    """Two conversations of one run."""
    kept, logins = Documents(), lambda: ADA
    first, second = (
        Registry(ImageRepository(host=host, path=each), credentials=logins, documents=kept)
        for each in ("team/cuda", path)
    )
    return first, second


def test_what_has_a_digest_is_read_once(server: Script) -> None:
    server.answer = in_turn(FOUND, Reply(200, IMAGE, {}))
    first, second = pair(server.host)
    assert first.manifest(DIGEST) == second.manifest(DIGEST)
    assert first.blob(DIGEST) == second.blob(DIGEST) == IMAGE
    assert len(server.seen) == 2


def test_of_another_repository_it_is_asked_again(server: Script) -> None:
    server.answer = in_turn(FOUND, Reply(404))
    first, other = pair(server.host, "team/other")
    assert first.manifest(DIGEST)
    assert other.manifest(DIGEST) is None


@pytest.mark.parametrize("look", [lambda it: it.manifest("v1"), lambda it: (it.manifest(DIGEST), it.head("v1"))])
def test_a_tag_is_asked_again_but_its_manifest_is_not_sent_again(
    server: Script, look: Callable[[Registry], object]
) -> None:
    server.answer = lambda seen: Reply(304) if seen.headers.get("if-none-match") == f'"{DIGEST}"' else FOUND
    first, second = pair(server.host)
    look(first)
    before = len(server.seen)
    found = second.manifest("v1")
    assert found
    assert (found.digest, len(server.seen)) == (DIGEST, before + 1)
    assert server.seen[-1].headers["if-none-match"] == f'"{DIGEST}"'


def test_a_tag_that_moved_is_seen(server: Script) -> None:
    server.answer = in_turn(FOUND, Reply(200, IMAGE + b"\n", {"Content-Type": OCI}), Reply(404))
    first, second = pair(server.host)
    found = first.manifest("v1"), second.manifest("v1"), first.manifest("v1")
    assert [each.content if each else None for each in found] == [IMAGE, IMAGE + b"\n", None]


def test_the_tag_of_a_version_that_is_out_is_asked_once(server: Script) -> None:
    server.answer = in_turn(Reply(404), FOUND)
    first, second = pair(server.host)
    assert first.released("v1") is None
    assert first.released("v1") == second.released("v1") is not None
    assert len(server.seen) == 2


def test_other_bytes_than_said_are_not_kept(server: Script) -> None:
    server.answer = in_turn(Reply(200, IMAGE, {"Content-Type": OCI, "Docker-Content-Digest": OTHER}), Reply(304))
    first, second = pair(server.host)
    with pytest.raises(MismatchError, match=OTHER):
        first.manifest("v1")
    assert failing(lambda: second.manifest("v1")).code == "registry-refused"  # a 304 that nobody asked for


def test_what_was_only_put_is_not_believed(server: Script) -> None:
    server.answer = in_turn(FOUND, Reply(201), Reply(404))
    first, second = pair(server.host)
    manifest = first.manifest("v1")
    assert manifest
    other = type(manifest)(content=IMAGE + b"\n", media_type=OCI)
    first.put_manifest("v2", other)
    assert second.manifest(other.digest) is None


def test_a_second_conversation_needs_no_challenge(server: Script) -> None:
    server.answer = lambda seen: FOUND if seen.authorization == BASIC_ADA else Reply(401, b"", BASIC)
    first, second = pair(server.host)
    first.ping()
    second.follow(first)
    before = len(server.seen)
    assert second.head("v1")
    assert len(server.seen) == before + 1
