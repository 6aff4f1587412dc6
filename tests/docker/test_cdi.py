"""GPUs by CDI, with a made-up device: an opt-in test, since it needs an engine that knows CDI (Docker 25 or newer).

RELEASE_CDI_DOCKER_HOST=unix:///...  that engine, on this machine
RELEASE_CDI_SPEC_DIR=/...            the folder of its --cdi-spec-dir, started with --feature cdi=true
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest

from tests.docker.builds import context_of
from tests.docker.test_contents import FAKE_CUDA_TORCH, SITE
from tests.support.imaged import Imaged, imaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.lab import Lab

HOST, SPECS = (os.environ.get(name, "") for name in ("RELEASE_CDI_DOCKER_HOST", "RELEASE_CDI_SPEC_DIR"))
pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not (HOST and SPECS), reason="GPUs BY CDI NOT TRIED: " + " ".join((__doc__ or "").split())),
]
KIND = "release-test.example/gpu"


@pytest.fixture
def engine_with_cdi(client: docker.DockerClient, tmp_path: Path) -> Iterator[docker.DockerClient]:
    """An engine that gives a container nvidia-smi, and nothing more, as the device `all`; and has the lab's base."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '470.57.02, Made Up'\n")
    smi.chmod(0o755)
    mount = {"hostPath": str(smi), "containerPath": "/usr/bin/nvidia-smi", "options": ["ro", "bind"]}
    device = {"name": "all", "containerEdits": {"mounts": [mount]}}
    specification = Path(SPECS, f"release-test-{uuid.uuid4().hex[:8]}.json")
    specification.write_text(json.dumps({"cdiVersion": "0.6.0", "kind": KIND, "devices": [device]}))
    opened = docker.DockerClient(base_url=HOST)
    try:
        opened.images.load(b"".join(client.images.get(os.environ["RELEASE_LAB_BASE"]).save(named=True)))
        yield opened
    finally:
        opened.close()
        specification.unlink()


def test_a_device_comes_in_by_cdi_and_an_unknown_one_is_one_line(
    engine_with_cdi: docker.DockerClient, tmp_path: Path, lab: Lab
) -> None:
    story: Imaged = imaged(tmp_path / "story", lab)
    files = {"Dockerfile": f"FROM {os.environ['RELEASE_LAB_BASE']}\nCOPY site {SITE}\n", **FAKE_CUDA_TORCH}
    files["site/torch/cuda/__init__.py"] = files["site/torch/cuda/__init__.py"].replace("AVAILABLE", "False")
    tar = context_of(files)
    tar.seek(0)
    image, _ = engine_with_cdi.images.build(fileobj=tar, custom_context=True, tag="release-test/cdi:v1", rm=True)
    try:
        tried = {
            name: story.release("smoke", "release-test/cdi:v1", "--check", "gpu", *gpus, env={"DOCKER_HOST": HOST})
            for name, gpus in {
                "all": ("--gpus", f"{KIND}=all"),
                "none": (),
                "unknown": ("--gpus", f"{KIND}=7"),
            }.items()
        }
    finally:
        engine_with_cdi.images.remove(str(image.id), force=True)
    assert tried["all"].code == 6, tried["all"].err
    assert "driver 470.57.02 is too old for CUDA 12.6" in tried["all"].out  # so nvidia-smi came in
    assert (tried["none"].code, "no GPU was given" in tried["none"].out) == (0, True)
    assert tried["unknown"].code == 6
    assert f"unresolvable CDI devices {KIND}=7" in tried["unknown"].out
    assert "nvidia-ctk cdi generate" in tried["unknown"].out
