"""A cut whose image BuildKit builds: straight into the registry, proved from there, recorded, and made again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from docker import DockerClient

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS noted
ARG RELEASE_VERSION
RUN --mount=type=secret,id=token,required=true <<EOT
mkdir -p /etc/release
printf '%s\\n' "$RELEASE_VERSION" > /etc/release/version
wc -c < /run/secrets/token > /etc/release/length
EOT

FROM ${BASE_IMAGE} AS runtime
COPY --link --chmod=0644 loader.py /opt/loader.py
COPY --link --from=noted /etc/release /etc/release

FROM nowhere.invalid/never/asked:1 AS broken
RUN exit 9
"""
OPTIONS = "  target: runtime\n  secrets: {token: {env: BUILD_TOKEN}}\n  labels: {com.example.team: ml}\n"
SECRET = "a-secret-of-23-letters!"


@pytest.fixture
def shipped(tmp_path: Path, lab: Lab) -> Imaged:
    made = imaged(tmp_path / "story", lab, dockerfile=DOCKERFILE)
    made.declare(image=OPTIONS)
    return made


def test_a_cut_by_buildkit_is_released_recorded_and_made_again(shipped: Imaged, buildkit: BuildKit) -> None:
    env = {**buildkit.environment, "BUILD_TOKEN": SECRET}
    done = shipped.release("cut", VERSION, "--yes", "--json", env=env)
    assert done.code == 0, done.err
    image = shipped.release("show", VERSION, "--json").json["images"][0]
    assert "    built   by buildx, builder default (docker)\n" in shipped.release("show", VERSION).out
    head, candidates = shipped.registry.head(VERSION), [each for each in shipped.registry.tags() if each != VERSION]
    assert head is not None
    assert head.digest == image["digest"] == done.json["digest"]
    assert len(candidates) == 1
    assert (image["engine"], image["builder"], image["image_id"]) == ("buildx", "default (docker)", "")
    assert image["size"] > 0
    assert image["labels"]["com.example.team"] == "ml"
    assert {check["state"] for check in image["checks"]} == {"passed"}
    again = shipped.release("cut", VERSION, "--yes", "--json", env=env)
    assert (again.code, again.json["released"]) == (0, False)
    rebuilt = shipped.release("rebuild", VERSION, "--json", env=env)
    assert (rebuilt.code, rebuilt.json["images"][0]["settings"]) == (0, []), rebuilt.out + rebuilt.err
    assert {layer["verdict"] for layer in rebuilt.json["images"][0]["layers"]} == {"identical"}
    audited = shipped.release("verify", VERSION, env=env)
    assert audited.code == 0, audited.err


def test_a_base_of_another_platform_is_refused_wherever_it_is(
    tmp_path: Path, lab: Lab, buildkit: BuildKit, client: DockerClient
) -> None:
    """BuildKit would build on it, and write the wanted platform on the image.

    By its name in a registry, by its digest, and where the builder's engine alone has it.
    """
    made = imaged(tmp_path / "story", lab, dockerfile="ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY loader.py /opt/\n")
    made.declare(image="  platforms: [linux/amd64, linux/arm64]\n")
    release_yaml, name = made.story.clone.path / "release.yaml", f"{made.repository}:base"
    client.images.get(lab.base).tag(name)
    client.images.push(name, auth_config={"username": lab.username, "password": lab.password})
    client.images.remove(name)
    there = made.registry.head("base")
    assert there is not None
    declared = release_yaml.read_text()
    for base in (name, f"{made.repository}@{there.digest}", lab.base):
        release_yaml.write_text(declared.replace(lab.base, base))
        refused = made.release("cut", VERSION, "--yes", env=buildkit.environment)
        assert (refused.code, "[wrong-platform]" in refused.err) == (6, True), refused.err
        assert f"is to be for linux/arm64, and its base {base} is for linux/amd64" in refused.err
        assert made.registry.head(VERSION) is None
        assert made.release("abort", VERSION).code == 0


def test_plan_says_what_the_cut_refuses_before_its_question(shipped: Imaged, buildkit: BuildKit) -> None:
    """A builder that is not there, secrets and keys: all at once, each with its line; offline they are notes."""
    more = "  secrets: {token: {env: BUILD_TOKEN}, folder: {file: pkg}, may: {file: gone, required: false}}\n"
    shipped.declare(image=f"  target: runtime\n{more}  ssh: [default]\n  builders: [nobody]\n")
    first = 1 + (shipped.story.clone.path / "release.yaml").read_text().splitlines().index(more.rstrip())
    env = {**buildkit.environment, "SSH_AUTH_SOCK": ""}
    (shipped.story.clone.path / "pkg").mkdir(exist_ok=True)
    refused = shipped.release("cut", VERSION, "--yes", "--json", env=env)
    planned, doctor = (shipped.release(*each, "--json", env=env) for each in (("plan", VERSION), ("doctor",)))
    problems = [(each["code"], each["where"].split(":")[1]) for each in planned.json["problems"]]
    secrets = [("build-secret", str(first))] * 2
    assert problems == [("builder-unusable", str(first + 2)), *secrets, ("build-ssh", str(first + 1))], planned.err
    assert (refused.code, planned.code, refused.json["problems"]) == (2, 2, planned.json["problems"])
    assert "build secret token: the variable BUILD_TOKEN is not there" in refused.err
    failed = [each["name"] for each in doctor.json["checks"] if each["state"] == "failed"]
    assert failed == ["builders", "build-secrets", "build-secrets", "build-ssh"]
    offline = shipped.release("--offline", "plan", VERSION, "--json", env=env)
    assert (offline.code, offline.json["problems"], offline.json["plan_id"]) == (0, [], planned.json["plan_id"])
    assert len([note for note in offline.json["notes"] if "a cut is refused here" in note]) == 3
    assert shipped.registry.tags() == ()


def test_without_buildkit_what_needs_it_is_a_problem_of_the_plan(shipped: Imaged) -> None:
    """The machine of the lab has no docker buildx."""
    planned = shipped.release("plan", VERSION, "--json")
    problems = {(each["code"], each["where"].partition(":")[0]) for each in planned.json["problems"]}
    assert problems == {("dockerfile-needs-buildkit", "Dockerfile"), ("builder-cannot", "release.yaml")}
    checked = shipped.release("check", "--json")
    assert checked.code == 2
    told = [{(each["code"], each["where"]) for each in found.json["problems"]} for found in (planned, checked)]
    assert told[0] == told[1]
    assert planned.json["images"][0]["engine"] == "classic"
    said = shipped.release("--offline", "plan", VERSION).out
    assert "  built by        docker buildx where it can, else the classic builder\n" in said
    offline = shipped.release("--offline", "plan", VERSION, "--json")
    assert (offline.json["images"][0]["engine"], offline.json["problems"]) == ("auto", [])
    assert offline.json["plan_id"] == planned.json["plan_id"]


@pytest.mark.wide
def test_a_flag_that_this_buildkit_does_not_read_is_a_problem_of_the_plan(
    tmp_path: Path, lab: Lab, buildkit: BuildKit
) -> None:
    """Tried, and only where the Dockerfile has it: --parents is not known, --exclude is."""
    text = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY --exclude=x loader.py /opt/\nCOPY --parents loader.py /x/\n"
    made = imaged(tmp_path / "story", lab, dockerfile=text)
    planned = made.release("plan", VERSION, "--json", env=buildkit.environment)
    assert [(each["code"], each["where"]) for each in planned.json["problems"]] == [("builder-cannot", "Dockerfile:4")]
    checked = made.release("check", "--json", env=buildkit.environment)
    assert (checked.code, checked.json["problems"]) == (2, planned.json["problems"])
    assert "# syntax=docker/dockerfile:1-labs" in planned.json["problems"][0]["remedy"]
    assert made.release("--offline", "plan", VERSION, "--json", env=buildkit.environment).json["problems"] == []
    (made.story.clone.path / "release.yaml").unlink()
    begun = made.release("init", "--json", env=buildkit.environment).json["problems"]
    assert [each["code"] for each in begun] == ["dockerfile-base-unresolved", "builder-cannot"]


def test_the_answer_is_told_by_doctor(shipped: Imaged, buildkit: BuildKit) -> None:
    asked = shipped.release("doctor", "--json", env=buildkit.environment).json
    (said,) = [each for each in asked["checks"] if each["name"] == "builder"]
    assert (said["state"], said["message"]) == ("passed", "docker buildx, builder default (docker)")
    there = shipped.release("doctor", "--json").json
    (said,) = [each for each in there["checks"] if each["name"] == "builder"]
    assert said["message"].startswith("the classic builder: there is no docker buildx")


@pytest.mark.wide
def test_what_is_built_is_not_built_again(shipped: Imaged, buildkit: BuildKit) -> None:
    shipped.declare(image=OPTIONS, smoke="    - {name: never, run: 'test -e /no/such'}\n")
    first = shipped.release("cut", VERSION, "--yes", env={**buildkit.environment, "BUILD_TOKEN": SECRET})
    again = shipped.release("cut", VERSION, "--yes", env=buildkit.environment)  # not even its secret is needed
    assert (first.code, again.code) == (6, 6), first.err + again.err
    journal = (shipped.story.clone.path / ".git/release" / VERSION / "journal.jsonl").read_text().splitlines()
    started = [each["task"] for each in map(json.loads, journal) if each.get("kind") == "started"]
    assert started.count(f"build/{VERSION}") == 1, started
    assert SECRET not in "".join(journal)
    assert shipped.registry.head(VERSION) is None


@pytest.mark.wide
def test_new_layers_are_compressed_with_zstd_and_read_again(shipped: Imaged, buildkit: BuildKit) -> None:
    shipped.declare(image=f"{OPTIONS}  compression: zstd:3\n")
    env = {**buildkit.environment, "BUILD_TOKEN": SECRET}
    for command in (("plan", VERSION), ("check",)):
        said = shipped.release(*command, env=env)
        assert "Docker before 23.0 and containerd before 1.5 cannot pull them" in said.out + said.err
    done = shipped.release("cut", VERSION, "--yes", env=env)
    assert done.code == 0, done.err
    manifest = shipped.registry.manifest(VERSION)
    assert manifest is not None
    kinds = {layer.media_type.rpartition("+")[2] for layer in shipped.registry.layers(shipped.registry.image(manifest))}
    assert "zstd" in kinds
    read = shipped.release("rebuild", VERSION, "--deep", env=env)
    assert read.code in (0, 6), read.err
    assert "layer-unreadable" not in read.out + read.err
