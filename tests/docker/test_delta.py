"""What the next version costs those who have the one before: measured, recorded, and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docker.imaged import VERSION, Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.lab import Lab

pytestmark = pytest.mark.docker


@pytest.fixture
def shipped(tmp_path: Path, lab: Lab) -> Imaged:
    made = imaged(tmp_path / "story", lab)
    made.declare(image="  delta-budget: 64KiB\n")
    done = made.release("cut", VERSION, "--yes")
    assert done.code == 0, done.err
    return made


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
    config = len(shipped.registry.blob(shipped.registry.config_digest(new)))
    delta = shipped.release("show", "v2.7.2", "--json").json["images"][0]["delta"]
    assert delta["layers"] == len(fresh) > 0
    assert delta["size"] == sum(layer.size for layer in fresh) + len(new.content) + config
    assert f"for a client that has {shipped.repository}:{VERSION}" in shipped.release("show", "v2.7.2").out


def test_more_than_the_budget_stops_the_cut_also_when_it_is_run_again(shipped: Imaged) -> None:
    shipped.declare(fix=shipped.story.after, version="v2.7.2", image="  delta-budget: 100B\n")
    for _ in range(2):
        done = shipped.release("cut", "v2.7.2", "--yes")
        assert done.code == 6, done.err
        assert "delta-budget allows 100" in done.err
    assert "v2.7.2" not in shipped.registry.tags()
    assert "v2.7.2" not in shipped.story.remote.git("tag").split()
    shipped.declare(fix=shipped.story.after, version="v2.7.2", image="  delta-budget: 64KiB\n")
    assert shipped.release("cut", "v2.7.2", "--yes").code == 0
