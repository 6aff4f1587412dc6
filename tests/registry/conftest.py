"""A server to script, a real registry behind a proxy, and an environment without surprises."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.registry.client import Registry
from orchestrator.registry.retry import RetryPolicy
from tests.registry.beside import ADA, Beside
from tests.registry.scripted_server import Script, serve
from tests.support.registry_process import running_registry
from tests.support.registry_proxy import Proxy, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no bundle, and a ~/.netrc that must never be used."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name)
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password leaked\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def server() -> Iterator[Script]:
    with serve() as script:
        yield script


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


@pytest.fixture
def proxy(upstream: str) -> Iterator[Proxy]:
    with proxied(upstream) as running:
        yield running


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def beside(upstream: str, request: pytest.FixtureRequest) -> Beside:
    return Beside(upstream, f"team/{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}")


@pytest.fixture
def client(proxy: Proxy, beside: Beside, slept: list[float]) -> Registry:
    """Through the proxy.  Nothing is really waited for; what is waited is in `slept`."""
    repository = replace(beside.repository, host=proxy.host)
    return Registry(repository, credentials=lambda: ADA, patience=RetryPolicy(sleep=slept.append, jitter=lambda: 1.0))
