"""Asking again, redirects and TLS, against a server that is slow, rare or somewhere else."""

from __future__ import annotations

import email.utils
import os
import shutil
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry import transport
from orchestrator.registry.client import Registry
from orchestrator.registry.deadline import Deadline
from orchestrator.registry.manifest import Layer, Manifest
from orchestrator.registry.retry import RetryPolicy
from orchestrator.registry.transport import make_session, read_usual_trust
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
    resolve_to_loopback,
)
from tests.registry.scripted_server import Reply, Script, Seen, in_turn, reply_json, serve
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator
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


# ------------------------------------------------------------------ TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file."""
    folder = tmp_path_factory.mktemp("tls")
    openssl = shutil.which("openssl")
    if not openssl:
        if os.environ.get("CI") == "true":
            pytest.fail("openssl is needed for the TLS tests: apt install openssl")
        pytest.skip("openssl is not installed")
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run([openssl, *command.split(), *names], cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_bytes((folder / "key.pem").read_bytes() + (folder / "ca.pem").read_bytes())
    return folder


@pytest.fixture
def secure(certificate: Path) -> Iterator[Script]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "both.pem")
    with serve(context) as script:
        script.answer = lambda _: reply_json({})
        yield script


def _registry(host: str, certificates: Path, *, plain_http: bool = False) -> Registry:
    return Registry(
        ImageRepository(host=host, path="team/cuda"),
        credentials=lambda: ADA,
        certificates=certificates,
        patience=RetryPolicy(tries=1),
        plain_http=plain_http,
    )


def test_a_certificate_nobody_signed_is_refused_also_on_loopback(secure: Script, tmp_path: Path) -> None:
    error = failing(_registry(secure.host, tmp_path).ping)
    assert error.code == "registry-certificate"
    assert str(tmp_path / secure.host / "ca.crt") in error.remedy
    assert secure.seen == []


def test_dockers_folder_of_private_cas_is_used(secure: Script, certificate: Path, tmp_path: Path) -> None:
    (tmp_path / secure.host).mkdir()
    shutil.copy(certificate / "ca.pem", tmp_path / secure.host / "ca.crt")
    _registry(secure.host, tmp_path).ping()
    assert [seen.path for seen in secure.seen] == ["/v2/", "/v2/"], "the look for TLS and the ping"
    assert failing(_registry(secure.host, tmp_path / "other").ping).code == "registry-certificate"


def test_the_bundle_of_the_environment_is_used(
    secure: Script, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "ca.pem"))
    _registry(secure.host, tmp_path).ping()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    with pytest.raises(UsageError, match="bundle of certificates"):
        _registry(secure.host, tmp_path).ping()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert failing(_registry(secure.host, tmp_path).ping).code == "registry-certificate"


def test_what_is_trusted_is_read_once_for_all_who_trust_the_same(certificate: Path, tmp_path: Path) -> None:
    def trusted(host: str) -> ssl.SSLContext:
        session = make_session(host, tmp_path / host, "test", Deadline(lambda: 0.0, 1))
        context = session.get_adapter("https://x").poolmanager.connection_pool_kw["ssl_context"]  # type: ignore[attr-defined]
        assert isinstance(context, ssl.SSLContext)
        return context

    (tmp_path / "own").mkdir()
    shutil.copy(certificate / "ca.pem", tmp_path / "own/ca.crt")
    assert trusted("one") is trusted("another") is not trusted("own")
    before = trusted("own")
    assert trusted("own") is before
    (tmp_path / "own/more.crt").write_bytes((certificate / "ca.pem").read_bytes())
    assert trusted("own") is not before


def test_what_is_usually_trusted_can_be_read_beforehand(
    secure: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the plan: the first conversation reads no bundle then, and trusts no more for it."""
    transport._trust.cache_clear()  # what other tests have read
    read_usual_trust()
    read: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: read.append(_))
    assert failing(_registry(secure.host, tmp_path).ping).code == "registry-certificate"
    assert read == []


def test_a_redirect_does_not_leave_tls(
    secure: Script, server: Script, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "ca.pem"))
    secure.answer = lambda _: Reply(302, headers={"Location": f"http://{server.host}/x?sig=1"})
    error = failing(lambda: _registry(secure.host, tmp_path).blob(DIGEST))
    assert "not an https address" in error.message
    assert "sig" not in error.message
    assert server.seen == []


def test_a_ca_file_that_is_none(secure: Script, tmp_path: Path) -> None:
    (tmp_path / secure.host).mkdir()
    (tmp_path / secure.host / "ca.crt").write_text("not PEM")
    with pytest.raises(UsageError) as caught:
        _registry(secure.host, tmp_path).ping()
    assert caught.value.where == str(tmp_path / secure.host / "ca.crt")


def test_plain_http_elsewhere_is_refused_unless_it_is_asked_for(
    server: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to_loopback(monkeypatch, "registry.example.com")
    host = f"registry.example.com:{server.server_port}"
    server.answer = lambda _: reply_json({})
    error = failing(_registry(host, tmp_path).ping)
    assert error.code == "registry-plain-http"
    assert f"registry {host} speaks plain HTTP" in error.message
    assert server.seen == []
    _registry(host, tmp_path, plain_http=True).ping()
    assert len(server.seen) == 1


def test_http_spoken_to_a_tls_server(secure: Script, tmp_path: Path) -> None:
    failing(_registry(secure.host, tmp_path, plain_http=True).ping)


def test_loopback_is_asked_for_tls_once(server: Script, tmp_path: Path) -> None:
    server.answer = lambda _: reply_json({})
    registry = _registry(server.host, tmp_path)
    registry.ping()
    registry.ping()
    assert server.greetings == 1
    assert len(server.seen) == 2


def test_no_proxy_is_used_for_loopback(server: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.answer = lambda _: reply_json({})
    _registry(server.host, tmp_path).ping()
    assert len(server.seen) == 1
