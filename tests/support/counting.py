"""A relay of TCP before a registry or an engine that counts bytes and requests of this tool, and of no others."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = (b"release-orchestrator/", b"docker-sdk-python/")  # in the User-Agent of each request
_REQUEST = re.compile(rb"^(?:GET|HEAD|POST|PUT|PATCH|DELETE) [^ ]+ HTTP/1\.1\r\n", re.MULTILINE)


@dataclass
class Moved:
    """Bytes to and from what is behind it, headers included, and the requests that they were."""

    host: str
    sent: int = 0
    received: int = 0
    requests: int = 0

    def clear(self) -> None:
        self.sent = self.received = self.requests = 0

    def count(self, data: bytes) -> None:
        self.sent += len(data)
        self.requests += len(_REQUEST.findall(data))


@contextlib.contextmanager
def counted(upstream: str) -> Iterator[Moved]:
    """A relay before `host:port`, or a socket's path; it is gone afterwards."""
    server = socket.create_server(("127.0.0.1", 0))
    moved = Moved(f"127.0.0.1:{server.getsockname()[1]}")
    threading.Thread(target=_accept, args=(server, upstream, moved), daemon=True).start()
    try:
        yield moved
    finally:
        server.close()


def _accept(server: socket.socket, upstream: str, moved: Moved) -> None:
    with contextlib.suppress(OSError):  # closed: the test is over
        while True:
            client, _ = server.accept()
            threading.Thread(target=_relay, args=(client, upstream, moved), daemon=True).start()


def _relay(client: socket.socket, upstream: str, moved: Moved) -> None:
    with client, _reached(upstream) as registry, contextlib.suppress(OSError):
        first = client.recv(65536)
        ours = any(each in first for each in _OURS)
        registry.sendall(first)
        moved.count(first if ours else b"")
        back = threading.Thread(target=_back, args=(registry, client, moved, ours), daemon=True)
        back.start()
        while data := client.recv(65536):
            registry.sendall(data)
            moved.count(data if ours else b"")
        registry.shutdown(socket.SHUT_WR)
        back.join()


def _reached(upstream: str) -> socket.socket:
    if not upstream.startswith("/"):
        host, _, port = upstream.partition(":")
        return socket.create_connection((host, int(port)))
    reached = socket.socket(socket.AF_UNIX)
    reached.connect(upstream)
    return reached


def _back(registry: socket.socket, client: socket.socket, moved: Moved, ours: bool) -> None:
    with contextlib.suppress(OSError):
        while data := registry.recv(65536):
            client.sendall(data)
            moved.received += len(data) if ours else 0
        client.shutdown(socket.SHUT_WR)
