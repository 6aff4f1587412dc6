"""The contract of an engine, asked of every implementation with a real engine and a real registry."""

from __future__ import annotations

import hashlib
import signal
import stat
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
from tests.docker.conftest import context_of
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

STALL = 20.0


def silent(_: Progress) -> None:
    """For where progress does not matter."""


def all_containers(client: docker.DockerClient) -> set[str]:
    return {str(container.id) for container in client.containers.list(all=True, ignore_removed=True)}


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

    def test_tagging_what_is_not_there_is_an_error(self, engine: Engine, name: Reference) -> None:
        with pytest.raises(RemoteError, match="No such image"):
            engine.tag("no-such-image:1", name)


class TestBuild:
    def test_a_build_is_tagged_labelled_and_told(
        self, engine: Engine, name: Reference, build: Build, said: list[Progress], tmp_path: Path
    ) -> None:
        log = tmp_path / "deep" / "build.log"
        image = build("FROM BASE\nCOPY hello /hello\nRUN cat /hello\n", labels={"a": "b c"}, log=log, no_cache=True)
        assert engine.inspect(str(name)) == image
        assert image.labels["a"] == "b c"
        steps = [(p.current, p.total) for p in said if not p.is_log]
        assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]  # the last one sets the labels
        assert "hi" in [p.text for p in said if p.is_log]
        assert "Step 3/4 : RUN cat /hello\n" in log.read_text()
        assert "\nhi\n" in log.read_text()
        assert stat.S_IMODE(log.stat().st_mode) == 0o600

    def test_a_failing_step_is_named_and_leaves_nothing(
        self, engine: Engine, name: Reference, build: Build, client: docker.DockerClient, tmp_path: Path
    ) -> None:
        before = all_containers(client)
        # The engine reads stdout and stderr apart, so without the pause either may come first.
        step = "for i in $(seq 50); do echo line $i; done; sleep 0.5; echo oh >&2; exit 7"
        with pytest.raises(UnprovedError) as caught:
            build(f"FROM BASE\nRUN true\nRUN {step}\n")
        error = caught.value
        assert error.code == "build-failed"
        assert error.message.startswith("step 3/3 RUN for i in")
        assert error.message.endswith("exited 7")
        assert error.where == str(tmp_path / "logs" / "build.log")
        assert len(error.detail.splitlines()) == 30
        assert "oh" in error.detail.splitlines()
        assert "\x1b" not in error.detail
        assert "line 1\n" in (tmp_path / "logs" / "build.log").read_text()
        assert engine.inspect(str(name)) is None
        assert all_containers(client) <= before

    def test_what_the_engine_refuses_at_once_is_a_build_failure(self, build: Build) -> None:
        with pytest.raises(UnprovedError, match=r"before its first step: .*unknown instruction") as caught:
            build("FROM BASE\nRUNN x\n")
        assert caught.value.code == "build-failed"

    def test_a_missing_base_is_a_build_failure(self, build: Build, lab: Lab) -> None:
        with pytest.raises(UnprovedError, match=r"^step 1/1 FROM .* failed: "):
            build(f"FROM {lab.registry}/no/such:1\n")

    def test_a_stage_can_be_the_image_and_shared_memory_have_another_size(self, build: Build, engine: Engine) -> None:
        text = "FROM BASE AS one\nRUN df -k /dev/shm | tail -1 > /size\nFROM BASE\nRUN exit 9\n"
        image = build(text, target="one", shm_size=128 << 20, no_cache=True)
        size = engine.read_file(image.id, "/size")
        assert size is not None
        assert str(128 << 10) in size.decode().split()

    def test_pull_asks_the_registry_for_a_base_that_is_here(self, build: Build, lab: Lab, engine: Engine) -> None:
        with pytest.raises((UnprovedError, RemoteError)):
            build("FROM BASE\nRUN true\n", pull=True)  # the lab's base is in no registry
        with pytest.raises(RemoteError):
            engine.resolve(lab.base, platform="", credentials=None, report=silent, afresh=True)

    def test_the_last_stage_is_the_image(self, build: Build, engine: Engine) -> None:
        image = build("FROM BASE AS one\nRUN echo 1 > /stage\nFROM BASE\nRUN echo 2 > /stage\n", no_cache=True)
        assert engine.read_file(image.id, "/stage") == b"2\n"

    def test_arguments_reach_the_build(self, build: Build, engine: Engine) -> None:
        image = build("FROM BASE\nARG A=no\nRUN echo $A > /a\n", build_args={"A": "yes"})
        assert engine.read_file(image.id, "/a") == b"yes\n"

    def test_the_same_build_again_uses_the_cache_unless_told(self, build: Build) -> None:
        dockerfile = f"FROM BASE\nRUN echo {uuid.uuid4().hex} && cat /proc/uptime > /t\n"
        first, again = build(dockerfile), build(dockerfile)
        assert again == first
        assert build(dockerfile, no_cache=True).id != first.id

    def test_a_full_disk_has_a_code_of_its_own(self, build: Build) -> None:
        with pytest.raises(RemoteError, match=r"disk is full: dd: .*No space left on device") as caught:
            build("FROM BASE\nRUN dd if=/dev/zero of=/dev/full\n")
        assert (caught.value.code, "docker system prune" in caught.value.remedy) == ("disk-full", True)

    def test_a_command_that_only_mentions_a_full_disk_does_not(self, build: Build) -> None:
        with pytest.raises(UnprovedError):
            build("FROM BASE\nRUN : no space left on device; exit 1\n")

    def test_a_log_that_cannot_be_written_is_told(self, build: Build, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(RemoteError, match="log cannot be written") as caught:
            build("FROM BASE\n", log=tmp_path / "file" / "build.log")
        assert caught.value.code == "log-unwritable"

    def test_ctrl_c_stops_the_build_on_the_engine(
        self, build: Build, client: docker.DockerClient, engine: Engine, name: Reference
    ) -> None:
        before = all_containers(client)
        with pytest.raises(KeyboardInterrupt):
            build("FROM BASE\nRUN echo started; sleep 600\n", no_cache=True, interrupt_at="started")
        until(lambda: all_containers(client) <= before)
        assert engine.inspect(str(name)) is None


class TestTrial:
    """Builds that leave nothing, and what is in an image."""

    @staticmethod
    def everything(client: docker.DockerClient) -> set[str]:
        return {str(each["Id"]) for each in client.api.images(all=True)}

    def trial(self, lab: Lab, name: Reference, log: Path, text: str, **options: object) -> BuildRequest:
        files = {"Dockerfile": text.replace("BASE", lab.base), "hello": "hi\n"}
        made = BuildRequest(context=context_of(files), dockerfile="Dockerfile", tag=name, log=log)
        return replace(made, **options)  # type: ignore[arg-type]  # options are free

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
    @pytest.fixture
    def image(self, build: Build) -> str:
        return build(
            "FROM BASE\nRUN mkdir /d && echo text > /d/f && ln -s /d/f /absolute && ln -s absolute /twice"
            " && ln -s ../d/f /d/relative && ln -s d /folder && ln -s /nowhere /dangling && ln -s loop /loop"
            " && ln -s ../../../../d/f /d/escape\n"
        ).id

    @pytest.mark.parametrize(
        "path",
        ["/d/f", "d/f", "/absolute", "/twice", "/d/relative", "/folder/f", "/folder/relative", "/d/escape"],
    )
    def test_files_and_links_to_files(self, engine: Engine, image: str, path: str) -> None:
        assert engine.read_file(image, path) == b"text\n"

    @pytest.mark.parametrize("path", ["/none", "/none/f", "/d", "/folder", "/dangling", "/loop", "/d/f/g"])
    def test_what_is_no_file(self, engine: Engine, image: str, path: str) -> None:
        assert engine.read_file(image, path) is None

    def test_an_image_without_a_command_can_be_read(self, engine: Engine, build: Build) -> None:
        image = build("FROM scratch\nCOPY hello /hello\n")
        assert engine.read_file(image.id, "/hello") == b"hi\n"
