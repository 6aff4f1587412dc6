"""A variant whose torch is on another index: its lock is made from there, and its image is installed from there."""

from __future__ import annotations

import functools
import http.server
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import PROJECT, SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the class gives it
        pass


def wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with one module that knows its version, on a page of its own."""
    page = folder / name
    page.mkdir(parents=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    file = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(page / file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    link = file.replace("+", "%2B")
    (page / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{link}">{file}</a></body></html>')


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Like PyTorch's for cpu: a torch with a local version, and no numpy."""
    wheel(tmp_path / "index", "torch", "2.7.0+cpu")
    handler = functools.partial(Quiet, directory=tmp_path / "index")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The lock's tool and the image's sources, with a short cpu.in, in a folder of its own."""
    top = tmp_path / "project"
    # Without the patches of torch: this one is empty.
    shutil.copytree(PROJECT / SOURCE, top / SOURCE, ignore=shutil.ignore_patterns("torch-*"))
    dockerfile = top / SOURCE / "Dockerfile"
    dockerfile.write_bytes(dockerfile.read_bytes().replace(b"COPY --link", b"COPY"))  # as the tool sends it
    (top / "tools").mkdir()
    shutil.copy(PROJECT / "tools" / "lock", top / "tools")
    (top / SOURCE / "locks" / "cpu.in").write_text("torch==2.7.0+cpu\ntqdm==4.67.1\n")
    (top / SOURCE / "locks" / "cpu" / "apt.list").unlink()
    return top


def lock(project: Path, lab: Lab, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(project / "tools" / "lock"), *args]
    return subprocess.run(
        argv, env=os.environ | {"DOCKER_HOST": lab.docker_host}, capture_output=True, text=True, check=False
    )


def test_lock_and_image_from_an_index_of_its_own(project: Path, index: str, lab: Lab) -> None:
    made = lock(project, lab, "cpu", "--index", index)
    assert made.returncode == 0, made.stderr
    locks = project / SOURCE / "locks" / "cpu"
    assert (locks / "torch.txt").read_text().startswith("torch==2.7.0+cpu \\\n    --hash=sha256:")
    assert "tqdm==4.67.1" in (locks / "stack.txt").read_text()  # which only PyPI has
    assert not (locks / "cuda.txt").exists()
    assert index not in (locks / "torch.txt").read_text()

    name = "release-lab/cpu:test"
    arguments = {"BASE_IMAGE": os.environ["RELEASE_LAB_BASE"], "VARIANT": "cpu", "EXTRA_INDEX_URL": index}
    words = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    argv = ["docker", "build", "--network", "host", "--file", f"{SOURCE}/Dockerfile", "--tag", name, *words, "-"]
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(project / SOURCE, SOURCE)
    env = os.environ | {"DOCKER_HOST": lab.docker_host, "DOCKER_BUILDKIT": "0"}
    built = subprocess.run(argv, input=context.getvalue(), env=env, capture_output=True, check=False)
    assert built.returncode == 0, (built.stdout + built.stderr).decode()[-3000:]
    says = ["docker", "run", "--rm", name, "python", "-c", "import torch, tqdm; print(torch.__version__)"]
    try:
        assert subprocess.run(says, env=env, capture_output=True, text=True, check=True).stdout == "2.7.0+cpu\n"
    finally:
        subprocess.run(["docker", "image", "rm", "--no-prune", name], env=env, capture_output=True, check=True)


def test_what_cannot_be_resolved_leaves_the_lock_alone(project: Path, lab: Lab) -> None:
    locks = project / SOURCE / "locks" / "cpu"
    (locks / "torch.txt").write_text("torch==2.7.0+cpu --hash=sha256:0\n")
    done = lock(project, lab, "cpu", "--base", "no-such-image:v1")
    assert done.returncode == 1
    assert "cpu: not resolved, its lock is as it was" in done.stderr
    assert "Traceback" not in done.stderr
    assert (locks / "torch.txt").exists()
    assert "there is no cu130.in" in lock(project, lab, "cu130").stderr
