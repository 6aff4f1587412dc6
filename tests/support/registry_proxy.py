"""A proxy on loopback before a real registry, that behaves in one point as other registries do."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_HOP = ("connection", "transfer-encoding", "content-length", "expect", "host")
_KEPT = ("transfer-encoding", "connection", "date", "server")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Asked:
    """A request; `tag` is the tag whose manifest it is about, or ""."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def tag(self) -> str:
        found = re.fullmatch(r"/v2/.+/manifests/([^/:?]+)", self.path)
        return found[1] if found else ""

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


def refusal(status: int, code: str, message: str, **headers: str) -> Answer:
    """An answer in the form of the distribution API."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Answer(
        status, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}, body
    )


RESET = Answer(0)  # break the connection off instead of answering


class Proxy:
    """`before` may answer in the registry's place, `after` may change what it answers; `seen` has every request."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.seen: list[Asked] = []
        self.before: Callable[[Asked], Answer | None] = lambda _: None
        self.after: Callable[[Asked, Answer], Answer] = lambda _, answer: answer
        self.login = ""  # sent on in place of what was sent, where set
        self.host = ""

    def count(self, method: str, tag: str = "") -> int:
        return sum(1 for each in self.seen if each.method == method and (not tag or each.tag == tag))


@contextlib.contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """A running proxy before the registry at `upstream` (`host:port`); it is gone afterwards."""
    proxy = Proxy(upstream)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing: tests look at `seen`."""

    def _serve(self) -> None:
        body = b"".join(self._body())
        asked = Asked(self.command, self.path, dict(self.headers.items()))
        self.proxy.seen.append(asked)
        answer = self.proxy.before(asked) or self.proxy.after(asked, self._forward(body))
        if answer is RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self._write(answer)

    def _body(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _forward(self, body: bytes) -> Answer:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        if self.proxy.login:
            headers["Authorization"] = self.proxy.login
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _KEPT}
            kept = {name: value.replace(self.proxy.upstream, self.proxy.host) for name, value in kept.items()}
            return Answer(answer.status, kept, answer.read())

    def _write(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in answer.headers} and answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names
