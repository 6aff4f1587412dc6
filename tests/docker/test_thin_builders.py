"""Thin releases whose heavy base, or what stands on it, needs a builder."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests

from orchestrator.thin.base import find_facts
from tests.docker.thinned import DOCKERFILE, HEAVY, NEXT, PATCH, SITE, manifest, recorded, remove, story, tag_of
from tests.support.buildkits import counting, docker, publish
from tests.support.imaged import VERSION
from tests.support.story import copied

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab
    from tools.lab.buildkit import BuildKit

pytestmark = pytest.mark.docker
BOUND = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS heavy
RUN --mount=type=bind,source=Dockerfile,target=/in --mount=type=secret,id=token,required=true \\
 mkdir -p /opt /etc/release /home/train && cp /in /opt/bound && chown 1000:1000 /home/train

FROM heavy AS other
FROM heavy AS last
COPY --link loader.py /opt/loader.py
ARG RELEASE_VERSION
COPY --link <<END /etc/release/version
$RELEASE_VERSION
END
"""


@pytest.mark.wide
def test_a_heavy_base_that_needs_buildkit_for_an_image_that_no_engine_makes(
    tmp_path: Path, lab: Lab, buildkit: BuildKit
) -> None:
    """Made by BuildKit, with zstd, a secret and a mount; a machine without it can release once it is there."""
    image = "  heavy: heavy\n  target: last\n  compression: zstd\n  secrets: {token: {env: BUILD_TOKEN}}\n"
    thin = story(tmp_path, lab, BOUND, image)
    alone = thin.release("plan", VERSION, "--json").json["problems"]
    assert {each["code"] for each in alone} == {"dockerfile-needs-buildkit", "builder-cannot"}
    assert all("the heavy base of" in each["message"] for each in alone if each["code"] == "builder-cannot")
    env = {**buildkit.environment, "BUILD_TOKEN": "a-secret-of-23-letters!"}
    refused = thin.release("cut", VERSION, "--yes", env=buildkit.environment)
    assert (refused.code, "build secret token: the variable BUILD_TOKEN is not there" in refused.err) == (2, True)
    done = thin.release("cut", VERSION, "--yes", env=env)
    assert done.code == 0, done.err
    first, registry = recorded(thin), thin.registry
    assert first["engine"] == "none"
    below = registry.layers(manifest(registry, tag_of(first)))
    assert {each.media_type.rpartition("+")[2] for each in below[-1:]} == {"zstd"}
    assert [each.media_type.rpartition("+")[2] for each in registry.layers(manifest(registry, VERSION))[-2:]] == [
        "gzip"
    ] * 2
    facts = find_facts(registry, tag_of(first), first["heavy"]["digest"])
    assert facts
    assert facts.folders["home/train"].uid == 1000
    for command in (("verify", VERSION), ("rebuild", VERSION, "--strict")):
        again = thin.release(*command, env=env)
        assert again.code == 0, (command, again.out, again.err)

    # It is there: the next version needs no builder, and its plan is the same one with and without.
    thin.declare(fix=thin.story.after, version=NEXT, image=image)
    there = thin.release("plan", NEXT, "--json")
    assert (there.code, there.json["problems"]) == (0, []), there.err
    assert there.json["plan_id"] == thin.release("plan", NEXT, "--json", env=env).json["plan_id"]

    # A machine with a builder far away and no engine: what is written there is proved on that builder.
    far = f"far{uuid.uuid4().hex[:8]}"
    docker(buildkit, "buildx", "create", "--name", far, "--driver", "remote", buildkit.end().address)
    alone = {name: buildkit.environment[name] for name in ("DOCKER_CONFIG", "PATH")} | {"BUILDX_BUILDER": far}
    done = thin.release("cut", NEXT, "--yes", env={**alone, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert done.code == 0, done.err
    second = recorded(thin, NEXT)
    checks = {check["name"]: (check["state"], check["message"]) for check in second["checks"]}
    assert (second["engine"], second["heavy"]) == ("none", first["heavy"])
    assert f"on builder {far} (remote)" in checks["proved-on"][1]
    assert [checks[name][0] for name in ("version-inside", "thin-parents", "grep -q closed /opt/loader.py")] == [
        "passed"
    ] * 3
    docker(buildkit, "buildx", "rm", far)


def test_buildkit_makes_what_needs_a_builder_and_moves_nothing_of_the_base(
    tmp_path: Path, lab: Lab, counted: BuildKit
) -> None:
    """On an engine that is emptied in between and counted; the smoke test runs on the lab's other one.

    The same release once more, as if nobody had ever made it, from that engine emptied again: the same digest.  Of the
    stage that the tool stands in for, even the image below is gone.  So are the sources of the base, which patches are
    applied to: what they made is taken from the version before, and only `rebuild` reads them again.
    """
    counted.load(lab.base)
    base, far = f"{lab.registry}/{uuid.uuid4().hex[:10]}/base:1", f"far{uuid.uuid4().hex[:8]}"
    publish(counted, lab.base, base)
    docker(counted, "buildx", "create", "--name", far, "--driver", "remote", counted.end().address)
    env = {name: counted.environment[name] for name in ("DOCKER_CONFIG", "PATH")} | {"BUILDX_BUILDER": far}

    last = DOCKERFILE.partition("\nFROM heavy\n")[2].replace("loader.py $APP/loader.py", "load*.py $APP/")
    gone = "FROM ${BASE_IMAGE}-gone AS stamping\nRUN stamp /out\nFROM scratch AS stamp\nCOPY --from=stamping /out /\n"
    last += "COPY --link --from=stamp / /\nCOPY --link --from=patched / /\n"
    package = (
        f"RUN mkdir -p /{SITE} && cd /{SITE} && mkdir tiny tiny-1.0.dist-info && touch tiny-1.0.dist-info/METADATA"
    )
    package += " && printf 'def half(n):\\n    return n // 2\\n' > tiny/__init__.py\nFROM scratch AS patched\n"
    thin = story(tmp_path, replace(lab, base=base), f"{HEAVY}{package}{gone}FROM heavy\n{last}")
    patch = thin.story.clone.commit("fix: a patch", {"patches/tiny-1.0/0001-half.patch": PATCH})
    thin.story.clone.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    image = "  heavy: heavy\n  delta-budget: 16KiB\n  builder: buildx\n  patches: patches\n  checks: []\n"
    thin.declare(image=image, fix=f"{thin.story.fix}\n      - commit: {patch}")
    planned = thin.release("plan", VERSION, env=env)
    assert "thin layers on heavy-" in planned.out
    assert "by a builder" in planned.out
    done = thin.release("cut", VERSION, "--yes", env=env)
    assert done.code == 0, done.err
    thin.declare(fix=thin.story.after, version=NEXT, image=image)
    twin = replace(thin, story=copied(thin.story, tmp_path / "twin"))
    facts = manifest(thin.registry, f"{tag_of(recorded(thin))}-facts")
    sources = thin.registry.layers(facts)[1].digest
    content = thin.registry.blob(sources)
    place = f"http://{lab.registry}/v2/{thin.registry.repository.path}/blobs/{sources}"
    requests.delete(place, auth=(lab.username, lab.password), timeout=30).raise_for_status()
    counted.empty()
    before = counting(counted)
    done = thin.release("cut", NEXT, "--yes", env=env)
    assert done.code == 0, done.err
    moved = counting(counted) - before
    assert 0 < moved.into < 64 << 10
    assert 0 < moved.out < 64 << 10
    made = recorded(thin, NEXT)
    assert made["engine"] == "buildx"
    assert made["heavy"] == recorded(thin)["heavy"]
    below = thin.registry.layers(manifest(thin.registry, tag_of(made)))
    assert thin.registry.layers(manifest(thin.registry, NEXT))[: len(below)] == below
    assert made["delta"]["size"] < 16 * 1024
    assert thin.release("verify", NEXT).code == 0
    thin.registry.put_blob(content)
    rebuilt = thin.release("rebuild", NEXT, "--strict", "--json", env=env)
    assert rebuilt.code == 0, rebuilt.err
    assert {layer["verdict"] for layer in rebuilt.json["images"][0]["layers"]} == {"identical"}
    counted.empty()
    remove(thin.registry, lab, made["digest"])
    assert thin.registry.head(made["digest"]) is None
    again = twin.release("cut", NEXT, "--yes", env=env)
    assert again.code == 0, again.err
    assert (recorded(twin, NEXT)["digest"], twin.registry.head(NEXT) is None) == (made["digest"], False)
    docker(counted, "buildx", "rm", far)
