"""What the next version costs those who have the one before: measured, recorded, and bounded."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.registry.manifest import Manifest
from tests.support.imaged import DOCKERFILE, VERSION, Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


@pytest.fixture
def shipped(tmp_path: Path, lab: Lab) -> Imaged:
    made = imaged(tmp_path / "story", lab)
    made.declare(image="  delta-budget: 64KiB\n")
    done = made.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    return made


@pytest.mark.wide
def test_bytes_and_layers_are_those_of_the_registry(shipped: Imaged) -> None:
    first = shipped.release("show", VERSION, "--json").json["images"][0]["delta"]
    assert "v2.7.0 is not in the registry" in first["unknown"]
    shipped.declare(fix=shipped.story.after, version="v2.7.2", image="  delta-budget: 64KiB\n")
    done = shipped.release("cut", "v2.7.2", "--yes")
    assert done.code == 0, done.err
    old, new = (shipped.registry.manifest(tag) for tag in (VERSION, "v2.7.2"))
    assert old is not None
    assert new is not None
    known = {layer.digest for layer in shipped.registry.layers(old)}
    fresh = [layer for layer in shipped.registry.layers(new) if layer.digest not in known]
    config = len(shipped.registry.blob(shipped.registry.details(new).config))
    delta = shipped.release("show", "v2.7.2", "--json").json["images"][0]["delta"]
    assert delta["layers"] == len(fresh) > 0
    assert delta["size"] == sum(layer.size for layer in fresh) + len(new.content) + config
    assert f"for a client that has {shipped.repository}:{VERSION}" in shipped.release("show", "v2.7.2").out


@pytest.mark.wide
def test_what_can_never_fit_stops_in_smoke_before_a_byte_is_pushed(shipped: Imaged) -> None:
    clone = shipped.story.clone
    clone.git("checkout", "--quiet", "--detach", shipped.story.after)
    big = clone.commit("fix: much more", {"Dockerfile": DOCKERFILE + "RUN dd if=/dev/zero of=/big bs=1k count=300\n"})
    clone.git("checkout", "--quiet", "main")
    before = set(shipped.registry.tags())
    shipped.declare(fix=big, version="v2.7.2", image="  delta-budget: 100B\n")
    done = shipped.release("cut", "v2.7.2", "--yes")
    assert done.code == 6, done.err
    assert "smoke-failed" in done.err
    assert "delta-budget: a client that has" in done.err
    assert "307200 bytes by `dd if=/dev/zero of=/big bs=1k count=300`" in done.err
    assert set(shipped.registry.tags()) == before


@pytest.mark.wide
def test_a_layer_that_comes_twice_is_pulled_once(shipped: Imaged) -> None:
    clone = shipped.story.clone
    clone.git("checkout", "--quiet", "--detach", shipped.story.after)
    twice = "RUN dd if=/dev/zero of=/big bs=1k count=200 && touch -d @1 /big\n" * 2
    big = clone.commit("fix: twice the same", {"Dockerfile": DOCKERFILE + twice})
    clone.git("checkout", "--quiet", "main")
    shipped.declare(fix=big, version="v2.7.2", image="  delta-budget: 250B\n")  # 200 KiB could fit, 400 could not
    done = shipped.release("cut", "v2.7.2", "--yes")
    assert (done.code, "smoke-failed" in done.err, "[delta-budget]" in done.err) == (6, False, True), done.err
    assert "v2.7.2 does not exist; the registry has its layers under" in done.err


@pytest.mark.wide
def test_size_and_layers_are_bounded(shipped: Imaged) -> None:
    limits = "  size-budget: {}\n  max-layers: {}\n"
    shipped.declare(fix=shipped.story.after, version="v2.7.2", image=limits.format("1KiB", 2))
    done = shipped.release("cut", "v2.7.2", "--yes")
    assert done.code == 6, done.err
    assert "size-budget allows 1024" in done.err
    assert "layers, max-layers allows 2" in done.err
    shipped.declare(fix=shipped.story.after, version="v2.7.2", image=limits.format("1GiB", 20))
    done = shipped.release("cut", "v2.7.2", "--yes")
    assert done.code == 0, done.err
    checks = shipped.release("show", "v2.7.2", "--json").json["images"][0]["checks"]
    assert next(check["state"] for check in checks if check["name"] == "budget") == "passed"


def test_more_than_the_budget_stops_the_cut_also_when_it_is_run_again(shipped: Imaged) -> None:
    shipped.declare(fix=shipped.story.after, version="v2.7.2", image="  delta-budget: 100B\n")
    for _ in range(2):
        done = shipped.release("cut", "v2.7.2", "--yes")
        assert done.code == 6, done.err
        assert "delta-budget allows 100" in done.err
        assert re.search(r"sha256:[0-9a-f]{64} \d+ bytes  COPY file:", done.err), done.err
    assert "v2.7.2" not in shipped.registry.tags()
    assert "v2.7.2" not in shipped.story.remote.git("tag").split()
    shipped.declare(fix=shipped.story.after, version="v2.7.2", image="  delta-budget: 64KiB\n")
    assert shipped.release("cut", "v2.7.2", "--yes").code == 0


@pytest.mark.wide
def test_room_for_the_version_before_is_asked_for_where_the_engine_lacks_it(shipped: Imaged) -> None:
    """An empty engine builds everything anew; the registry says how much that was."""
    registry, name = shipped.registry, f"{shipped.repository}:{VERSION}"
    manifest = registry.manifest(VERSION)
    assert manifest is not None
    document = json.loads(manifest.content)
    document["layers"][0]["size"] = 1 << 50
    registry.put_manifest(VERSION, Manifest(content=json.dumps(document).encode(), media_type=manifest.media_type))
    shipped.declare(fix=shipped.story.after, version="v2.7.2")
    refused = shipped.release("cut", "v2.7.2", "--yes")
    assert (refused.code, "MiB are needed" in refused.err) == (2, True)
    env = os.environ | {"DOCKER_HOST": shipped.lab.docker_host}
    subprocess.run(["docker", "tag", shipped.lab.base, name], env=env, check=True)
    shipped.declare(image="  allow: [shrunk]\n", fix=shipped.story.after, version="v2.7.2")
    done = shipped.release("cut", "v2.7.2", "--yes")
    subprocess.run(["docker", "rmi", name], env=env, check=True, capture_output=True)
    assert done.code == 0, done.err
