"""Deliberately wrong small images are caught; torch and sshd are stand-ins where the real ones weigh too much."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import context_of
from tests.docker.imaged import Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.reference import Reference
    from tests.docker.conftest import Build
    from tests.docker.lab import Lab

pytestmark = pytest.mark.docker
HASH = f" --hash=sha256:{'0' * 64}"
SITE = "/usr/lib/python3/dist-packages"

# A torch that only says what a CPU wheel says.
FAKE_TORCH = """\
class version: cuda = None
__version__ = "2.7.1+cpu"
class cuda:
    @staticmethod
    def is_available(): return False
"""
OPEN_SERVER = """\
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8888), Handler).serve_forever()
"""


@pytest.fixture
def story(tmp_path: Path, lab: Lab) -> Imaged:
    return imaged(tmp_path / "story", lab)


@pytest.fixture
def python_base(lab: Lab) -> str:
    """A Debian with Python, unlike the lab's busybox."""
    assert lab.registry
    return os.environ["RELEASE_LAB_BASE"]


def dist(name: str, version: str) -> dict[str, str]:
    """A distribution that pip would list."""
    return {f"site/{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}


def states(story: Imaged, name: Reference, lock: str, tmp_path: Path) -> dict[str, tuple[str, str]]:
    (tmp_path / "lock.txt").write_text(lock)
    done = story.release("smoke", str(name), "--lock", str(tmp_path / "lock.txt"), "--json")
    assert done.code == 6, done.err
    return {check["name"]: (check["state"], check["message"]) for check in done.json["checks"]}


def test_cpu_torch_an_extra_package_an_old_one_an_open_server_and_a_baked_key(
    story: Imaged, build: Build, name: Reference, python_base: str, tmp_path: Path
) -> None:
    files = {
        "Dockerfile": f"FROM {python_base}\nCOPY site {SITE}\nCOPY server.py /server.py\n"
        "RUN mkdir -p /etc/ssh && echo secret > /etc/ssh/ssh_host_ed25519_key\n"
        'ENTRYPOINT ["python3"]\nCMD ["/server.py"]\n',
        "site/torch/__init__.py": FAKE_TORCH,
        "site/jupyter_server/__init__.py": "",
        "server.py": OPEN_SERVER,
        **dist("torch", "2.7.1+cpu"),
        **dist("leftpad", "1.0"),
        **dist("tqdm", "4.0.0"),
    }
    build("", context=context_of(files))
    lock = f"torch==2.7.1{HASH}\ntqdm==4.67.1{HASH}\nnvidia-nccl-cu12==2.26.2{HASH}\n"
    found = states(story, name, lock, tmp_path)
    assert found["torch-build"][0] == "failed"
    assert "cuda is None, not 12.6" in found["torch-build"][1]
    assert found["installed"][0] == "failed"
    for words in ("leftpad 1.0 is not in the lock", "tqdm is 4.0.0", "nvidia-nccl-cu12 2.26.2 is missing"):
        assert words in found["installed"][1]
    assert found["jupyter"] == ("failed", "it answers 200 without a token")
    assert found["host-keys"] == ("failed", "baked into the image: /etc/ssh/ssh_host_ed25519_key")
    assert found["gpu"][0] == "skipped"


def test_an_sshd_that_takes_passwords(
    story: Imaged, build: Build, name: Reference, python_base: str, tmp_path: Path
) -> None:
    settings = ("passwordauthentication yes", "kbdinteractiveauthentication no", "permitrootlogin no")
    files = {
        "Dockerfile": f"FROM {python_base}\nCOPY sshd /usr/sbin/sshd\nCOPY keygen /usr/bin/ssh-keygen\n"
        "RUN chmod 755 /usr/sbin/sshd /usr/bin/ssh-keygen\n",
        "sshd": "#!/bin/sh\n"
        + "".join(f"echo {line}\n" for line in (*settings, "pubkeyauthentication yes", "permitemptypasswords no")),
        "keygen": "#!/bin/sh\n",
    }
    build("", context=context_of(files))
    found = states(story, name, "", tmp_path)
    assert found["sshd"] == ("failed", "passwordauthentication is yes")


def test_an_image_without_python_skips_all_and_the_cut_goes_on(story: Imaged, lab: Lab) -> None:
    story.declare(image="  checks: [installed, host-keys]\n")
    done = story.release("cut", "v2.7.1", "--yes")
    assert done.code == 0, done.err
    checks = story.release("show", "v2.7.1", "--json").json["images"][0]["checks"]
    found = {check["name"]: (check["state"], check["message"]) for check in checks}
    assert found["installed"] == found["host-keys"] == ("skipped", "there is no python3 in the image")
    alone = story.release("smoke", lab.base, "--check", "host-keys", "--json")
    assert (alone.code, alone.json["checks"][0]["state"]) == (0, "skipped"), alone.err


@pytest.mark.parametrize("gpus", ["all", "0", "nvidia.com/gpu=all"])
def test_gpus_without_a_toolkit_are_one_line_with_the_remedy(story: Imaged, lab: Lab, gpus: str) -> None:
    done = story.release("smoke", lab.base, "--gpus", gpus)
    assert done.code == 6
    words = done.out + done.err
    assert "no GPU can be given" in words
    assert "Container Toolkit" in words or "CDI" in words
    assert "Traceback" not in words


def test_bad_names(story: Imaged, lab: Lab) -> None:
    assert "there is no check 'gpus'" in story.release("smoke", lab.base, "--check", "gpus").err
    assert "docker pull no-such:v1" in story.release("smoke", "no-such:v1").err
    assert "cannot be read" in story.release("smoke", lab.base, "--lock", "nowhere").err
