"""TLS to a registry: who is trusted, and where plain HTTP is spoken."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry import transport
from orchestrator.registry.client import Registry
from orchestrator.registry.deadline import Deadline
from orchestrator.registry.retry import RetryPolicy
from orchestrator.registry.transport import make_session, read_usual_trust
from tests.registry.client import (
    ADA,
    DIGEST,
    failing,
    resolve_to_loopback,
)
from tests.registry.scripted_server import Reply, Script, reply_json, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
