"""`release doctor --image`: which machines an image can run on, by the lock inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.image.pytorch_builds import BUILDS
from tests.docker.builds import context_of
from tests.support.imaged import Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.reference import Reference
    from tests.docker.conftest import Build
    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
INSIDE = "FROM BASE\nCOPY torch.txt /opt/release/build/torch.txt\n"


@pytest.fixture
def story(tmp_path: Path, lab: Lab) -> Imaged:
    return imaged(tmp_path / "story", lab)


def test_drivers_and_gpus_of_an_image(story: Imaged, build: Build, name: Reference, lab: Lab) -> None:
    lock = f"torch==2.7.1+cu128 --hash=sha256:{'0' * 64}\n"
    build("", context=context_of({"Dockerfile": INSIDE.replace("BASE", lab.base), "torch.txt": lock}))
    done = story.release("doctor", "--image", str(name))
    assert done.code == 0, done.err
    assert "CUDA 12.8" in done.out
    assert "driver 525.60.13" in done.out
    assert "sm_120 (Blackwell)" in done.out
    said = story.release("doctor", "--image", str(name), "--json").json
    assert said["build"]["driver"] == next(each.driver for each in BUILDS if each.variant == "cu128")


def test_an_image_that_does_not_say_and_one_that_is_not_there(story: Imaged, build: Build, name: Reference) -> None:
    build("FROM BASE\n")
    silent = story.release("doctor", "--image", str(name))
    assert silent.code == 6
    assert "does not say which torch it has" in silent.err
    gone = story.release("doctor", "--image", "no-such-image:v1")
    assert gone.code == 2
    assert "docker pull no-such-image:v1" in gone.err
