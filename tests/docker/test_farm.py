"""`image.builders`: variants are spread over builders, one that is down is noticed and does nothing, no secret stays.

RELEASE_TEST_BUILDER names a builder of `docker buildx ls` (kubernetes, rootless, a remote one) that makes the same
release: it must reach the lab's registry.  The nightly workflow does that; without the variable that test is left out.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.buildkits import docker
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit, Endpoint

pytestmark = pytest.mark.docker

SECRET = "a-secret-of-a-farm-%s"
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG RELEASE_VERSION
ARG FLAVOUR
RUN --mount=type=secret,id=token mkdir -p /etc/release && wc -c < /run/secrets/token > /etc/release/$FLAVOUR \\
 && printf '%s\\n' "$RELEASE_VERSION" > /etc/release/version
COPY --link loader.py /opt/loader.py
RUN : a-slow-step; case $FLAVOUR in slow*) ! grep -q /buildkit/b0/ /proc/self/mountinfo || sleep 600 ;; esac
ONBUILD RUN exit 9
"""
OPTIONS = """\
  builder: buildx
  builders: [{builders}]
  secrets: {{token: {{env: BUILD_TOKEN}}}}
  variants:
    - {{name: plain, build-args: {{FLAVOUR: {flavour}}}}}
    - {{name: other, build-args: {{FLAVOUR: other}}, tag-suffix: -other}}
"""


class Two:
    """Two builders, each a way of its own to an engine."""

    def __init__(self, here: BuildKit, other: BuildKit) -> None:
        self.here = here
        self.ends: dict[str, Endpoint] = {}
        for engine in (here, other):
            name = f"farm-{uuid.uuid4().hex[:6]}"
            self.ends[name] = engine.end()
            docker(here, "buildx", "create", "--name", name, "--driver=remote", self.ends[name].address)

    @property
    def names(self) -> list[str]:
        return list(self.ends)

    def close(self) -> None:
        for name, end in self.ends.items():
            docker(self.here, "buildx", "rm", name)
            end.close()


@pytest.fixture
def farm(buildkit: BuildKit, counted: BuildKit) -> Iterator[Two]:
    two = Two(buildkit, counted)
    yield two
    two.close()


@pytest.fixture
def secret() -> str:
    return SECRET % uuid.uuid4().hex


@pytest.fixture
def shipped(tmp_path: Path, lab: Lab, client: DockerClient) -> Imaged:
    """Built on a base that every builder can pull."""
    made = imaged(tmp_path / "story", lab, dockerfile=DOCKERFILE)
    base = f"{made.repository}:base"
    client.images.get(lab.base).tag(base)
    client.images.push(base, auth_config={"username": lab.username, "password": lab.password})
    client.images.remove(base)
    text = (made.story.clone.path / "release.yaml").read_text()
    (made.story.clone.path / "release.yaml").write_text(text.replace(lab.base, base))
    return made


def declare(made: Imaged, names: list[str], flavour: str = "plain") -> None:
    path = made.story.clone.path / "release.yaml"
    head, _, tail = path.read_text().partition("  smoke:\n")
    path.write_text(f"{head}{OPTIONS.format(builders=', '.join(names), flavour=flavour)}  smoke:\n{tail}")


def cut(made: Imaged, buildkit: BuildKit, secret: str) -> tuple[int, str, dict[str, str]]:
    """Exit code, what it said, and which builder made which image."""
    env = {"DOCKER_CONFIG": buildkit.environment["DOCKER_CONFIG"], "PATH": buildkit.environment["PATH"]}
    done = made.release("cut", VERSION, "--yes", env={**env, "BUILD_TOKEN": secret})
    if done.code:
        return done.code, done.err, {}
    images = made.release("show", VERSION, "--json").json["images"]
    return 0, done.err, {image["reference"].rpartition(":")[2]: image["builder"] for image in images}


def test_variants_are_spread_and_no_secret_stays(shipped: Imaged, farm: Two, counted: BuildKit, secret: str) -> None:
    declare(shipped, farm.names)
    code, said, built = cut(shipped, farm.here, secret)
    assert code == 0, said
    first, second = farm.names
    assert built == {VERSION: f"{first} (remote)", f"{VERSION}-other": f"{second} (remote)"}
    assert f"{second} (remote) built {shipped.repository}:{VERSION}-other" in said
    for engine in (farm.here, counted):
        assert holding(engine.data, secret) == []
    assert holding(shipped.story.clone.path, secret) == []


@pytest.mark.wide
def test_the_work_of_one_that_is_down_goes_to_the_other(shipped: Imaged, farm: Two, secret: str) -> None:
    first, second = "gone", farm.names[1]
    docker(farm.here, "context", "create", first, "--docker", "host=unix:///nowhere.sock")
    declare(shipped, [first, second])
    try:
        code, said, built = cut(shipped, farm.here, secret)
    finally:
        docker(farm.here, "context", "rm", first)
    assert code == 0, said
    assert set(built.values()) == {f"{second} (remote)"}
    assert f"builder {first} is down, its work goes to the others" in said
    env = {"DOCKER_CONFIG": farm.here.environment["DOCKER_CONFIG"], "PATH": farm.here.environment["PATH"]}
    env |= {"BUILD_TOKEN": secret, "BUILDX_BUILDER": "never-made"}  # not asked: the release names its builders
    again = shipped.release("rebuild", VERSION, "--json", env=env)
    assert again.code == 0, again.err
    assert {layer["verdict"] for image in again.json["images"] for layer in image["layers"]} == {"identical"}


@pytest.mark.wide
def test_one_that_goes_in_the_middle_is_replaced(shipped: Imaged, farm: Two, secret: str) -> None:
    """The step is slow in the first engine alone, which it knows by the folders below it; no cache has it."""
    first, second = farm.names
    declare(shipped, farm.names, flavour=f"slow-{uuid.uuid4().hex}")
    logs = shipped.story.clone.path / f".git/release/{VERSION}/logs"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(cut, shipped, farm.here, secret)
        until(lambda: any("a-slow-step" in log.read_text() for log in logs.glob("build-plain.log")))
        farm.ends[first].close()
        code, said, built = running.result()
    assert code == 0, said
    assert set(built.values()) == {f"{second} (remote)"}
    assert f"{second} builds {shipped.repository}:{VERSION} in its place" in said


@pytest.mark.wide
def test_where_none_answers_nothing_is_begun(shipped: Imaged, farm: Two, secret: str) -> None:
    declare(shipped, ["never-made", "nor-this"])
    code, said, _ = cut(shipped, farm.here, secret)
    assert code != 0
    assert "[builder-unusable]" in said
    assert "never-made" in said
    assert VERSION not in shipped.registry.tags()


@pytest.mark.wide
def test_where_no_engine_answers_an_image_is_proved_on_its_builder(shipped: Imaged, farm: Two, secret: str) -> None:
    """A cut whose smoke test fails, then one that passes; both say where it ran.  The image's ONBUILD does not run."""
    builder, said = f"{farm.names[1]} (remote)", "smoke-tested on a builder, as build steps that nobody keeps"
    config = {"DOCKER_CONFIG": farm.here.environment["DOCKER_CONFIG"], "PATH": farm.here.environment["PATH"]}
    env = {**config, "DOCKER_HOST": "unix:///nowhere.sock", "BUILD_TOKEN": secret}
    shipped.declare(image="  size-budget: 1GiB\n", smoke="    - {name: seen, run: 'echo is-seen && test -e /no'}\n")
    release_yaml = shipped.story.clone.path / "release.yaml"
    base = f"{shipped.repository}:base"
    release_yaml.write_text(release_yaml.read_text().replace(shipped.lab.base, base))
    declare(shipped, farm.names[1:])
    assert said in shipped.release("plan", VERSION, env=env).out
    failed = shipped.release("cut", VERSION, "--yes", env=env)
    assert (failed.code, "[smoke-failed]" in failed.err, "seen: exited 1: is-seen" in failed.err) == (6, True, True)
    assert VERSION not in shipped.registry.tags()
    release_yaml.write_text(release_yaml.read_text().replace("/no'", "/opt/loader.py'"))
    done = shipped.release("cut", VERSION, "--yes", env=env)
    assert done.code == 0, done.err
    image = shipped.release("show", VERSION, "--json").json["images"][0]
    checks = {check["name"]: (check["state"], check["message"]) for check in image["checks"]}
    assert builder in checks["proved-on"][1]
    assert "without its ONBUILD" in checks["proved-on"][1]
    released = shipped.registry.manifest(VERSION)
    assert released
    own = shipped.registry.image(released)
    assert (own.digest, shipped.registry.config(own).settings["OnBuild"]) == (image["digest"], ["RUN exit 9"])
    assert checks["budget-size"][0] == "skipped"
    passed = {name for name, (state, _) in checks.items() if state == "passed"}
    assert passed >= {"proved-on", "labels", "version-inside", "seen"}


@pytest.mark.skipif(not os.environ.get("RELEASE_TEST_BUILDER"), reason="RELEASE_TEST_BUILDER names no builder")
def test_a_builder_of_yours_makes_the_same_release(shipped: Imaged, secret: str) -> None:
    declare(shipped, [os.environ["RELEASE_TEST_BUILDER"]])
    done = shipped.release("cut", VERSION, "--yes", env={"BUILD_TOKEN": secret})
    assert done.code == 0, done.err
    for command in (("verify", VERSION), ("audit",)):
        proved = shipped.release(*command)
        assert proved.code == 0, proved.err


def holding(folder: Path, text: str) -> list[str]:
    """The files below that hold it; all are looked at again where one went meanwhile, as engines clear up."""
    seen = list[subprocess.CompletedProcess[str]]()

    def looked() -> bool:
        seen.append(subprocess.run(["grep", "-rlaF", text, str(folder)], capture_output=True, text=True, check=False))
        said = seen[-1].stderr.splitlines()
        return not said or not all(line.endswith(": No such file or directory") for line in said)

    until(looked)
    assert seen[-1].returncode in (0, 1), seen[-1].stderr
    return seen[-1].stdout.split()
