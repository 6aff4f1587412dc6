"""The contract of an engine where other machines take part: registries, and engines that are not there."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import textwrap
import urllib.request
import uuid
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.credentials import Credentials
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.reference import parse_repository
from orchestrator.engines.docker import connect
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress
    from orchestrator.engines import Engine
    from tests.docker.conftest import Build
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

STALL = 20.0


def silent(_: Progress) -> None:
    """For where progress does not matter."""


def manifest(lab: Lab, reference: Reference) -> dict[str, object]:
    """What the registry has under a tag."""
    request = urllib.request.Request(
        f"http://{lab.registry}/v2/{reference.repository.path}/manifests/{reference.identifier}",
        headers={
            "Authorization": "Basic " + b64encode(f"{lab.username}:{lab.password}".encode()).decode(),
            "Accept": "application/vnd.docker.distribution.manifest.v2+json",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        loaded: dict[str, object] = json.load(answer)
        return loaded


@pytest.fixture
def mute_registry() -> Iterator[str]:
    """A registry's address where connections are accepted and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


class TestPush:
    def test_a_pushed_image_is_in_the_registry_and_can_be_resolved(
        self, engine: Engine, lab: Lab, name: Reference, build: Build, said: list[Progress]
    ) -> None:
        build(f"FROM BASE\nRUN echo {uuid.uuid4().hex} > /unique\n")
        said.clear()
        engine.publish(name, credentials=lab.credentials, report=said.append, stall=STALL)
        assert manifest(lab, name)["schemaVersion"] == 2
        assert "Pushed" in [progress.text for progress in said]
        assert lab.password not in repr(said)
        assert engine.resolve(str(name), platform="", credentials=None, report=silent) == engine.inspect(str(name))

    def test_a_second_push_moves_nothing(self, engine: Engine, lab: Lab, name: Reference, build: Build) -> None:
        build("FROM BASE\nRUN true\n")
        engine.publish(name, credentials=lab.credentials, report=silent, stall=STALL)
        said: list[Progress] = []
        engine.publish(name, credentials=lab.credentials, report=said.append, stall=STALL)
        assert "Layer already exists" in [progress.text for progress in said]
        assert [progress for progress in said if progress.current] == []

    def test_a_wrong_password_is_an_error_and_is_not_repeated_in_it(
        self, engine: Engine, lab: Lab, name: Reference, build: Build
    ) -> None:
        build("FROM BASE\n")
        with pytest.raises(RemoteError) as caught:
            engine.publish(
                name,
                credentials=Credentials(username=lab.username, password="wr0ng-one"),
                report=silent,
                stall=STALL,
            )
        assert (caught.value.code, caught.value.where) == ("registry-unauthorized", str(name))
        assert "wr0ng-one" not in str(vars(caught.value))

    @pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
    def test_a_registry_that_is_not_there_is_an_error(self, engine: Engine, lab: Lab, host: str) -> None:
        reference = parse_repository(f"{host}/test/x").tag("v1")
        engine.tag(lab.base, reference)
        with pytest.raises(RemoteError, match=f"push of {host}/test/x:v1 failed") as caught:
            engine.publish(reference, credentials=None, report=silent, stall=STALL)
        engine.remove_tag(reference)
        assert caught.value.code == "push-failed"

    def test_what_is_not_in_the_store_cannot_be_pushed(self, engine: Engine, lab: Lab, name: Reference) -> None:
        with pytest.raises(RemoteError) as caught:
            engine.publish(name, credentials=lab.credentials, report=silent, stall=STALL)
        assert caught.value.code == "push-failed"

    def test_a_registry_that_never_answers_is_left_after_the_stall_time(
        self, engine: Engine, lab: Lab, mute_registry: str
    ) -> None:
        reference = parse_repository(f"{mute_registry}/test/x").tag("v1")
        engine.tag(lab.base, reference)
        with within(), pytest.raises(RemoteError, match="nothing moved for 2 s") as caught:
            engine.publish(reference, credentials=None, report=silent, stall=2)
        assert caught.value.code == "push-stalled"
        engine.remove_tag(reference)

    @pytest.mark.parametrize("digest", ["", "@sha256:" + "0" * 64])
    def test_what_cannot_be_pulled_is_an_error(self, engine: Engine, lab: Lab, digest: str) -> None:
        name = f"{lab.registry}/test/none-{uuid.uuid4().hex}{digest or ':v1'}"
        with pytest.raises(RemoteError) as caught:
            engine.resolve(name, platform="", credentials=None, report=silent)
        assert caught.value.code == "pull-failed"

    def test_another_platform_is_not_taken_for_the_one_asked_for(self, engine: Engine, lab: Lab) -> None:
        with pytest.raises(RemoteError) as caught:
            engine.resolve(f"{lab.base}", platform="linux/s390x", credentials=None, report=silent)
        assert caught.value.code in ("pull-failed", "engine-unreachable")


class TestUnreachable:
    @pytest.mark.parametrize(
        ("host", "message", "remedy"),
        [
            ("unix:///no/such.sock", "there is no such socket", "systemctl start docker"),
            ("tcp://127.0.0.1:1", "connection refused", "DOCKER_HOST"),
            ("tcp://no-such-host.invalid:2375", "host name is not known", "DOCKER_HOST"),
        ],
    )
    def test_an_engine_that_is_not_there(self, host: str, message: str, remedy: str) -> None:
        with pytest.raises(RemoteError, match=message) as caught:
            connect({"DOCKER_HOST": host})
        assert (caught.value.code, caught.value.where) == ("engine-unreachable", host)
        assert remedy in caught.value.remedy

    def test_a_socket_that_is_not_ours(self, tmp_path: Path) -> None:
        path = tmp_path / "engine.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            path.chmod(0)
            script = """
                import os, sys
                import docker
                from orchestrator.engines.docker import connect
                from orchestrator.core.errors import RemoteError
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                try:
                    connect({"DOCKER_HOST": sys.argv[1]})
                except RemoteError as error:
                    print(error.code, error.message, error.remedy)
            """
            command = [sys.executable, "-c", textwrap.dedent(script), f"unix://{path}"]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert output.startswith("engine-unreachable the Docker Engine cannot be reached: permission denied")
        assert "usermod -aG docker" in output

    def test_tls_asked_of_an_engine_without(self, tmp_path: Path, mute_registry: str) -> None:
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (tmp_path / file).write_text("")
        env = {
            "DOCKER_HOST": f"tcp://{mute_registry}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(tmp_path),
        }
        with pytest.raises(RemoteError) as caught:
            connect(env)
        assert (caught.value.code, "DOCKER_CERT_PATH" in caught.value.remedy) == ("engine-unreachable", True)

    @pytest.mark.parametrize(
        ("env", "code", "message"),
        [
            ({"DOCKER_HOST": "carrier-pigeon://x"}, "engine-settings", "Invalid bind address"),
            (
                {"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/no"},
                "engine-settings",
                "certificate",
            ),
            ({"DOCKER_CONTEXT": "no-such-context"}, "engine-context", "no context 'no-such-context'"),
        ],
    )
    def test_wrong_settings(self, env: dict[str, str], code: str, message: str) -> None:
        with pytest.raises(UsageError, match=message) as caught:
            connect(env)
        assert caught.value.code == code

    def test_contexts_of_the_docker_client_are_obeyed(self, lab: Lab, tmp_path: Path) -> None:
        digest = hashlib.sha256(b"lab").hexdigest()
        meta = tmp_path / "contexts" / "meta" / digest / "meta.json"
        meta.parent.mkdir(parents=True)
        endpoints = {"docker": {"Host": lab.docker_host}}
        meta.write_text(json.dumps({"Name": "lab", "Metadata": {}, "Endpoints": endpoints}))
        env = {"DOCKER_CONFIG": str(tmp_path)}
        assert connect({**env, "DOCKER_CONTEXT": "lab"}).health().version
        (tmp_path / "config.json").write_text(json.dumps({"currentContext": "lab"}))
        assert connect(env).health().version
        with pytest.raises(RemoteError, match="no such socket"):
            connect({**env, "DOCKER_CONTEXT": "lab", "DOCKER_HOST": "unix:///no/such.sock"})
        meta.write_text("{")
        with pytest.raises(UsageError, match="cannot be used"):
            connect(env)
