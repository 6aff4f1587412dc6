"""The verbs, against a registry whose answers are wrong, or change between two looks."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import MismatchError, ReleaseError, UsageError
from orchestrator.registry import reader
from orchestrator.registry.manifest import IMAGES, INDEXES, NO_TYPES, Manifest, digest_of
from orchestrator.registry.responses import next_page
from orchestrator.registry.retry import RetryPolicy
from tests.registry.client import DIGEST, FOUND, IMAGE, OCI, OTHER, Client, failing
from tests.registry.scripted_server import Reply, Script, Seen, in_turn, reply_json
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable


def test_only_404_is_absent(server: Script) -> None:
    server.answer = lambda _: reply_json({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, 404)
    client = Client(server.host).registry
    assert client.head("v1") is None
    assert client.manifest(DIGEST) is None
    assert client.tags() == ()
    assert failing(lambda: client.blob(DIGEST)).code == "registry-not-found"
    assert failing(client.ping).code == "registry-not-found"


@pytest.mark.parametrize("digest", ["", "garbage", "md5:0", "SHA256:" + "0" * 64])
def test_a_missing_digest_header_is_made_up_for_by_hashing(server: Script, digest: str) -> None:
    headers = {"Content-Type": f"{OCI}; charset=utf-8"} | ({"Docker-Content-Digest": digest} if digest else {})
    server.answer = in_turn(Reply(200, IMAGE, headers), Reply(200, IMAGE, headers))
    found = Client(server.host).registry.head("v1")
    assert found
    assert (found.digest, found.media_type, found.size) == (DIGEST, OCI, len(IMAGE))
    assert [seen.method for seen in server.seen] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"schemaVersion": 2, "mediaType": IMAGES[0], "config": {}, "layers": []}, IMAGES[0]),
        ({"schemaVersion": 2, "config": {}, "layers": []}, OCI),
        ({"schemaVersion": 2, "manifests": []}, INDEXES[1]),
        ({"schemaVersion": 2, "mediaType": "application/vnd.cncf.helm.config.v1+json", "config": {}, "layers": []}, ""),
        ({"schemaVersion": 1, "name": "team/cuda", "fsLayers": []}, ""),
        ({"errors": []}, ""),
    ],
)
def test_a_manifest_of_no_type_is_what_it_says_itself(server: Script, document: dict[str, object], kind: str) -> None:
    data = json.dumps(document).encode()
    client = Client(server.host).registry
    for served in NO_TYPES:
        reply = Reply(200, data, {"Content-Type": served} if served else {})
        server.answer = in_turn(reply, reply, reply)
        if kind:
            found = client.head("v1")
            assert found
            assert (found.digest, found.media_type) == (digest_of(data), kind)
            with pytest.raises(MismatchError, match=digest_of(data)):
                client.manifest(OTHER)
        else:
            assert "not an image manifest" in failing(lambda: client.manifest("v1")).message


@pytest.mark.parametrize("identifier", ["v1", OTHER])
def test_a_digest_that_is_not_that_of_the_bytes(server: Script, identifier: str) -> None:
    said = OTHER if identifier == "v1" else DIGEST
    server.answer = in_turn(Reply(200, IMAGE, {"Content-Type": OCI, "Docker-Content-Digest": said}))
    with pytest.raises(MismatchError, match=DIGEST):
        Client(server.host).registry.manifest(identifier)
    assert len(server.seen) == 1


def test_a_head_by_digest_that_answers_another(server: Script) -> None:
    server.answer = in_turn(FOUND)
    with pytest.raises(MismatchError, match=OTHER):
        Client(server.host).registry.head(OTHER)


def test_a_blob_of_other_bytes(server: Script) -> None:
    server.answer = in_turn(Reply(200, b"other"))
    with pytest.raises(MismatchError):
        Client(server.host).registry.blob(DIGEST)


def test_a_put_that_stored_something_else(server: Script) -> None:
    server.answer = in_turn(Reply(201, headers={"Docker-Content-Digest": OTHER}))
    with pytest.raises(MismatchError, match=OTHER):
        Client(server.host).registry.put_manifest("v1", Manifest(content=IMAGE, media_type=OCI))
    assert server.seen[0].body == IMAGE


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Reply(200, b"<html>login</html>", {"Content-Type": "text/html"}), "'text/html', not an image"),
        (Reply(200, b"", {}), "of no type"),
        (Reply(200, IMAGE[:30], {"Content-Type": OCI}), "not a JSON object"),
        (Reply(200, b"[]", {"Content-Type": OCI}), "not a JSON object"),
        (Reply(200, b"\xff\x00", {"Content-Type": OCI}), "not a JSON object"),
        (Reply(200, b"[" * 200_000, {"Content-Type": OCI}), "not a JSON object"),
        (Reply(200, b"<html>", {"Content-Type": OCI}), "an HTML page"),
        (Reply(200, b" " * (4 * 1024 * 1024 + 1), {"Content-Type": OCI}), "bigger than 4194304 bytes"),
        (Reply(500, b"<html>" + b"x" * 200_000, {"Content-Type": "text/html"}), "an HTML page"),
        (Reply(400, b"a\x1b]0;owned\x07" + b"x" * 200_000), "a\\x1b]0;owned\\x07xxx"),
        (Reply(400, b'{"errors": [7]}'), "HTTP 400"),
    ],
)
def test_nonsense_is_one_line(server: Script, answer: Reply, words: str) -> None:
    server.answer = lambda _: answer
    error = failing(lambda: Client(server.host, patience=RetryPolicy(tries=1)).registry.manifest("v1"))
    assert words in error.message
    assert "manifest v1 of team/cuda" in error.message
    assert len(error.message) < 500
    assert error.code in ("registry-bad-answer", "registry-unavailable", "registry-refused")


def test_a_web_page_is_not_a_registry(server: Script) -> None:
    server.answer = in_turn(Reply(200, b"<html>", {"Content-Type": "text/html"}))
    assert failing(Client(server.host).registry.ping).code == "registry-bad-answer"


@pytest.mark.parametrize("bad", ["../../x", "a/b", "a?b", "", "a\r\nX: y", "sha256:../..", "sha256:" + "0" * 63])
def test_identifiers_are_checked_before_anything_is_asked(server: Script, bad: str) -> None:
    client = Client(server.host).registry
    for call in (client.head, client.manifest, client.blob):
        with pytest.raises(UsageError):
            call(bad)
    with pytest.raises(UsageError):
        client.promote(DIGEST, bad)
    assert len(server.seen) <= 1


# ------------------------------------------------------------------ pages


def test_tags_come_in_pages(server: Script) -> None:
    following = {"Link": '</v2/team/cuda/tags/list?n=2&last=b>; rel="next"'}
    server.answer = in_turn(
        Reply(200, b'{"tags": ["a", "b"]}', following),
        reply_json({"tags": ["c", "a"]}),
        reply_json({"tags": None}),
    )
    client = Client(server.host).registry
    assert client.tags() == ("a", "b", "c")
    assert server.seen[1].path == "/v2/team/cuda/tags/list?n=2&last=b"
    assert client.tags() == ()


@pytest.mark.parametrize("tags", [7, ["a", 7], {"a": 1}])
def test_tags_that_are_no_tags(server: Script, tags: object) -> None:
    server.answer = in_turn(reply_json({"tags": tags}))
    assert "no list of tags" in failing(Client(server.host).registry.tags).message


def test_pages_stay_on_the_host_and_end(server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MAX_PAGES", 3)
    server.answer = in_turn(Reply(200, b"{}", {"Link": '<http://127.0.0.1:1/x>; rel="next"'}))
    assert "another host" in failing(Client(server.host).registry.tags).message
    server.answer = lambda _: Reply(200, b"{}", {"Link": '</v2/x>; rel="next"'})
    assert "goes on after 2 pages" in failing(Client(server.host).registry.tags).message
    server.answer = lambda seen: Reply(200, b"{}", {"Link": f'<{seen.path}0>; rel="next"'})
    assert "goes on after 4 pages" in failing(Client(server.host).registry.tags).message


def test_tags_without_end_are_refused(server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MAX_TAGS", 3)
    server.answer = lambda seen: Reply(200, b'{"tags": ["a", "b", "c", "d"]}', {"Link": f"<{seen.path}0>; rel=next"})
    assert "4 tags" in failing(Client(server.host).registry.tags).message


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ('</v2/x?n=1&last=a>; rel="next"', "/v2/x?n=1&last=a"),
        ("</v2/x>;rel=next", "/v2/x"),
        ('</v2/x> ; title="a" ; rel = "next" , </v2/y>; rel="prev"', "/v2/x"),
        ('</v2/y>; rel="prev", </v2/x>; rel="next"', "/v2/x"),
        ('</v2/y,z>; rel="prev,next"', ""),
        ("</v2/x", ""),
        ("", ""),
        ('</v2/x>; rel="nextish"', ""),
    ],
)
def test_the_next_page_in_a_link_header(link: str, target: str) -> None:
    assert next_page(link) == target


@pytest.mark.parametrize("part", ["<", "<a>; rel=", "<a>;;;;;", '<a>; rel="', ", ", "<>"])
def test_a_hostile_link_header_costs_nothing(part: str) -> None:
    with within():
        next_page(part * (1 << 20))


def test_an_upload_session_is_given_up_and_only_here(server: Script) -> None:
    server.answer = in_turn(Reply(202, headers={"Location": "/v2/team/cuda/blobs/uploads/1?s=2"}), Reply(204))
    Client(server.host).registry.can_push()
    assert [(seen.method, seen.path) for seen in server.seen][1:] == [("DELETE", "/v2/team/cuda/blobs/uploads/1?s=2")]
    server.answer = in_turn(Reply(202, headers={"Location": "http://127.0.0.1:1/x"}))
    Client(server.host).registry.can_push()
    server.answer = in_turn(Reply(202, headers={"Location": "/x"}), Reply(405))
    Client(server.host).registry.can_push()


# ------------------------------------------------------------------ promote


class Tags:
    """A registry that keeps one image and one tag; `after_put` lets somebody else act."""

    def __init__(self, server: Script, held: str = "") -> None:
        self.held = held
        self.after_put: Callable[[], Reply | None] = lambda: None
        server.answer = self

    def __call__(self, seen: Seen) -> Reply:
        if seen.path.endswith(DIGEST):
            return FOUND
        if seen.method == "PUT":
            self.held = DIGEST
            return self.after_put() or Reply(201)
        return Reply(200, IMAGE, {"Content-Type": OCI, "Docker-Content-Digest": self.held}) if self.held else Reply(404)

    def taken_by_other(self) -> Reply | None:
        self.held = OTHER
        return None


def test_promote_looks_puts_and_looks_twice_more(server: Script) -> None:
    tags = Tags(server)
    client = Client(server.host)
    done = client.registry.promote(DIGEST, "v1")
    assert (str(done.reference), done.changed, done.previous) == (f"{server.host}/team/cuda:v1", True, "")
    assert [seen.method for seen in server.seen] == ["GET", "HEAD", "GET", "PUT", "HEAD", "HEAD"]
    assert client.slept == [0.1]  # no time went by for the PUT
    assert tags.held == DIGEST


def test_promote_notices_that_another_one_won(server: Script) -> None:
    tags = Tags(server)
    tags.after_put = tags.taken_by_other
    with pytest.raises(MismatchError, match=OTHER) as caught:
        Client(server.host).registry.promote(DIGEST, "v1")
    assert caught.value.code == "tag-race"


def test_promote_notices_it_also_a_moment_later(server: Script) -> None:
    tags = Tags(server)
    with pytest.raises(MismatchError, match=OTHER):
        Client(server.host, on_sleep=tags.taken_by_other).registry.promote(DIGEST, "v1")


def test_a_put_is_not_repeated_over_somebody_elses_tag(server: Script) -> None:
    tags = Tags(server)

    def break_down() -> Reply:
        tags.taken_by_other()
        return Reply(503)

    tags.after_put = break_down
    with pytest.raises(ReleaseError, match="will not be moved") as caught:
        Client(server.host).registry.promote(DIGEST, "v1")
    assert caught.value.code == "tag-exists"
    assert [seen.method for seen in server.seen].count("PUT") == 1


# ------------------------------------------------------------------ documents that others wrote

INDEX = "application/vnd.oci.image.index.v1+json"
GOOD_LAYER = {"digest": DIGEST, "size": 1, "mediaType": "x"}


@pytest.mark.parametrize(
    "document",
    [
        {"config": 7, "layers": []},
        {"config": {"digest": "sha256:../../x", "size": 1}, "layers": []},
        {"config": {"digest": DIGEST, "size": "1"}, "layers": []},
        {"config": {"digest": DIGEST, "size": -1}, "layers": []},
        {"config": {"digest": DIGEST, "size": True}, "layers": []},
        {"config": {"digest": DIGEST, "size": 1 << 90}, "layers": []},
        {"config": {"digest": DIGEST}},
        {"config": {"digest": DIGEST}, "layers": {"0": GOOD_LAYER}},
        {"config": {"digest": DIGEST}, "layers": [7]},
        {"config": {"digest": DIGEST}, "layers": [{**GOOD_LAYER, "size": 1.5}]},
        {"config": {"digest": DIGEST}, "layers": [{**GOOD_LAYER, "digest": None}]},
        {"config": {"digest": DIGEST}, "layers": [{**GOOD_LAYER, "mediaType": 7}]},
    ],
)
def test_a_manifest_that_makes_no_sense_is_one_line(server: Script, document: object) -> None:
    server.answer = lambda _: reply_json(document, Content_Type=OCI)
    client = Client(server.host).registry
    found = client.manifest("v1")
    assert found
    assert failing(lambda: client.layers(found)).code == "registry-bad-answer"


@pytest.mark.parametrize(
    "document",
    [
        {"manifests": 7},
        {"manifests": [7]},
        {"manifests": [{"digest": "md5:1"}]},
        {"manifests": []},
        {"manifests": [{"digest": DIGEST, "platform": {"os": "unknown", "architecture": "unknown"}}]},
    ],
)
def test_an_index_that_makes_no_sense_is_one_line(server: Script, document: object) -> None:
    server.answer = lambda _: reply_json(document, Content_Type=INDEX)
    client = Client(server.host).registry
    found = client.manifest("v1")
    assert found
    assert failing(lambda: client.image(found)).code == "registry-bad-answer"


@pytest.mark.parametrize(
    "config",
    [
        b"[]",
        b'{"config": 7}',
        b'{"config": {"Labels": ["a"]}}',
        b'{"config": {"Labels": {"a": 7}}}',
        b'{"rootfs": {"diff_ids": ["x"]}}',
        b'{"rootfs": 7}',
        b'{"history": 7}',
        b'{"history": [7]}',
        b'{"config": {"Labels": {"a": "\\ud800"}}}',
        b'{"a": "\\uDfff"}',
        b"[" * 100_000,
    ],
)
def test_a_config_that_makes_no_sense_is_one_line(server: Script, config: bytes) -> None:
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    image = {"config": {"digest": digest, "size": len(config)}, "layers": []}

    def answer(seen: Seen) -> Reply:
        return Reply(200, config) if "blobs" in seen.path else reply_json(image, Content_Type=OCI)

    server.answer = answer
    client = Client(server.host).registry
    found = client.manifest("v1")
    assert found
    assert failing(lambda: client.labels(found)).code == "registry-bad-answer"
