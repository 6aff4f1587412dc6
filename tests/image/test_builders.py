"""Who builds, and the secrets and keys that a build gets."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.declaration import BuildOptions, BuildSecret, HeavySpec, ImageSpec
from orchestrator.core.errors import UsageError
from orchestrator.core.plan import Plan, PlannedHeavy, PlannedImage
from orchestrator.core.reference import Reference
from orchestrator.core.results import Place
from orchestrator.image.builders import (
    LARGEST_SECRET,
    choose,
    described,
    option_problems,
    option_problems_here,
    secret_values,
    ssh_agents,
    sure_to_be_tried,
)
from orchestrator.session.connections import Connections, _load

if TYPE_CHECKING:
    from pathlib import Path

NAME = "registry.example.com/team/cuda"
HERE = Place(file="release.yaml", line=3, column=3)
IMAGE = PlannedImage(
    repository=NAME,
    reference=Reference.from_text(f"{NAME}:v2.7.1"),
    candidate=Reference.from_text(f"{NAME}:candidate-1"),
    dockerfile="Dockerfile",
    context=".",
)


def image(engine: str = "buildx", network: str = "", **options: object) -> PlannedImage:
    return replace(IMAGE, engine=engine, network=network, options=BuildOptions(**options))  # type: ignore[arg-type]


def plan(*images: PlannedImage) -> Plan:
    return Plan(
        plan_id="", version="v2.7.1", previous="", remote="origin", branch="release/v2.7", base="", head="",
        picked_tree="", tree="", picks=(), skipped=(), images=images, tasks=(),
    )  # fmt: skip


def connections(folder: Path) -> Connections:
    """Of a machine without docker buildx."""
    env = {"PATH": str(folder), "HOME": str(folder), "DOCKER_CONFIG": str(folder)}
    return Connections(env, owner=lambda: "", tell=lambda _: None, plain_http=False)


def test_without_the_program_auto_is_the_classic_builder(tmp_path: Path) -> None:
    chosen, notes = choose(plan(image("auto"), image("buildx")), connections(tmp_path))
    assert [each.engine for each in chosen.images] == ["classic", "buildx"]
    assert notes == ()
    assert "no docker buildx" in described("auto", connections(tmp_path))
    with pytest.raises(UsageError, match="no docker buildx") as caught:
        described("buildx", connections(tmp_path))
    assert caught.value.code == "no-buildx"


def test_a_builder_that_fails_a_tiny_build_is_not_taken(tmp_path: Path) -> None:
    """The program stands for one that no longer answers: nothing but its words can be had here."""
    program = tmp_path / "docker-buildx"
    program.write_text("#!/bin/sh\necho 'ERROR: no builder \"x\" found' >&2\nexit 1\n")
    program.chmod(0o755)
    chosen, (note,) = choose(plan(image("auto")), connections(tmp_path))
    assert chosen.images[0].engine == "classic"
    assert 'no builder "x" found' in note
    with pytest.raises(UsageError, match="no builder") as caught:
        described("buildx", connections(tmp_path))
    assert "docker buildx use" in caught.value.remedy


def test_a_builder_is_tried_once_beside_what_is_done_until_it_is_used(tmp_path: Path) -> None:
    """The program stands for a builder that answers late."""
    log = tmp_path / "log"
    program = tmp_path / "docker-buildx"
    program.write_text(f"#!/bin/sh\necho $1 >> {log}\n/bin/sleep 0.2\necho 'Name: x'\n")
    program.chmod(0o755)
    _load()  # what is loaded in a thread of its own besides
    links = connections(tmp_path)
    links.warm(sure_to_be_tried(ImageSpec(place=HERE, repository=NAME)))
    chosen, notes = choose(plan(image("auto")), links)
    assert (chosen.images[0].engine, notes) == ("buildx", ())
    assert log.read_text().split() == ["inspect", "build"]


@pytest.mark.parametrize(
    ("options", "heavy", "names"),
    [
        (BuildOptions(), False, ("",)),
        (BuildOptions(), True, ()),
        (BuildOptions(builder="buildx"), True, ("",)),
        (BuildOptions(builder="buildx", builders=("a", "b")), True, ("a", "b")),
        (BuildOptions(builder="classic"), False, ()),
    ],
)
def test_only_a_builder_that_is_sure_to_be_tried_is_tried_early(
    options: BuildOptions, heavy: bool, names: tuple[str, ...]
) -> None:
    spec = ImageSpec(place=HERE, repository=NAME, options=options)
    assert sure_to_be_tried(replace(spec, heavy=HeavySpec(place=HERE, stage="heavy") if heavy else None)) == names


def test_what_a_builder_has_not_is_refused_with_its_line() -> None:
    spec = ImageSpec(place=HERE, repository=NAME, places=(("secrets", replace(HERE, line=9)),))
    asked = image("classic", secrets=(BuildSecret(name="a", env="A"),), ssh=("default",), gpus="nvidia.com/gpu=all")
    problems = option_problems(plan(asked, asked), spec)
    assert [each.where for each in problems] == ["release.yaml:9:3", "release.yaml:3:3", "release.yaml:3:3"]
    assert {each.code for each in problems} == {"builder-cannot"}
    assert all("builder: buildx" in each.remedy for each in problems)
    assert option_problems(plan(replace(asked, engine="buildx")), spec) == ()
    (network,) = option_problems(plan(image(network="mine")), spec)
    assert "'mine'" in network.message


def secret(**where: object) -> PlannedImage:
    return image(secrets=(BuildSecret(name="token", **where),))  # type: ignore[arg-type]


def test_secrets_come_from_variables_and_files(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"file\n")
    assert secret_values(secret(env="T"), {"T": "v"}, tmp_path) == {"token": b"v"}
    assert secret_values(secret(file="t"), {}, tmp_path) == {"token": b"file\n"}
    assert secret_values(secret(file="~/t"), {"HOME": str(tmp_path)}, tmp_path / "x") == {"token": b"file\n"}
    assert secret_values(secret(file="none", required=False), {}, tmp_path) == {}
    assert secret_values(secret(env="T", required=False), {}, tmp_path) == {}


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"env": "T"}, "the variable T is not there"),
        ({"env": "E"}, "the variable E is empty"),
        ({"file": "none"}, "none is not there"),
        ({"file": "empty"}, "empty is empty"),
        ({"file": "huge"}, f"huge has {LARGEST_SECRET + 1} bytes"),
        ({"file": "."}, "Is a directory"),
    ],
)
def test_a_secret_that_is_none(tmp_path: Path, where: dict[str, str], says: str) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "huge").write_bytes(b"x" * (LARGEST_SECRET + 9))
    with pytest.raises(UsageError, match="build secret token: ") as caught:
        secret_values(secret(**where), {"E": ""}, tmp_path)
    assert says in caught.value.message
    assert (caught.value.code, "\n" in caught.value.message, bool(caught.value.remedy)) == ("build-secret", False, True)


def test_agents_and_keys(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        env = {"SSH_AUTH_SOCK": str(tmp_path / "agent"), "HOME": str(tmp_path)}
        assert ssh_agents(image(ssh=("default", "k=~/key")), env) == ("default", f"k={tmp_path}/key")
    with pytest.raises(UsageError, match="SSH_AUTH_SOCK is not set"):
        ssh_agents(image(ssh=("default",)), {})
    with pytest.raises(UsageError, match="there is no /nowhere"):
        ssh_agents(image(ssh=("k=/nowhere",)), {})


@pytest.mark.parametrize(("engine", "refused"), [("classic", True), ("buildx", False), ("auto", False)])
def test_zstd_needs_buildkit_and_gzip_nobody(engine: str, refused: bool) -> None:
    spec = ImageSpec(place=HERE, repository=NAME, options=BuildOptions(compression="zstd:3"))
    problems = option_problems(plan(image(engine, compression="zstd:3")), spec)
    assert [problem.code for problem in problems] == ["builder-cannot"] * refused
    assert option_problems(plan(image(engine)), spec) == ()
    here = option_problems_here(spec, engine)
    assert [(problem.code, problem.where) for problem in here] == [("builder-cannot", "release.yaml:3:3")] * refused
    assert option_problems_here(replace(spec, heavy=HeavySpec(place=HERE, stage="heavy")), engine) == ()


@pytest.mark.parametrize(("builder", "refused"), [("classic", True), ("buildx", False), ("", False)])
def test_of_what_no_engine_makes_the_heavy_base_may_need_buildkit(builder: str, refused: bool) -> None:
    heavy = PlannedHeavy(stage="heavy", epoch=1, repository=NAME, builder=builder)
    asked = replace(image("none", compression="zstd", secrets=(BuildSecret(name="a", env="A"),)), heavy=heavy)
    problems = option_problems(plan(asked), ImageSpec(place=HERE, repository=NAME))
    assert len(problems) == 2 * refused
    assert all("the heavy base of" in each.message and "the classic builder" in each.message for each in problems)


def test_a_network_that_buildkit_has_not_is_said_by_check_too() -> None:
    spec = ImageSpec(place=HERE, repository=NAME, network="mine")
    (problem,) = option_problems_here(spec, "buildx")
    assert (problem.code, "'mine'" in problem.message) == ("builder-cannot", True)
    assert option_problems_here(spec, "auto") == option_problems_here(spec, "classic") == ()
