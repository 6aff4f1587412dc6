"""The engine door against an engine that misbehaves: a server of our own on a unix socket."""

from __future__ import annotations

import base64
import io
import json
import os
import socketserver
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError, UnprovedError, UsageError
from orchestrator.core.reference import parse_reference
from orchestrator.engines import BuildRequest
from orchestrator.engines.docker import connect
from orchestrator.engines.streams import BuildLog, Layers
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from orchestrator.core.results import Progress
    from orchestrator.engines.docker_engine import DockerEngine

NAME = parse_reference("registry.example.com/team/app:v1")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about."""


@contextmanager
def engine_that_says(
    events: Callable[[], Iterable[object]], *, torn: bool = False, heard: list[dict[str, str]] | None = None
) -> Iterator[DockerEngine]:
    """An engine whose builds and pushes answer with `events`; `torn` ends the answer in the middle.

    `heard` gets the headers of what was posted.
    """

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
            if heard is not None:
                heard.append(dict(self.headers.items()))
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
    engine.publish(NAME, credentials=None, report=said.append, stall=stall)
    return said


def build(engine: DockerEngine, folder: Path, logins: Mapping[str, Credentials] | None = None) -> None:
    request = BuildRequest(
        context=io.BytesIO(),
        dockerfile="Dockerfile",
        tag=NAME,
        log=folder / "log",
        build_args={"T": "s3cret"},
        logins=logins or {},
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


# ------------------------------------------------------------------ logins


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docker's configuration names helpers for everything; the file that each run of one leaves."""
    asked, programs = tmp_path / "asked", tmp_path / "bin"
    programs.mkdir()
    (programs / "docker-credential-loud").write_text(f"#!/bin/sh\ncat >> {asked}\nexit 1\n")
    (programs / "docker-credential-loud").chmod(0o755)
    hosts = dict.fromkeys(("gcr.io", "registry.example.com", "https://index.docker.io/v1/"), "loud")
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "loud", "credHelpers": hosts}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return asked


def decoded(header: str) -> object:
    return json.loads(base64.urlsafe_b64decode(header))


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        (None, {}),
        (
            Credentials(username="ada", password="pw"),
            {"serveraddress": "registry.example.com", "username": "ada", "password": "pw"},
        ),
        (
            Credentials(identity_token="eyJ"),
            {"serveraddress": "registry.example.com", "identitytoken": "eyJ"},
        ),
    ],
)
def test_a_push_carries_the_login_that_it_is_given_and_asks_no_helper(
    helpers: Path, login: Credentials | None, sent: object
) -> None:
    heard: list[dict[str, str]] = []
    with engine_that_says(lambda: [{"aux": {"Digest": "sha256:1"}}], heard=heard) as engine:
        assert engine.publish(NAME, credentials=login, report=lambda _: None, stall=5) == "sha256:1"
    assert [decoded(each["X-Registry-Auth"]) for each in heard] == [sent]
    assert not helpers.exists()


def test_a_build_carries_the_logins_of_its_own_bases_and_no_other(helpers: Path, tmp_path: Path) -> None:
    heard: list[dict[str, str]] = []
    logins = {"docker.io": Credentials(username="ada", password="pw"), "r:5000": Credentials(identity_token="eyJ")}
    with engine_that_says(lambda: [{"error": "enough"}], heard=heard) as engine:
        for given in (logins, {}):
            with pytest.raises(UnprovedError):
                build(engine, tmp_path, given)
    hub = "https://index.docker.io/v1/"
    assert decoded(heard[0]["X-Registry-Config"]) == {
        hub: {"serveraddress": hub, "username": "ada", "password": "pw"},
        "r:5000": {"serveraddress": "r:5000", "identitytoken": "eyJ"},
    }
    assert decoded(heard[1]["X-Registry-Config"]) == {}
    assert not helpers.exists()


@pytest.mark.parametrize("config", ['{"auths": {"r": {"auth": "!"}}}', '{"proxies": 7}', '{"auths": 7}'])
def test_a_configuration_that_docker_py_cannot_take_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    (tmp_path / "config.json").write_text(config)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(UsageError, match="docker's configuration") as caught, engine_that_says(list):
        pass
    assert (caught.value.code, "config.json" in caught.value.remedy) == ("docker-config", True)


# ------------------------------------------------------------------ disks


def failing_step(command: str, *printed: str) -> list[object]:
    text = f"The command '/bin/sh -c {command}' returned a non-zero code: 1"
    step = [{"stream": f"Step 2/2 : RUN {command}\n"}, *({"stream": f"{line}\n"} for line in printed)]
    return [*step, {"errorDetail": {"code": 1, "message": text}, "error": text}]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("dd of=/dev/shm/x", "dd: error writing '/dev/shm/x': No space left on device"),
        ("cd /dev/shm && make", "cc1: error: x.o: No space left on device"),
        ("python t.py", "RuntimeError: unable to write to file </torch_12_34>: No space left on device (28)"),
        ("python t.py", "OSError: [Errno 28] No space left on device: '/psm_1234'"),
    ],
)
def test_a_full_dev_shm_is_the_step_that_failed_and_no_full_disk(tmp_path: Path, command: str, line: str) -> None:
    events = failing_step(command, line)
    with engine_that_says(lambda: events) as engine, pytest.raises(UnprovedError, match="exited 1") as caught:
        build(engine, tmp_path)
    assert caught.value.code == "build-failed"
    assert "/dev/shm" in caught.value.remedy


@pytest.mark.parametrize(
    "line", ["tar: /opt/x: Cannot write: No space left on device", "ld: final link failed: No space left on device"]
)
def test_a_step_that_fills_the_disk_says_so(tmp_path: Path, line: str) -> None:
    events = failing_step("make", line)
    with engine_that_says(lambda: events) as engine, pytest.raises(RemoteError) as caught:
        build(engine, tmp_path)
    assert caught.value.code == "disk-full"


def test_a_pull_limit_in_a_build_is_no_failed_step(tmp_path: Path) -> None:
    text = "toomanyrequests: You have reached your pull rate limit."
    events = [{"stream": "Step 1/2 : FROM python:3.11\n"}, {"errorDetail": {"message": text}, "error": text}]
    with engine_that_says(lambda: events) as engine, pytest.raises(RemoteError) as caught:
        build(engine, tmp_path)
    assert (caught.value.code, "mirror" in caught.value.remedy) == ("pull-limited", True)


# ------------------------------------------------------------------ podman 4.3, as it answered

PODMAN_FAILED = 'building at STEP "RUN echo "a": b; exit 3": while running runtime: exit status 3\n'


def test_podmans_steps_are_steps(tmp_path: Path) -> None:
    lines = [
        "[1/2] STEP 1/2: FROM release-lab/busybox:1 AS made\n",
        "[1/2] STEP 2/2: RUN echo hi > /hi\n",
        "--> 47d165d3645\n",
        "[2/2] STEP 1/2: FROM release-lab/busybox:1\n",
        '[2/2] STEP 2/2: RUN echo "a": b; exit 3\n',
        "a: b\n",
    ]
    events = [
        *({"stream": line} for line in lines),
        {"errorDetail": {"message": PODMAN_FAILED}, "error": PODMAN_FAILED},
    ]
    with engine_that_says(lambda: events) as engine, pytest.raises(UnprovedError) as caught:
        build(engine, tmp_path)
    assert caught.value.message == 'stage 2/2, step 2/2 RUN echo "a": b; exit 3 exited 3'
    assert "a: b" in caught.value.detail


def test_podmans_other_failures_are_said_without_the_step_in_them(tmp_path: Path) -> None:
    text = 'building at STEP "COPY x /y": checking on sources: copier: stat: "/x": no such file or directory\n'
    events = [{"stream": "STEP 2/2: COPY x /y\n"}, {"errorDetail": {"message": text}, "error": text}]
    with engine_that_says(lambda: events) as engine, pytest.raises(UnprovedError) as caught:
        build(engine, tmp_path)
    assert caught.value.message == (
        'step 2/2 COPY x /y failed: checking on sources: copier: stat: "/x": no such file or directory'
    )


def test_podmans_last_words_name_the_image(tmp_path: Path) -> None:
    full = "01100d8e1deaaa9d444b7a35c15c3398d04d96305ba0d15838428fa0a0a57c80"
    lines = ["STEP 1/1: FROM x\n", "COMMIT\n", "--> 01100d8e1de\n", f"{full}\n"]
    log = BuildLog(tmp_path / "log", lambda _: None)
    with log:
        for line in lines:
            log.take({"stream": line})
        log.take({"aux": {"ID": f"sha256:{full}"}})
        assert log.image == ""
        log.take({"stream": "Successfully built 01100d8e1dea\n"})
    assert (log.image, log.made) == (f"sha256:{full}", ["01100d8e1de"])
