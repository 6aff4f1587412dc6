"""A variant whose torch is on another index: its lock is made from there, and its image is installed from there."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.attest.bill import hashes_of
from orchestrator.image.pytorch_builds import BUILDS, judge, read_lock
from tests.docker.conftest import PROJECT, SOURCE
from tests.image.test_pytorch_builds import lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
TORCH = "2.7.0"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the class gives it
        pass


def wheel(index: Path, name: str, version: str, tag: str, needs: tuple[str, ...] = ()) -> None:
    """A wheel with one module that knows its version, beside the pages; the page of its name lists it with its hash."""
    word = name.replace("-", "_")
    info = f"{word}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {each}\n" for each in needs)
    files = {
        f"{word}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n",
        f"{info}/RECORD": "",
    }
    page, file = index / name / "index.html", index / f"{word}-{version}-{tag}.whl"
    page.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    address = f"/whl/{index.name}/{file.name.replace('+', '%2B')}#sha256={digest}"
    head = "<!DOCTYPE html><html><body>" if not page.exists() else ""
    with page.open("a") as listed:
        listed.write(f'{head}<a href="{address}">{file.name}</a><br/>\n')


@pytest.fixture
def wheels(tmp_path: Path) -> Iterator[str]:
    """Laid out like PyTorch's: /whl/cu128/torch/ and so on, with pins of CUDA that only x86_64 asks for."""
    on_x86 = "; platform_system == 'Linux' and platform_machine == 'x86_64'"
    for build in (each for each in BUILDS if each.torch == TORCH and not each.on_pypi):
        index, pins = tmp_path / "whl" / build.variant, lock_of(build)
        needs = tuple(f"{name}=={version}{on_x86}" for name, version in pins.items() if name != "torch")
        for machine in build.machines:
            wheel(index, "torch", pins["torch"], f"cp311-cp311-manylinux_2_28_{machine}", needs)
        for name, version in pins.items():
            if name != "torch":
                wheel(index, name, version, "py3-none-manylinux_2_27_x86_64")
    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/whl"
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The lock's tool and the image's sources, with short requirements, in a folder of its own."""
    top = tmp_path / "project"
    # Without the patches of torch: this one is empty.
    shutil.copytree(PROJECT / SOURCE, top / SOURCE, ignore=shutil.ignore_patterns("torch-*"))
    dockerfile = top / SOURCE / "Dockerfile"
    dockerfile.write_bytes(dockerfile.read_bytes().replace(b"COPY --link", b"COPY"))  # as the tool sends it
    (top / "tools").mkdir()
    shutil.copy(PROJECT / "tools" / "lock", top / "tools")
    for build in BUILDS:
        (top / SOURCE / "locks" / f"{build.variant}.in").write_text(f"torch=={TORCH}+{build.variant}\ntqdm==4.67.1\n")
    (top / SOURCE / "locks" / "cpu" / "apt.list").unlink()
    return top


def lock(project: Path, lab: Lab, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(project / "tools" / "lock"), *args]
    return subprocess.run(
        argv, env=os.environ | {"DOCKER_HOST": lab.docker_host}, capture_output=True, text=True, check=False
    )


@pytest.mark.wide
def test_locks_of_every_variant_and_an_image_from_such_an_index(project: Path, wheels: str, lab: Lab) -> None:
    """Also for a machine that is not here: cu128 on aarch64.  One that cannot be had hinders no other."""
    names = {"cpu": "linux/amd64", "cu118": "linux/amd64", "cu128": "linux/amd64", "cu128-linux-arm64": "linux/arm64"}
    locks = project / SOURCE / "locks"
    (locks / "broken.in").write_text(f"torch=={TORCH}+cu121\n")
    made = lock(project, lab, "broken", *names, "--wheels", wheels)
    assert (made.returncode, "broken: not resolved, its lock is as it was" in made.stderr) == (1, True), made.stderr
    assert not (locks / "broken").exists()
    for name, platform in names.items():
        files = {path.name: path.read_bytes() for path in sorted((locks / name).glob("*.txt"))}
        variant = name.partition("-")[0]
        build = next(each for each in BUILDS if (each.torch, each.variant) == (TORCH, variant))
        has_cuda = bool(build.cuda) and platform == "linux/amd64"
        assert list(files) == [*(["cuda.txt"] if has_cuda else []), "stack.txt", "torch.txt"], name
        assert judge(files, variant, platform) == (), name
        pins = {each.name: each.version for each in read_lock(files)[0].values()}
        assert pins == {**(lock_of(build) if has_cuda else {"torch": f"{TORCH}+{variant}"}), "tqdm": "4.67.1"}, name
        assert wheels.encode() not in b"".join(files.values())
        page = (Path(project.parent) / "whl" / variant / "torch/index.html").read_text()
        assert set(hashes_of(files)["torch"]) == set(re.findall("#sha256=([0-9a-f]{64})", page)), name
    assert (locks / "cu128-linux-arm64/apt.list").read_bytes() == (locks / "cu128/apt.list").read_bytes()

    name = "release-lab/cpu:test"
    arguments = {"BASE_IMAGE": os.environ["RELEASE_LAB_BASE"], "VARIANT": "cpu", "EXTRA_INDEX_URL": f"{wheels}/cpu"}
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
        assert subprocess.run(says, env=env, capture_output=True, text=True, check=True).stdout == f"{TORCH}+cpu\n"
    finally:
        subprocess.run(["docker", "image", "rm", "--no-prune", name], env=env, capture_output=True, check=True)


def test_what_cannot_be_resolved_leaves_the_lock_alone(project: Path, lab: Lab) -> None:
    locks = project / SOURCE / "locks" / "cpu"
    (locks / "torch.txt").write_text("torch==2.7.0+cpu --hash=sha256:0\n")
    done = lock(project, lab, "cpu", "--base", "no-such-image:v1")
    assert done.returncode == 1
    assert "nothing was resolved, the locks are as they were" in done.stderr
    assert "Traceback" not in done.stderr
    assert (locks / "torch.txt").exists()
    assert "there is no cu130.in" in lock(project, lab, "cu130").stderr
