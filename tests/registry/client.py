"""What the registry tests share: a client whose sleeps are noted, an image, and how a refusal must look."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError
from orchestrator.core.reference import ImageRepository
from orchestrator.registry.client import Registry
from orchestrator.registry.retry import RetryPolicy
from tests.registry.scripted_server import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "op\u00e9n:sesame"
ADA = Credentials(username="ada", password=PASSWORD)
BASIC_ADA = "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
BASIC = {"WWW-Authenticate": 'Basic realm="a, b"'}
OCI = "application/vnd.oci.image.manifest.v1+json"
IMAGE = json.dumps({"mediaType": OCI, "config": {}, "layers": []}).encode()
DIGEST = "sha256:" + hashlib.sha256(IMAGE).hexdigest()
OTHER = "sha256:" + "0" * 64
FOUND = Reply(200, IMAGE, {"Content-Type": OCI, "Docker-Content-Digest": DIGEST})


class Client:
    """A registry client; `slept` holds what it would have waited, `now` is its clock.

    `patience` changes the rest of its patience; `on_sleep` is what happens while it waits.
    """

    def __init__(
        self,
        host: str,
        login: Credentials | None = ADA,
        *,
        plain_http: bool = False,
        patience: RetryPolicy | None = None,
        on_sleep: Callable[[], object] = lambda: None,
    ) -> None:
        self.slept: list[float] = []
        self.logins = 0
        self.login = login
        self.now = 0.0
        self.on_sleep = on_sleep
        self.registry = Registry(
            ImageRepository(host=host, path="team/cuda"),
            credentials=self._credentials,
            plain_http=plain_http,
            patience=replace(patience or RetryPolicy(), sleep=self._sleep, jitter=lambda: 1.0, clock=lambda: self.now),
        )

    def _credentials(self) -> Credentials | None:
        self.logins += 1
        return self.login

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()


def failing(call: Callable[[], object]) -> RemoteError:
    """The RemoteError that `call` must raise: one printable line, with a code and no secret."""
    with pytest.raises(RemoteError) as caught:
        call()
    error = caught.value
    for text in (error.message, error.remedy, error.where, error.detail):
        assert text.isprintable()
        assert PASSWORD not in text
        assert BASIC_ADA.removeprefix("Basic ") not in text
    assert error.code.startswith("registry-")
    return error


def resolve_to_loopback(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Name resolution is the only thing that is not real here: `name` is this machine."""
    real = socket.getaddrinfo

    def resolve(host: str, *args: int, **kwargs: int) -> object:
        return real("127.0.0.1" if host == name else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
