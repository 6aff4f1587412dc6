"""Asking again, redirects and TLS, against a server that is slow, rare or somewhere else."""

from __future__ import annotations

import email.utils
import socket
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.registry.manifest import Layer, Manifest
from orchestrator.registry.retry import RetryPolicy
from tests.registry.client import (
    ADA,
    BASIC,
    BASIC_ADA,
    DIGEST,
    FOUND,
    IMAGE,
    OCI,
    Client,
    failing,
)
from tests.registry.scripted_server import Reply, Script, Seen, in_turn, reply_json, serve
from tests.registry.test_tls import _registry
from tests.support.waiting import within

if TYPE_CHECKING:
    from pathlib import Path


def test_429_waits_as_long_as_it_is_told(server: Script) -> None:
    later = email.utils.format_datetime(email.utils.parsedate_to_datetime("Wed, 01 Jan 2099 00:00:00 GMT"))
    server.answer = in_turn(
        Reply(429, headers={"Retry-After": "7"}),
        Reply(429, headers={"Retry-After": later}),
        Reply(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Reply(429, headers={"Retry-After": "soon"}),
        FOUND,
    )
    client = Client(server.host)
    assert client.registry.head("v1")
    assert client.slept == [7.0, 60.0, 0.0, 4.0]


def test_5xx_is_tried_again_with_growing_delays(server: Script) -> None:
    server.answer = in_turn(Reply(500), Reply(502), Reply(503), Reply(504), FOUND)
    client = Client(server.host)
    assert client.registry.head("v1")
    assert client.slept == [0.5, 1.0, 2.0, 4.0]


def test_who_waits_is_told_after_a_moment(server: Script) -> None:
    server.answer = lambda _: Reply(503, b"busy")
    told: list[str] = []
    client = Client(server.host, patience=RetryPolicy(tell=told.append))
    client.on_sleep = lambda: setattr(client, "now", sum(client.slept))
    failing(lambda: client.registry.manifest("v1"))
    assert told == [
        f"registry {server.host}: get manifest v1 of team/cuda: HTTP 503; try {n} of 5 follows" for n in (4, 5)
    ]
    server.answer = lambda _: Reply(hang=True)
    client = Client(server.host, patience=RetryPolicy(tries=2, read_timeout=0.2, quiet=0, tell=told.append))
    failing(lambda: client.registry.head("v1"))
    assert "no answer in time; try 2 of 2 follows" in told[-1]


def test_tries_end(server: Script) -> None:
    server.answer = lambda _: reply_json({"errors": [{"code": "UNKNOWN", "message": "disk is full"}]}, 503)
    error = failing(lambda: Client(server.host).registry.manifest("v1"))
    assert error.code == "registry-unavailable"
    assert "HTTP 503 after 5 tries: UNKNOWN: disk is full" in error.message
    assert len(server.seen) == 5


@pytest.mark.parametrize("status", [400, 405, 409, 416, 501, 505])
def test_everything_else_is_asked_once(server: Script, status: int) -> None:
    server.answer = lambda _: Reply(status, b"nope")
    client = Client(server.host)
    assert f"HTTP {status}: nope" in failing(lambda: client.registry.manifest("v1")).message
    assert len(server.seen) == 1


def test_a_hanging_server_is_a_timeout(server: Script) -> None:
    server.answer = lambda _: Reply(hang=True)
    client = Client(server.host, patience=RetryPolicy(tries=2, read_timeout=0.2))
    error = failing(lambda: client.registry.head("v1"))
    assert error.code == "registry-timeout"
    assert "2 times" in error.message
    assert len(server.seen) == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIBBLING = {
    "the status line": (b"", b"HTTP/1.1 200 OK" + b" " * 999),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Pad: abcdefghijklmnopqrstuvwxyz\r\n" * 50),
    "100 Continue for ever": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "headers of 100 Continue": (b"HTTP/1.1 100 Continue\r\n", b"X-Pad: abcdefghijklmnopqrstuvwxyz\r\n" * 50),
    "a body of known length": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x" * 999),
    "a body that ends with the connection": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 999),
    "the body of a refusal": (b"HTTP/1.1 403 No\r\nContent-Length: 9999\r\n\r\n", b"x" * 999),
    "small chunks": (CHUNKED, b"1\r\nx\r\n" * 200),
    "one big chunk": (CHUNKED + b"fffff\r\n", b"x" * 999),
    "the extension of a chunk": (CHUNKED + b"1;", b"x" * 999),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Pad: abcdefghijklmnopqrstuvwxyz\r\n" * 50),
}


@pytest.mark.wide(4)
@pytest.mark.parametrize("what", DRIBBLING)
def test_however_an_answer_dribbles_one_deadline_ends_it(server: Script, what: str) -> None:
    """A byte comes every 30 ms, far within the time between two bytes; a retry would begin it all again."""
    at_once, slowly = DRIBBLING[what]
    server.answer = lambda _: Reply(raw=at_once, drip=slowly)
    policy = RetryPolicy(exchange_timeout=2.5, read_timeout=9, clock=time.monotonic)
    registry = Registry(
        ImageRepository(host=server.host, path="team/cuda"), credentials=lambda: ADA, patience=policy, plain_http=True
    )
    error = failing(lambda: registry.manifest("v1"))
    assert (error.code, len(server.seen)) == ("registry-timeout", 1)
    assert 0 < server.dripped < len(slowly)  # all of it takes more than 30 s
    assert "no whole answer in 2.5 s" in error.message


def test_the_deadline_is_for_all_tries_redirects_and_logins_together(server: Script) -> None:
    now = 0.0

    def answer(seen: Seen) -> Reply:
        nonlocal now
        now += 50
        if "token" in seen.path:
            return reply_json({"token": f"t{len(server.seen)}"})
        if seen.authorization:
            return Reply(307, headers={"Location": "/v2/elsewhere"})
        return Reply(401, headers={"WWW-Authenticate": f'Bearer realm="http://{server.host}/token"'})

    server.answer = answer
    policy = RetryPolicy(exchange_timeout=120, clock=lambda: now)
    registry = Registry(
        ImageRepository(host=server.host, path="team/cuda"), credentials=lambda: ADA, patience=policy, plain_http=True
    )
    assert failing(lambda: registry.blob(DIGEST)).code == "registry-timeout"
    assert len(server.seen) == 3


def test_what_is_waited_between_tries_is_no_part_of_the_deadline(server: Script) -> None:
    busy = Reply(503, headers={"Retry-After": "20"})
    server.answer = in_turn(busy, busy, FOUND)
    client = Client(server.host, patience=RetryPolicy(exchange_timeout=30))
    client.on_sleep = lambda: setattr(client, "now", sum(client.slept))
    assert client.registry.head("v1")
    assert client.slept == [20, 20]


def test_a_layer_that_dribbles_ends_by_its_size(server: Script, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
    server.answer = lambda _: Reply(raw=head, drip=b"x" * 999)
    policy = RetryPolicy(exchange_timeout=1, slowest=9999 / 2, clock=time.monotonic)
    registry = Registry(
        ImageRepository(host=server.host, path="team/cuda"), credentials=lambda: ADA, patience=policy, plain_http=True
    )
    with (tmp_path / "layer").open("w+b") as file:
        error = failing(lambda: registry.download(Layer(digest=DIGEST, size=9999, media_type=""), file))
    assert error.code == "registry-timeout"
    assert 0 < server.dripped < 999  # all of it takes more than 30 s


def test_a_tls_greeting_that_never_ends_is_a_timeout() -> None:
    """The scripted server would read; this one takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        policy = RetryPolicy(tries=1, connect_timeout=0.5, exchange_timeout=0.8, clock=time.monotonic)
        registry = Registry(ImageRepository(host=host, path="team/cuda"), credentials=lambda: ADA, patience=policy)
        with within():
            assert failing(registry.ping).code == "registry-timeout"


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = Client(f"127.0.0.1:{unused.getsockname()[1]}", patience=RetryPolicy(tries=3))
        error = failing(client.registry.ping)
    assert error.code == "registry-unreachable"
    assert "connection refused, 3 times" in error.message
    assert client.slept == [0.5, 1.0]


def test_docker_hub_has_its_own_address_and_a_name_that_does_not_resolve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def resolve(host: str, *args: int, **kwargs: int) -> object:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    error = failing(Client("docker.io", patience=RetryPolicy(tries=2)).registry.ping)
    assert error.code == "registry-unreachable"
    assert "name or service not known, 2 times" in error.message
    assert set(asked) == {"registry-1.docker.io"}


def test_a_cut_answer_is_asked_for_again(server: Script) -> None:
    cut = Reply(200, IMAGE[:20], FOUND.headers, promised=len(IMAGE))
    server.answer = in_turn(cut, FOUND)
    assert Client(server.host).registry.manifest("v1") == Manifest(content=IMAGE, media_type=OCI)
    server.answer = lambda _: cut
    error = failing(lambda: Client(server.host, patience=RetryPolicy(tries=2)).registry.manifest("v1"))
    assert error.code == "registry-unreachable"


def test_bytes_that_are_not_http(server: Script) -> None:
    server.answer = lambda _: Reply(raw=b"\x00\xffSSH-2.0-OpenSSH\r\n\r\n")
    assert failing(Client(server.host, patience=RetryPolicy(tries=2)).registry.ping).code == "registry-unreachable"


# ------------------------------------------------------------------ redirects


def test_a_redirect_carries_no_login_to_another_host(server: Script) -> None:
    with serve() as storage:
        storage.answer = in_turn(Reply(200, IMAGE))
        server.answer = in_turn(
            Reply(401, headers=BASIC), Reply(307, headers={"Location": f"http://{storage.host}/bytes?sig=1"})
        )
        assert Client(server.host).registry.blob(DIGEST) == IMAGE
        assert server.seen[1].authorization == BASIC_ADA
        assert [seen.authorization for seen in storage.seen] == [""]
        assert "mallory" not in str(storage.seen)


def test_another_host_cannot_ask_for_the_login(server: Script) -> None:
    with serve() as storage:
        storage.answer = in_turn(Reply(401, headers=BASIC))
        server.answer = in_turn(
            Reply(401, headers=BASIC), Reply(307, headers={"Location": f"http://{storage.host}/bytes?sig=1"})
        )
        error = failing(lambda: Client(server.host).registry.blob(DIGEST))
        assert error.code == "registry-unauthorized"
        assert "sig" not in error.message
        assert len(storage.seen) == 1


def test_a_redirect_on_the_same_host_keeps_the_login(server: Script) -> None:
    server.answer = in_turn(
        Reply(401, headers=BASIC), Reply(307, headers={"Location": "/elsewhere"}), Reply(200, IMAGE)
    )
    assert Client(server.host).registry.blob(DIGEST) == IMAGE
    assert server.seen[2].path == "/elsewhere"
    assert server.seen[2].authorization == BASIC_ADA


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://u:p@x/", "http://[/", "//"])
def test_redirects_that_lead_nowhere(server: Script, location: str) -> None:
    server.answer = in_turn(Reply(307, headers={"Location": location}))
    failing(lambda: Client(server.host, patience=RetryPolicy(tries=1)).registry.blob(DIGEST))


def test_redirects_in_a_circle_end(server: Script) -> None:
    server.answer = lambda _: Reply(302, headers={"Location": "/again"})
    assert "more than 5 redirects" in failing(lambda: Client(server.host).registry.blob(DIGEST)).message


def test_no_proxy_is_used_for_loopback(server: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answer = lambda _: reply_json({})
    _registry(server.host, tmp_path).ping()
    assert len(server.seen) == 1
