"""The image of the tool itself: built as its release.yaml says, and used on a clone that belongs to somebody else."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from orchestrator import __version__
from orchestrator.config.reader import load
from tests.docker.conftest import PROJECT

if TYPE_CHECKING:
    from tests.support.lab import Lab

pytestmark = [pytest.mark.docker, pytest.mark.wide]
HOME = PROJECT / "images/release-tool"
USED = """\
set -e
git init --quiet -b main /work/b
cd /work/b
git config user.name Mia && git config user.email mia@example.com
git commit --quiet --allow-empty -m first
chown -R 1234:1234 /work/b
release init --quiet
release check
release --version
cat /etc/release/version
"""


def test_built_and_used(lab: Lab) -> None:
    spec = load(HOME / "release.yaml", shown_as="release.yaml").image
    assert spec is not None
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("images/release-tool", "orchestrator", "pyproject.toml", "README.md", "LICENSE"):
            tar.add(PROJECT / name, name, filter=lambda each: None if "__pycache__" in each.name else each)
    name = "release-lab/release-tool:test"
    argv = ["docker", "build", "--quiet", "--network", "host", "--file", spec.dockerfile, "--tag", name]
    argv += [
        "--build-arg",
        f"BASE_IMAGE={os.environ['RELEASE_LAB_BASE']}",
        "--build-arg",
        "RELEASE_VERSION=tool-v0.2.0",
    ]
    env = os.environ | {"DOCKER_HOST": lab.docker_host, "DOCKER_BUILDKIT": "0"}
    built = subprocess.run([*argv, "-"], input=context.getvalue(), env=env, capture_output=True, check=False)
    assert built.returncode == 0, (built.stdout + built.stderr).decode()[-3000:]
    inside = ["docker", "run", "--rm", "--network=none", name, "sh", "-c", USED]
    done = subprocess.run(inside, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-3:] == [
        "release.yaml is valid: 0 release(s) declared",
        f"release {__version__}",
        "tool-v0.2.0",
    ]
    for smoke in spec.smoke:
        argv = ["docker", "run", "--rm", "--network=none", name, *smoke.command]
        assert subprocess.run(argv, env=env, capture_output=True, check=False).returncode == 0
