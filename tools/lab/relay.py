"""Carries connections from one address to another, by TCP, unix socket or TLS; run as a process of its own.

`--upgrade` makes the BuildKit inside a dockerd a builder that others reach: dockerd serves it behind one request of its
API (`POST /grpc`, upgraded to h2c), as `docker buildx` with the driver `docker` asks for it; what remains is what the
drivers `remote` talk to a buildkitd.  Only the standard library is used.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import ssl
import threading
from pathlib import Path

PIECE = 1 << 18
UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"


def opened(address: str, *, listening: bool = False) -> socket.socket:
    """`tcp:HOST:PORT` or `unix:PATH`."""
    kind, _, rest = address.partition(":")
    if kind == "unix":
        made = socket.socket(socket.AF_UNIX)
        target: str | tuple[str, int] = rest
        if listening:
            Path(rest).unlink(missing_ok=True)
    else:
        made = socket.socket()
        host, _, port = rest.rpartition(":")
        target = (host, int(port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listening:
        made.bind(target)
        made.listen(128)
    else:
        made.connect(target)
    return made


def upgraded(connection: socket.socket) -> bytes:
    """Ask dockerd for its BuildKit; the answer is what came behind the response's head."""
    connection.sendall(UPGRADE)
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            raise OSError("the engine closed the connection")
        head += piece
    head, _, rest = head.partition(b"\r\n\r\n")
    if b" 101 " not in head.splitlines()[0]:
        raise OSError(f"the engine answered {head.splitlines()[0]!r}")
    return rest


def carry(source: socket.socket, target: socket.socket) -> None:
    """One direction, until its end."""
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def serve(client: socket.socket, to: str, tls: ssl.SSLContext | None, upgrade: bool) -> None:
    """One connection; whatever is wrong with it ends it alone."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        stack.callback(client.close)
        if tls:
            client = stack.enter_context(tls.wrap_socket(client, server_side=True))
        server = stack.enter_context(opened(to))
        if upgrade:
            client.sendall(upgraded(server))
        back = threading.Thread(target=carry, args=(server, client), daemon=True)
        back.start()
        carry(client, server)
        back.join()


def mutual(certificate: str, key: str, authority: str) -> ssl.SSLContext:
    """TLS that asks the client for a certificate of the authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])  # gRPC's clients insist on it
    return context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--ready", required=True, help="file that is made as soon as it listens")
    parser.add_argument("--upgrade", action="store_true")
    parser.add_argument("--tls", nargs=3, metavar=("CERTIFICATE", "KEY", "AUTHORITY"))
    options = parser.parse_args()
    tls = mutual(*options.tls) if options.tls else None
    with opened(options.listen, listening=True) as door:
        Path(options.ready).write_text(str(os.getpid()), encoding="ascii")
        while True:
            client, _ = door.accept()
            given = (client, options.to, tls, options.upgrade)
            threading.Thread(target=serve, args=given, daemon=True).start()


if __name__ == "__main__":
    main()
