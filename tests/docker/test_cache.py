"""`image.cache`: a one-line fix on a machine that has built nothing takes over what the version before has built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.core.reference import parse_reference
from orchestrator.registry.client import Registry
from tests.support.buildkits import counting
from tests.support.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker

NEXT, THIRD = "v2.7.2", "v2.7.3"
WEIGHT = 600_000  # bytes that do not compress
# Every run of the first step makes other bytes: a layer that is the same was taken over.
DOCKERFILE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
RUN mkdir -p /opt /etc/release && head -c {WEIGHT} /dev/urandom > /opt/heavy
COPY loader.py /opt/loader.py
ARG RELEASE_VERSION
RUN printf '%s\\n' "$RELEASE_VERSION" > /etc/release/version
"""


def story(place: Path, lab: Lab, image: str) -> Imaged:
    made = imaged(place / "story", lab, dockerfile=DOCKERFILE)
    made.declare(image=image)
    return made


def cut(made: Imaged, version: str, env: dict[str, str]) -> dict[str, Any]:
    done = made.release("cut", version, "--yes", env=env)
    assert done.code == 0, done.err
    image: dict[str, Any] = made.release("show", version, "--json").json["images"][0]
    return image


def layers(made: Imaged, version: str) -> list[str]:
    manifest = made.registry.manifest(version)
    assert manifest is not None
    return [layer.digest for layer in made.registry.layers(made.registry.image(manifest))]


def common(one: list[str], other: list[str]) -> int:
    return next((number for number, pair in enumerate(zip(one, other, strict=True)) if len(set(pair)) > 1), len(one))


@pytest.mark.wide
def test_buildkit_takes_over_the_cache_that_the_version_before_left(
    tmp_path: Path, lab: Lab, counted: BuildKit
) -> None:
    place = f"{lab.registry}/cache-{tmp_path.name}"
    image = f"  builder: buildx\n  cache: {{from: [previous], to: {place}}}\n"
    counted.load(lab.base)
    made, env = story(tmp_path, lab, image), counted.environment
    planned = made.release("plan", VERSION, env=env)
    assert f"  cache           from v2.7.0, to {place}\n" in planned.out, planned.err
    first = cut(made, VERSION, env)
    assert (first["cache"]["taken"], first["cache"]["left"][: len(place)]) == ([], place)
    assert "    cache   left " in made.release("show", VERSION).out

    counted.empty()
    counted.load(lab.base)
    before = counting(counted)
    made.declare(fix=made.story.after, version=NEXT, image=image)
    second = cut(made, NEXT, env)
    assert (counting(counted) - before).out < WEIGHT / 2
    assert second["cache"]["taken"] == [first["cache"]["left"]]
    one, two = layers(made, VERSION), layers(made, NEXT)
    assert common(one, two) == len(one) - 2  # the fix, and what lies on it
    for command in (("verify", NEXT), ("audit",)):
        told = made.release(*command, env=env)
        assert told.code == 0, (command, told.err)

    # Somebody else's under that name, then none at all: both digests are named, and nothing is built.
    left = parse_reference(second["cache"]["left"])
    cache = Registry(left.repository, credentials=lambda: lab.credentials)
    theirs, ours = cache.manifest(first["cache"]["tag"]), cache.manifest(left.digest)
    assert theirs
    assert ours
    cache.put_manifest(second["cache"]["tag"], theirs)
    made.declare(fix=made.story.before, version=THIRD, image=image)
    refused = made.release("cut", THIRD, "--yes", env=env)
    assert refused.code == 9, refused.err
    assert "cache-differs" in refused.err
    assert left.digest in refused.err
    assert theirs.digest in refused.err
    made.declare(fix=made.story.before, version=THIRD, image=image.replace("previous", f"{place}@sha256:{'0' * 64}"))
    gone = made.release("cut", THIRD, "--yes", env=env)
    assert (gone.code, "is gone" in gone.err) == (9, True), gone.err
    assert made.registry.head(THIRD) is None


@pytest.mark.wide
def test_the_classic_builder_takes_over_the_image_of_the_version_before(
    tmp_path: Path, lab: Lab, client: docker.DockerClient
) -> None:
    image = "  builder: classic\n  cache: {from: [previous]}\n"
    made = story(tmp_path, lab, image)
    first = cut(made, VERSION, {})
    assert first["cache"] is None
    for each in client.images.list(made.repository):
        client.images.remove(str(each.id), force=True)  # with the steps that led to it
    made.declare(fix=made.story.after, version=NEXT, image=image)
    second = cut(made, NEXT, {})
    assert second["cache"]["taken"] == [f"{made.repository}@{first['digest']}"]
    before, now = layers(made, VERSION), layers(made, NEXT)
    assert common(before, now) == len(before) - 2


def test_what_the_builder_cannot_take_over_is_a_problem_of_the_plan(tmp_path: Path, lab: Lab) -> None:
    made = story(tmp_path, lab, f"  builder: classic\n  cache: {{from: [previous], to: {lab.registry}/x}}\n")
    planned = made.release("plan", VERSION)
    assert planned.code == 2
    assert "[builder-cannot]" in planned.err
    assert "image.cache needs BuildKit" in planned.err
