"""A bare repository behind a real sshd and behind smart HTTP (git http-backend), on loopback, for one test."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin")


@contextlib.contextmanager
def ssh(repository: Path, place: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(URL, environment of the pusher).  The server takes any GIT_* and RELEASE_* variable that the pusher sends."""
    if SSHD is None:
        raise RuntimeError("the pushes over ssh cannot be tested: apt-get install openssh-server")
    place.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    (place / "authorized").write_bytes((place / "user.pub").read_bytes())
    port = _free_port()
    (place / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nPidFile {place}/pid\nStrictModes no\n"
        f"AuthorizedKeysFile {place}/authorized\nPasswordAuthentication no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nAcceptEnv GIT_* RELEASE_* PYTHON*\n"
    )
    if os.getuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # noqa: PTH103  # sshd wants its own empty directory
    with (place / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(place / "config")], stderr=log)
    try:
        _wait(port)
        options = f"-i {place}/user -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR"
        options += f" -o UserKnownHostsFile={place}/known -o SendEnv=GIT_* -o SendEnv=RELEASE_* -o SendEnv=PYTHON*"
        url = f"ssh://{_user()}@127.0.0.1:{port}{repository}"
        yield url, {"GIT_SSH_COMMAND": f"ssh -F none {options}"}
    finally:
        server.terminate()
        server.wait(timeout=20)


@contextlib.contextmanager
def http(repository: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(URL, nothing): smart HTTP, without a HOME for the server's git."""
    handler = type("Handler", (_Backend,), {"root": str(repository.parent)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{repository.name}", {}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Backend(BaseHTTPRequestHandler):
    """RFC 3875, as far as git http-backend needs it."""

    root = ""

    def do_GET(self) -> None:
        self._run(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._run(self._chunks())
        else:
            self._run(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _run(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = {
            "PATH": "/usr/bin:/bin", "GIT_PROJECT_ROOT": self.root, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "mia", "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((int(value.split()[0]) for key, value in fields if key == "Status"), 200)
        self.send_response(status)
        for key, value in fields:
            if key != "Status":
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("sshd does not answer")
