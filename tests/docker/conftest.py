"""A real engine and a real registry, taken from the environment that `tools/lab` makes."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import docker
import pytest

from orchestrator.core.labels import OWNER
from orchestrator.core.reference import parse_repository
from orchestrator.engines import ENGINES, BuildRequest, engine_module
from tests.docker.builds import Builds, context_of
from tests.docker.runner import Runner
from tests.support.buildkits import login
from tests.support.lab import Lab, lab_from, missing_from
from tools.lab.buildkit import counted as counted_engine
from tools.lab.buildkit import main_engine, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress
    from orchestrator.engines import Engine, ImageInfo
    from tools.lab.buildkit import BuildKit as LabBuildKit


PROJECT = Path(__file__).parents[2]
SOURCE = "images/pytorch-cuda"


@pytest.fixture(scope="session")
def lab() -> Lab:
    missing = missing_from(os.environ)
    if missing:
        reason = f"no lab: {', '.join(missing)} not set (make test-docker starts one)"
        if os.environ.get("CI") == "true" or os.environ.get("RELEASE_LAB_REQUIRED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return lab_from(os.environ)


@pytest.fixture(scope="session")
def buildkit(lab: Lab) -> Iterator[LabBuildKit]:
    """Docker 28 with the containerd store and buildx, logged in to the lab's registry and with the lab's busybox.

    `.environment` is what its user has.  Only who asks for it starts it; its store is kept from run to run.
    """
    engine = main_engine(_with_buildkit())
    try:
        login(engine, lab)
        engine.load(lab.base)
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def counted(lab: Lab) -> Iterator[LabBuildKit]:
    """Another one, with nothing in its store, whose bytes are counted; it reaches nothing but the lab's registry."""
    engine = counted_engine(_with_buildkit())
    try:
        login(engine, lab)
        yield engine
    finally:
        engine.stop()


def _with_buildkit() -> Mapping[str, str]:
    """The environment, where Docker 28 can be had; else the test fails in CI, and elsewhere it is said why not."""
    if reason := unavailable(os.environ):
        if os.environ.get("CI") == "true":
            pytest.fail(f"no BuildKit: {reason}")
        pytest.skip(f"no BuildKit: {reason}")
    return os.environ


@pytest.fixture(scope="session")
def owner() -> str:
    """Marks the containers of this test run, so that others on the same engine do not matter."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, lab: Lab, owner: str) -> Engine:
    """Every engine of the table: all of them answer the contract in test_engine.py."""
    return engine_module(request.param).connect({"DOCKER_HOST": lab.docker_host}, owner=owner)


@pytest.fixture(scope="session")
def client(lab: Lab) -> Iterator[docker.DockerClient]:
    """docker-py itself, to look at what the door did."""
    opened = docker.DockerClient(base_url=lab.docker_host)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def no_container_is_left(client: docker.DockerClient, owner: str) -> Iterator[None]:
    yield
    left = client.containers.list(all=True, filters={"label": f"{OWNER}={owner}"})
    assert [container.id for container in left] == []


def image_context() -> bytes:
    """The image's own build context, as it is in the work tree."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:  # docker knows no PAX
        tar.add(PROJECT / SOURCE, SOURCE, filter=lambda each: None if each.name == f"{SOURCE}/Dockerfile" else each)
        text = (PROJECT / SOURCE / "Dockerfile").read_bytes().replace(b"COPY --link", b"COPY")  # as the tool sends it
        info = tarfile.TarInfo(f"{SOURCE}/Dockerfile")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


@pytest.fixture(scope="session")
def notebook(lab: Lab) -> str:
    """The image's variant for tests: the same Dockerfile and entrypoint without torch."""
    name = "release-lab/notebook:test"
    arguments = {"BASE_IMAGE": os.environ["RELEASE_LAB_BASE"], "VARIANT": "notebook", "RELEASE_VERSION": "v2.7.1"}
    argv = ["docker", "build", "--quiet", "--network", "host", "--file", f"{SOURCE}/Dockerfile", "--tag", name, "-"]
    argv[2:2] = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    env = os.environ | {"DOCKER_HOST": lab.docker_host, "DOCKER_BUILDKIT": "0"}
    built = subprocess.run(argv, input=image_context(), env=env, capture_output=True, check=False)
    assert built.returncode == 0, (built.stdout + built.stderr).decode()[-3000:]
    return name


@pytest.fixture
def name(lab: Lab, engine: Engine) -> Iterator[Reference]:
    """A name in the lab's registry that nobody else has, forgotten by the engine afterwards."""
    reference = parse_repository(f"{lab.registry}/test/{uuid.uuid4().hex[:12]}").tag("v1")
    yield reference
    engine.remove_tag(reference)


class Build(Protocol):
    """Builds a Dockerfile's text; `BASE` in it stands for the lab's base image.

    Options are fields of BuildRequest, and `interrupt_at`: the log line at which the user presses ctrl-C.
    """

    def __call__(self, text: str, /, **options: object) -> ImageInfo: ...


@pytest.fixture
def said() -> list[Progress]:
    """What was reported while building or pushing."""
    return []


@pytest.fixture
def build(lab: Lab, engine: Engine, name: Reference, tmp_path: Path, said: list[Progress]) -> Build:
    def run(text: str, /, **options: object) -> ImageInfo:
        arguments: dict[str, object] = {
            "context": context_of({"Dockerfile": text.replace("BASE", lab.base), "hello": "hi\n"}),
            "dockerfile": "Dockerfile",
            "tag": name,
            "log": tmp_path / "logs" / "build.log",
            **options,
        }
        interrupt_at = arguments.pop("interrupt_at", None)

        def report(progress: Progress) -> None:
            said.append(progress)
            if progress.text == interrupt_at:
                raise KeyboardInterrupt

        return engine.build(BuildRequest(**arguments), report)  # type: ignore[arg-type]  # options are free

    return run


@pytest.fixture
def builds(lab: Lab, buildkit: LabBuildKit, tmp_path: Path) -> Builds:
    name = parse_repository(f"{lab.registry}/test/b{os.urandom(5).hex()}").tag("candidate-1")
    return Builds(lab, {"HOME": str(tmp_path), **buildkit.environment}, name, tmp_path)


@pytest.fixture
def runner(client: docker.DockerClient, notebook: str, owner: str) -> Runner:
    return Runner(client, notebook, owner)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A key pair of this test run: private, public."""
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.read_text(), path.with_suffix(".pub").read_text()
