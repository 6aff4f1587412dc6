"""A relay of TCP before a registry that counts the bytes of this tool's connections, and of no others."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = b"release-orchestrator/"  # in the User-Agent of each request


@dataclass
class Moved:
    """Bytes to and from the registry, headers included."""

    host: str
    sent: int = 0
    received: int = 0

    def clear(self) -> None:
        self.sent = self.received = 0


@contextlib.contextmanager
def counted(upstream: str) -> Iterator[Moved]:
    """A relay before `host:port`; it is gone afterwards."""
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
    host, _, port = upstream.partition(":")
    with client, socket.create_connection((host, int(port))) as registry, contextlib.suppress(OSError):
        first = client.recv(65536)
        ours = _OURS in first
        registry.sendall(first)
        moved.sent += len(first) if ours else 0
        back = threading.Thread(target=_back, args=(registry, client, moved, ours), daemon=True)
        back.start()
        while data := client.recv(65536):
            registry.sendall(data)
            moved.sent += len(data) if ours else 0
        registry.shutdown(socket.SHUT_WR)
        back.join()


def _back(registry: socket.socket, client: socket.socket, moved: Moved, ours: bool) -> None:
    with contextlib.suppress(OSError):
        while data := registry.recv(65536):
            client.sendall(data)
            moved.received += len(data) if ours else 0
        client.shutdown(socket.SHUT_WR)
