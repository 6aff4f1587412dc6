"""Builds by BuildKit that fail: each is one line with its place and what to do."""

from __future__ import annotations

import hashlib
import http.server
import os
import socket
import socketserver
import subprocess
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.reference import parse_repository
from orchestrator.dockerfile.stages import line_of
from orchestrator.engines import (
    BuilderLostError,
    PushRefusedError,
    direct_module,
)
from tests.docker.builds import STALL, Builds
from tests.support.buildkits import docker
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker


def direct_program(env: Mapping[str, str]) -> Path:
    from orchestrator.engines.buildx.place import program

    return program(env)


def test_what_fails_is_told_with_its_place(builds: Builds) -> None:
    with pytest.raises(UnprovedError, match=r"^Dockerfile:3: step 3/3 RUN exit 7 exited 7$"):
        builds("FROM BASE\nRUN true\nRUN exit 7\n")
    with pytest.raises(UnprovedError, match=r"step 2/2 ADD http://127.0.0.1:1/x /x failed: .*refused$") as caught:
        builds("FROM BASE\nADD http://127.0.0.1:1/x /x\n")
    assert "check the address" in caught.value.remedy
    with pytest.raises(UnprovedError, match=r"lint violation found for rules: JSONArgsRecommended$") as caught:
        builds("# check=error=true\nFROM scratch\nCMD true\n")
    assert "`error=true`" in caught.value.remedy
    with pytest.raises(UnprovedError, match=r"^Dockerfile:2: .*secret t") as caught:
        builds("FROM BASE\nRUN --mount=type=secret,id=t,required=true true\n")
    assert (caught.value.code, "\n" in caught.value.message, bool(caught.value.remedy)) == ("build-failed", False, True)


LOCKED = "failed to open writer: ref moby/1/ck99 locked for 29.8ms (since 2026-11-28 06:24:07.2 +0000 UTC m=+1.1)"


def wrapped(builds: Builds, folder: Path, script: str) -> dict[str, str]:
    """An environment whose docker buildx is a shell script, which finds the real one in $REAL."""
    program = folder / "bin" / "docker-buildx"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nREAL={direct_program(builds.env)}\n{script}")
    program.chmod(0o755)
    (folder / "config").mkdir()
    path = f"{program.parent}:{builds.env['PATH']}"
    return {**builds.env, "DOCKER_CONFIG": str(folder / "config"), "PATH": path}


@pytest.mark.wide
def test_a_store_that_is_locked_for_a_moment_is_tried_again(builds: Builds, tmp_path: Path) -> None:
    """containerd's words, which BuildKit comes with where a layer is exported twice: said by a wrapper, twice."""
    script = f"""\
[ "$1" = build ] || exec "$REAL" "$@"
cat > {tmp_path}/context; echo >> {tmp_path}/tries
[ $(wc -l < {tmp_path}/tries) -gt $(cat {tmp_path}/locked) ] && exec "$REAL" "$@" < {tmp_path}/context
echo 'ERROR: failed to build: failed to solve: {LOCKED}: unavailable' >&2; exit 1
"""
    builds.builder = direct_module().connect(wrapped(builds, tmp_path, script))
    (tmp_path / "locked").write_text("2")
    pushed = builds("FROM scratch\nCOPY hello /hello\n")
    assert builds.files(pushed)["hello"][1] == b"hi\n"
    assert [each.text for each in builds.said].count(
        "docker buildx's builder has its own store locked; tried again"
    ) == 2
    (tmp_path / "locked").write_text("99")
    with pytest.raises(BuilderLostError, match="has its own store locked") as caught:
        builds("FROM scratch\nCOPY hello /hello\n")
    assert (caught.value.code, "restart the builder" in caught.value.remedy) == ("builder-busy", True)
    assert len((tmp_path / "tries").read_text()) == 3 + 3


@pytest.mark.wide
def test_a_builder_that_fails_in_another_way_has_not_said_what_it_reads(builds: Builds, tmp_path: Path) -> None:
    """Tried again, and then it is not known; what it reads and what it does not are told by the real one."""
    script = f"""\
[ "$1" = build ] || exec "$REAL" "$@"
echo >> {tmp_path}/tries
[ $(wc -l < {tmp_path}/tries) -gt $(cat {tmp_path}/dead) ] && exec "$REAL" "$@"
echo 'ERROR: failed to build: failed to solve: Unavailable: error reading from server: EOF' >&2; exit 1
"""
    env = wrapped(builds, tmp_path, script)
    for dead, line, known in (
        (2, "COPY --exclude=x a /", True),
        (2, "COPY --parents a /", False),
        (3, "ADD a /", None),
    ):
        (tmp_path / "dead").write_text(str(dead))
        (tmp_path / "tries").write_text("")
        assert direct_module().connect(env).reads(line) is known
        assert len((tmp_path / "tries").read_text()) == 3


class _File(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"blob\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.wide
def test_a_file_that_is_not_what_its_checksum_says(builds: Builds) -> None:
    """BuildKit tells no line of what it fetches; a stage may be named by an argument of the platform."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _File) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/blob"
        add = "FROM BASE AS of-amd64\nFROM of-${TARGETARCH}\nRUN true\n"
        add += "ADD --checksum=sha256:%s \\\n  URL /blob\n".replace("URL", url)
        wrong = add % ("0" * 64)

        def locate(step: str) -> str:
            return f"Dockerfile:{line_of(wrong.encode(), step)}"

        with pytest.raises(UnprovedError, match=r"^Dockerfile:4: .*step 2/2 ADD .*digest mismatch") as caught:
            builds(wrong, locate=locate)
        right = builds(add % hashlib.sha256(b"blob\n").hexdigest(), locate=locate)
        server.shutdown()
    assert (caught.value.code, "`--checksum`" in caught.value.remedy) == ("build-failed", True)
    assert builds.files(right)["blob"][1] == b"blob\n"


def test_a_registry_that_says_nothing_is_given_up(builds: Builds) -> None:
    """It takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        request = builds.request(f"FROM 127.0.0.1:{server.getsockname()[1]}/x:1\n")
        with within(), pytest.raises(BuilderLostError, match="stands still: nothing moved for 1 s") as caught:
            builds.builder.build_pushed(request, builds.said.append, credentials=None, stall=1)
    assert (caught.value.code, bool(caught.value.remedy)) == ("build-stalled", True)


def test_a_wrong_login_is_a_refusal_about_the_login(builds: Builds) -> None:
    wrong = replace(builds.lab.credentials, password="wrong")
    request = builds.request("FROM BASE\nRUN true\n")
    with pytest.raises(PushRefusedError) as caught:
        builds.builder.build_pushed(request, builds.said.append, credentials=wrong, stall=STALL)
    assert caught.value.about_login


def test_a_builder_that_is_not_there(builds: Builds) -> None:
    builds.builder = direct_module().connect(builds.env, builder="no-such")
    assert "no-such" in builds.builder.incapable
    with pytest.raises(RemoteError, match="builder no-such cannot build: no builder") as caught:
        builds("FROM BASE\n")
    assert caught.value.code == "builder-unusable"
    assert "docker buildx create" in caught.value.remedy


def test_a_builder_whose_engine_is_gone(builds: Builds, tmp_path: Path) -> None:
    builds.builder = direct_module().connect({**builds.env, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert builds.builder.incapable
    with pytest.raises(RemoteError) as caught:
        builds("FROM BASE\n")
    assert (caught.value.code, "\n" in caught.value.message) == ("builder-unusable", False)


def test_a_builder_that_cannot_be_started(builds: Builds, buildkit: BuildKit) -> None:
    """Its image is nowhere; what it is asked to build says so in a line, and is another builder's work then."""
    name = f"b{os.urandom(4).hex()}"
    image = "--driver-opt=image=nowhere.invalid/buildkit:1"
    docker(buildkit, "buildx", "create", "--name", name, "--driver=docker-container", image)
    builds.builder = direct_module().connect(builds.env, builder=name)
    try:
        assert f"builder {name} fails at a tiny image: " in builds.builder.incapable
        with pytest.raises(BuilderLostError, match=f"builder {name} cannot build: .*nowhere.invalid") as caught:
            builds("FROM BASE\n")
    finally:
        docker(buildkit, "buildx", "rm", name)
    assert (caught.value.code, "\n" in caught.value.message) == ("builder-unusable", False)
    assert "docker buildx inspect --bootstrap" in caught.value.remedy


def test_an_engine_without_the_new_store_is_not_capable(lab: Lab, builds: Builds) -> None:
    """The lab's own engine, of an older Docker: found out by trying."""
    old = direct_module().connect({**builds.env, "DOCKER_HOST": lab.docker_host})
    assert "fails at a tiny image" in old.incapable


class _Http(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_a_registry_that_speaks_http_to_a_builder_that_speaks_https(builds: Builds) -> None:
    """127.0.0.0/8 is insecure to every engine; another address of this machine is not."""
    address = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()[0]
    with socketserver.ThreadingTCPServer((address, 0), _Http) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        builds.name = parse_repository(f"{address}:{server.server_address[1]}/x").tag("v1")
        with pytest.raises(RemoteError, match="speaks https to a registry that speaks http") as caught:
            builds("FROM BASE\nRUN true\n")
        server.shutdown()
    assert caught.value.code == "registry-plain-http"
    assert "insecure-registries" in caught.value.remedy


class _Https(socketserver.BaseRequestHandler):
    """Sends a builder to http by how it answers https, then answers that as a server of https does."""

    def handle(self) -> None:
        if self.request.recv(4096).startswith(b"\x16"):
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            words = b"Client sent an HTTP request to an HTTPS server.\n"
            self.request.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" + words)


def test_a_registry_that_speaks_https_to_a_builder_that_speaks_http(builds: Builds) -> None:
    """The builder's words are real, the registry is not: `http = true` is buildkitd's, which is not to be had here."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Https) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_address[1]}"
        with pytest.raises(RemoteError) as caught:
            builds(f"FROM {host}/y:1\n")
        server.shutdown()
    assert (caught.value.code, "\n" in caught.value.message) == ("registry-https", False)
    assert f"docker buildx's builder speaks http to the registry {host}, " in caught.value.message
