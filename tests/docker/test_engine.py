"""The contract of an engine with a store, asked with a real engine and a real registry.

What it builds is asked in `test_build_contract.py`, together with BuildKit.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import textwrap
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.audit.layers import read_layer
from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.labels import OWNER
from orchestrator.engines import BuildRequest, RunRequest, RunResult
from tests.docker.builds import context_of
from tests.support.waiting import until, within

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress
    from orchestrator.engines import Engine
    from tests.docker.conftest import Build
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


def silent(_: Progress) -> None:
    """For where progress does not matter."""


def run(engine: Engine, image: str, *command: str, timeout: float = 30) -> RunResult:
    return engine.run(RunRequest(image=image, command=command, timeout=timeout))


class TestStore:
    def test_health_names_version_and_place(self, engine: Engine, lab: Lab) -> None:
        health = engine.health()
        assert health.version
        assert tuple(map(int, health.api_version.split("."))) >= (1, 24)
        assert (health.os, health.is_local) == ("linux", lab.docker_host.startswith("unix:"))
        assert health.root.startswith("/")

    def test_inspect_tells_there_from_not_there(self, engine: Engine, lab: Lab) -> None:
        image = engine.inspect(lab.base)
        assert image is not None
        assert image.id.startswith("sha256:")
        assert image.layers
        assert engine.inspect(image.id) == image
        assert engine.inspect(f"no-such-image:{uuid.uuid4().hex}") is None

    def test_names_come_and_go(self, engine: Engine, lab: Lab, name: Reference) -> None:
        image = engine.inspect(lab.base)
        assert image is not None
        engine.tag(image.id, name)
        assert engine.inspect(str(name)) is not None
        engine.remove_tag(name)
        engine.remove_tag(name)
        assert engine.inspect(str(name)) is None
        assert engine.inspect(lab.base) is not None

    def test_asked_afresh_an_image_that_no_registry_has_is_an_error(self, engine: Engine, lab: Lab) -> None:
        with pytest.raises(RemoteError):
            engine.resolve(lab.base, platform="", credentials=None, report=silent, afresh=True)

    def test_tagging_what_is_not_there_is_an_error(self, engine: Engine, name: Reference) -> None:
        with pytest.raises(RemoteError, match="No such image"):
            engine.tag("no-such-image:1", name)


class TestTrial:
    """Builds that leave nothing, and what is in an image."""

    @staticmethod
    def everything(client: docker.DockerClient) -> set[str]:
        return {str(each["Id"]) for each in client.api.images(all=True)}

    def trial(self, lab: Lab, name: Reference, log: Path, text: str, **options: object) -> BuildRequest:
        files = {"Dockerfile": text.replace("BASE", lab.base), "hello": "hi\n"}
        made = BuildRequest(context=context_of(files), dockerfile="Dockerfile", tag=name, log=log)
        return replace(made, **options)  # type: ignore[arg-type]  # options are free

    @pytest.mark.wide
    def test_only_what_it_made_is_gone_at_its_end(
        self, engine: Engine, lab: Lab, name: Reference, client: docker.DockerClient, build: Build, tmp_path: Path
    ) -> None:
        cached = f"FROM BASE AS stage\nRUN echo {uuid.uuid4().hex} > /a\nFROM BASE\nCOPY --from=stage /a /a\n"
        build(cached)
        before = self.everything(client)
        request = self.trial(lab, name, tmp_path / "log", f"{cached}RUN echo more > /b\nRUN echo > /c\n")
        with engine.trial(request, silent) as image:
            assert engine.read_file(image.id, "/b") == b"more\n"
        assert self.everything(client) == before
        with engine.trial(replace(request, no_cache=True), silent):
            assert len(self.everything(client) - before) == 4
        assert self.everything(client) == before

    @pytest.mark.wide
    def test_a_failing_one_leaves_nothing_either(
        self, engine: Engine, lab: Lab, name: Reference, client: docker.DockerClient, tmp_path: Path
    ) -> None:
        before = self.everything(client)
        request = self.trial(lab, name, tmp_path / "log", "FROM BASE\nRUN date > /d\nRUN exit 3\n", no_cache=True)
        with pytest.raises(UnprovedError), engine.trial(request, silent):
            pytest.fail("it was built")
        assert self.everything(client) == before

    def test_layers_are_those_that_the_image_has_and_history_and_settings_its_own(
        self, engine: Engine, build: Build
    ) -> None:
        image = build("FROM BASE\nCOPY hello /hello\nENV A=b\nRUN rm /hello && ln -s x /y\n")
        read = {each.diff_id: each for each in map(read_layer, engine.layers(image.id))}
        assert set(read) == set(image.layers)
        assert read[image.layers[-2]].files["hello"].content == hashlib.sha256(b"hi\n").hexdigest()
        last = read[image.layers[-1]].files
        assert (last[".wh.hello"].kind, last["y"].link) == ("whiteout", "x")
        assert "A=b" in image.config["Env"]
        assert engine.history(image.id)[-1].created_by.endswith("rm /hello && ln -s x /y")

    def test_layers_of_what_is_not_there_are_an_error(self, engine: Engine) -> None:
        with pytest.raises(RemoteError, match="read the layers of no-such-image:1"):
            list(engine.layers("no-such-image:1"))


class TestRun:
    def test_output_and_success(self, engine: Engine, lab: Lab) -> None:
        result = run(engine, lab.base, "sh", "-c", "echo out; echo err >&2")
        assert (result.exit_code, sorted(result.output.split())) == (0, ["err", "out"])

    def test_an_exit_code_is_given_back(self, engine: Engine, lab: Lab) -> None:
        assert run(engine, lab.base, "sh", "-c", "exit 3").exit_code == 3

    def test_arguments_are_not_read_by_a_shell(self, engine: Engine, lab: Lab) -> None:
        assert run(engine, lab.base, "echo", "$HOME; *", "a  b").output == "$HOME; * a  b\n"

    def test_a_command_is_killed_at_its_timeout(self, engine: Engine, lab: Lab) -> None:
        with within():
            result = run(engine, lab.base, "sh", "-c", "trap '' TERM; echo here; sleep 600", timeout=1.5)
        assert (result.exit_code, result.output) == (None, "here\n")
        assert result.seconds >= 1.4

    def test_a_program_that_is_not_there_fails_like_in_a_shell(self, engine: Engine, lab: Lab) -> None:
        result = run(engine, lab.base, "no-such-program")
        assert result.exit_code == 127
        assert "no-such-program" in result.output

    def test_an_image_that_is_not_there_cannot_be_started(self, engine: Engine) -> None:
        with pytest.raises(UnprovedError, match="No such image") as caught:
            run(engine, "no-such-image:1", "true")
        assert caught.value.code == "container-not-started"

    def test_a_container_that_fails_to_start_is_removed_too(self, engine: Engine, lab: Lab) -> None:
        with pytest.raises(UnprovedError, match="cannot be started"):
            engine.run(RunRequest(image=lab.base, command=("true",), timeout=5, network="container:no-such-one"))

    @pytest.mark.wide
    def test_only_the_end_of_much_output_is_kept(self, engine: Engine, lab: Lab) -> None:
        result = run(engine, lab.base, "sh", "-c", "yes ä | head -c 300000; echo END")
        assert result.output.endswith("END\n")
        assert 60_000 < len(result.output.encode("utf-8", "replace")) < 66_000

    def test_bytes_that_are_no_text_are_replaced(self, engine: Engine, lab: Lab) -> None:
        assert run(engine, lab.base, "printf", "a\\377b").output == "a\ufffdb"

    def test_there_is_no_network_by_default(self, engine: Engine, lab: Lab) -> None:
        assert run(engine, lab.base, "ls", "/sys/class/net").output.split() == ["lo"]

    def test_the_environment_is_given(self, engine: Engine, lab: Lab) -> None:
        result = engine.run(RunRequest(image=lab.base, command=("sh", "-c", "echo $X"), timeout=20, env={"X": "a b"}))
        assert result.output == "a b\n"

    def test_the_entrypoint_is_removed_unless_kept(self, engine: Engine, build: Build) -> None:
        image = build('FROM BASE\nENTRYPOINT ["echo", "entry"]\nCMD ["cmd"]\n')
        assert run(engine, image.id, "echo", "plain").output == "plain\n"
        kept = RunRequest(image=image.id, command=("more",), timeout=20, keep_entrypoint=True)
        assert engine.run(kept).output == "entry more\n"

    @pytest.mark.wide(2)
    @pytest.mark.parametrize(("end", "left"), [(signal.SIGKILL, 1), (signal.SIGINT, 0)])
    def test_a_run_that_is_ended_from_outside(
        self, lab: Lab, engine: Engine, client: docker.DockerClient, end: signal.Signals, left: int
    ) -> None:
        """ctrl-C still removes the container; what a SIGKILL leaves is swept by its owner alone."""
        owner = f"ended-{uuid.uuid4().hex}"
        script = f"""
            from orchestrator.engines import RunRequest
            from orchestrator.engines.docker import connect
            engine = connect({{"DOCKER_HOST": {lab.docker_host!r}}}, owner={owner!r})
            engine.run(RunRequest(image={lab.base!r}, command=("sleep", "600"), timeout=600))
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stderr=subprocess.DEVNULL)
        label: dict[str, str | list[str] | bool] = {"label": f"{OWNER}={owner}"}
        until(lambda: client.containers.list(filters=label))
        process.send_signal(end)
        process.wait()
        assert engine.sweep(f"{owner}-other") == 0
        assert engine.sweep(owner) == left
        assert client.containers.list(all=True, filters=label) == []


class TestHistory:
    def test_each_layer_has_its_size_and_instruction(self, engine: Engine, build: Build) -> None:
        image = build('FROM BASE\nENV A=b\nCOPY hello /hello\nRUN true\nARG C=d\nRUN seq 5 > /five\nCMD ["x"]\n')
        layers = [step for step in engine.history(image.id) if step.diff_id]
        assert tuple(layer.diff_id for layer in layers) == image.layers
        assert [layer.size for layer in layers[1:]] == [3, 10]
        assert [layer.instruction.split()[0] for layer in layers[1:]] == ["COPY", "seq"]

    def test_what_cannot_be_matched_is_left_out(self, engine: Engine, build: Build) -> None:
        image = build("FROM BASE\nRUN true\nRUN mkdir /empty\n")  # only one of the two has a layer, both no size
        assert [step.diff_id for step in engine.history(image.id) if step.diff_id] == []


class TestReadFile:
    LINKED = (
        "FROM BASE\nRUN mkdir /d && echo text > /d/f && ln -s /d/f /absolute && ln -s absolute /twice"
        " && ln -s ../d/f /d/relative && ln -s d /folder && ln -s /nowhere /dangling && ln -s loop /loop"
        " && ln -s ../../../../d/f /d/escape\n"
    )
    FILES = ("/d/f", "d/f", "/absolute", "/twice", "/d/relative", "/folder/f", "/folder/relative", "/d/escape")
    NONE = ("/none", "/none/f", "/d", "/folder", "/dangling", "/loop", "/d/f/g")

    def test_files_links_to_files_and_what_is_no_file(self, engine: Engine, build: Build) -> None:
        image = build(self.LINKED).id
        wanted = dict.fromkeys(self.FILES, b"text\n") | dict.fromkeys(self.NONE)
        assert {path: engine.read_file(image, path) for path in wanted} == wanted

    def test_an_image_without_a_command_can_be_read(self, engine: Engine, build: Build) -> None:
        image = build("FROM scratch\nCOPY hello /hello\n")
        assert engine.read_file(image.id, "/hello") == b"hi\n"
