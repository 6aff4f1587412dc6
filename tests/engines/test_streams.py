"""The engine door against an engine that misbehaves: a server of our own on a unix socket."""

from __future__ import annotations

import io
import json
import socketserver
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.reference import parse_reference
from orchestrator.engines import BuildRequest
from orchestrator.engines.docker import connect
from orchestrator.engines.streams import Layers
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from orchestrator.core.results import Progress
    from orchestrator.engines.docker import DockerEngine

NAME = parse_reference("registry.example.com/team/app:v1")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about."""


@contextmanager
def engine_that_says(events: Callable[[], Iterable[object]], *, torn: bool = False) -> Iterator[DockerEngine]:
    """An engine whose builds and pushes answer with `events`; `torn` ends the answer in the middle."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = json.dumps({"ApiVersion": "1.41", "Version": "0"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for event in events():
                data = json.dumps(event).encode() + b"\r\n"
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.write(b"40\r\n{" if torn else b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Silence."""

    # Not under tmp_path: a unix socket's path holds about 100 characters.
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        with _Server(path, Handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            try:
                yield connect({"DOCKER_HOST": f"unix://{path}"})
            finally:
                server.shutdown()


def push(engine: DockerEngine, stall: float = 5) -> list[Progress]:
    said: list[Progress] = []
    engine.push(NAME, credentials=None, report=said.append, stall=stall)
    return said


def build(engine: DockerEngine, folder: Path) -> None:
    request = BuildRequest(
        context=io.BytesIO(),
        dockerfile="Dockerfile",
        tag=NAME,
        log=folder / "log",
        build_args={"T": "s3cret"},
    )
    engine.build(request, lambda _: None)


def test_waiting_for_ever_is_not_progress() -> None:
    def events() -> Iterator[object]:
        yield {"status": "Preparing", "id": "a"}
        while True:
            yield {"status": "Waiting", "id": "a"}
            time.sleep(0.02)

    stalled = pytest.raises(RemoteError, match=r"nothing moved for 0.5 s")
    with engine_that_says(events) as engine, within(), stalled as caught:
        push(engine, stall=0.5)
    assert caught.value.code == "push-stalled"


def test_slow_bytes_are_progress() -> None:
    def events() -> Iterator[object]:
        for count in range(61):
            yield {"status": "Pushing", "id": "a", "progressDetail": {"current": count, "total": 60}}
            time.sleep(0.02)

    with engine_that_says(events) as engine:
        said = push(engine, stall=1)  # less than all of it takes, and fifty times as long as a step
    assert [progress.current for progress in said] == list(range(61))
    assert said[-1].total == 60


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"errorDetail": {"message": "denied: no"}, "error": "other"}, "denied: no"),
        ({"error": "plain"}, "plain"),
        ({"errorDetail": {"message": "only detail"}}, "only detail"),
        ({"errorDetail": {"code": 1}, "error": "with code"}, "with code"),
    ],
)
def test_an_error_anywhere_in_the_stream_is_raised(event: object, text: str) -> None:
    events = [{"status": "Preparing", "id": "a"}, event, {"aux": {"Digest": "sha256:0"}}]
    with engine_that_says(lambda: events) as engine, pytest.raises(RemoteError, match=text) as caught:
        push(engine)
    assert caught.value.code == "push-failed"


def test_a_full_disk_while_pushing() -> None:
    events = [{"error": "write /var/lib/docker/tmp/x: no space left on device"}]
    with engine_that_says(lambda: events) as engine, pytest.raises(RemoteError) as caught:
        push(engine)
    assert caught.value.code == "disk-full"


def test_an_engine_that_dies_in_the_middle(tmp_path: Path) -> None:
    events = [{"stream": "Step 1/2 : FROM x\n"}, {"aux": {"ID": "sha256:" + "1" * 64}}]
    with engine_that_says(lambda: events, torn=True) as engine:
        with pytest.raises(RemoteError, match="the connection broke") as caught:
            build(engine, tmp_path)
        assert caught.value.code == "engine-unreachable"
        assert "s3cret" not in str(vars(caught.value))
        with pytest.raises(RemoteError, match="the connection broke"):
            push(engine)


def test_a_build_that_names_a_stage_and_never_ends_is_no_build(tmp_path: Path) -> None:
    events = [{"stream": "Step 1/2 : FROM x\n"}, {"aux": {"ID": "sha256:" + "1" * 64}}]
    with engine_that_says(lambda: events) as engine, pytest.raises(UnprovedError) as caught:
        build(engine, tmp_path)
    assert "without naming an image" in caught.value.message
    assert caught.value.code == "build-failed"


def test_a_layer_that_is_sent_again_counts_again() -> None:
    now = [0.0]
    layers = Layers(lambda _: None, lambda: now[0])

    def after(second: float, status: str, current: int | None = None) -> float:
        now[0] = second
        layers.take({"id": "a", "status": status, "progressDetail": {"current": current}})
        return layers.stalled_for()

    assert after(1, "Pushing", 100) == 0
    assert after(2, "Pushing", 100) == 1
    assert after(3, "Retrying in 5 seconds") == 0
    assert after(4, "Retrying in 5 seconds") == 1
    assert after(5, "Pushing", 10) == 0
    assert after(6, "Pushing", 5) == 1


def test_pieces_of_stdout_and_stderr_are_not_mixed_into_one_line(tmp_path: Path) -> None:
    pieces = ["Step 1/1 : RUN x\n", "out ", "\x1b[91merr \x1b[0m", "put\n", "\x1b[91mor\n\x1b[0m", "unended"]
    events = [*({"stream": piece} for piece in pieces), {"errorDetail": {"code": 1, "message": "bad"}}]
    with engine_that_says(lambda: events) as engine, pytest.raises(UnprovedError) as caught:
        build(engine, tmp_path)
    assert caught.value.detail.splitlines() == ["Step 1/1 : RUN x", "out put", "err or", "unended", "bad"]
    assert (tmp_path / "log").read_text() == caught.value.detail + "\n"
