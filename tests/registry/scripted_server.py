"""A real HTTP(S) server on loopback that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

TLS_HANDSHAKE = b"\x16"


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None  # Content-Length, where it is not the truth; -1 for none at all
    hang: bool = False  # say nothing until the test ends
    raw: bytes | None = None  # these bytes instead of an HTTP answer
    drip: bytes = b""  # after them these, one every 30 ms


def reply_json(document: object, status: int = 200, **headers: str) -> Reply:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json", **names})


def in_turn(*replies: Reply) -> Callable[[Seen], Reply]:
    """Each reply once, in this order, and then a status that no test expects."""
    waiting = list(replies)
    return lambda _: waiting.pop(0) if waiting else Reply(418, b"asked once too often")


class Script(ThreadingHTTPServer):
    """`answer` decides; `seen` holds every HTTP request.  Refuses TLS as Go's server does."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        self.answer: Callable[[Seen], Reply] = in_turn()
        self.seen: list[Seen] = []
        self.greetings = 0  # TLS greetings to a server without TLS
        self.dripped = 0  # bytes that were sent slowly
        self.over = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def finish_request(self, request: object, client_address: object) -> None:
        connection = cast("socket.socket", request)
        if self.context:
            self._finish_secure(self.context, connection, client_address)
            return
        if connection.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE:
            self.greetings += 1
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent a TLS greeting")
            return
        with contextlib.suppress(ConnectionError):
            super().finish_request(connection, cast("tuple[str, int]", client_address))

    def _finish_secure(self, context: ssl.SSLContext, connection: socket.socket, address: object) -> None:
        with (
            contextlib.suppress(OSError),  # a client that does not trust the certificate hangs up
            context.wrap_socket(connection, server_side=True) as secure,
        ):
            super().finish_request(secure, cast("tuple[str, int]", address))


class _Handler(BaseHTTPRequestHandler):
    server: Script
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for each other (Nagle, delayed ACK)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing: tests look at `seen`."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.server.seen.append(seen)
        reply = self.server.answer(seen)
        if reply.hang:
            self.server.over.wait(30)
        elif reply.raw is not None:
            self.wfile.write(reply.raw)
            self._dribble(reply.drip)
        else:
            self._write(reply)
            return
        self.close_connection = True

    def _dribble(self, slowly: bytes) -> None:
        self.wfile.flush()
        with contextlib.suppress(ConnectionError):  # the client had enough
            for byte in slowly:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                self.server.dripped += 1
                if self.server.over.wait(0.03):
                    break

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = len(reply.body) if reply.promised is None else reply.promised
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.close_connection = length != len(reply.body)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names


@contextlib.contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[Script]:
    """A running server; it is gone afterwards."""
    server = Script(context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
