"""Deliberately wrong small images are caught; torch and sshd are stand-ins where the real ones weigh too much."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.docker.builds import context_of
from tests.docker.conftest import PROJECT, SOURCE
from tests.support.imaged import Imaged, imaged

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.reference import Reference
    from tests.docker.conftest import Build
    from tests.support.lab import Lab

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


@pytest.mark.wide
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


@pytest.mark.wide
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


@pytest.mark.wide
def test_an_image_without_python_skips_all_and_the_cut_goes_on(story: Imaged, lab: Lab) -> None:
    story.declare(image="  checks: [installed, host-keys]\n")
    done = story.release("cut", "v2.7.1", "--yes")
    assert done.code == 0, done.err
    checks = story.release("show", "v2.7.1", "--json").json["images"][0]["checks"]
    found = {check["name"]: (check["state"], check["message"]) for check in checks}
    assert found["installed"] == found["host-keys"] == ("skipped", "there is no python3 in the image")
    alone = story.release("smoke", lab.base, "--check", "host-keys", "--json")
    assert (alone.code, alone.json["checks"][0]["state"]) == (0, "skipped"), alone.err


# ---------------------------------------------------------------- the real entrypoint, sshd and Jupyter

LOCK = PROJECT / SOURCE / "locks" / "notebook"
SERVICES = ("user", "workspace", "host-keys", "sshd", "jupyter", "installed")
# Each RUN makes one or two things wrong.
SPOILED = r"""
FROM {image}
RUN cd /usr/local/bin \
 && sed -i 's/"PasswordAuthentication": "no"/"PasswordAuthentication": "yes"/; /"AuthenticationMethods"/d' entrypoint \
 && sed -i 's/return \["jupyter", "lab"\]/return ["jupyter", "lab", "--IdentityProvider.token="]/' entrypoint \
 && sed -i 's/        if uid:$/        if False:/' entrypoint
RUN chmod 777 /workspace
RUN ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
RUN cd /opt/venv/lib/python3*/site-packages && cp -r idna-*.dist-info extra-1.dist-info \
 && sed -i 's/^Name: .*/Name: extra/' extra-1.dist-info/METADATA
"""


def services(story: Imaged, image: str) -> dict[str, tuple[str, str]]:
    checks = [word for check in SERVICES for word in ("--check", check)]
    done = story.release("smoke", image, "--lock", str(LOCK), "--json", *checks)
    return {check["name"]: (check["state"], check["message"]) for check in done.json["checks"]}


def test_the_image_of_this_project_is_right(story: Imaged, notebook: str) -> None:
    found = services(story, notebook)
    assert {state for state, _ in found.values()} == {"passed"}, found
    assert found["sshd"][1] == "keys only: train logs in on port 22 with the key given, and with no other"
    assert found["user"][1] == "train (1000), HOME=/home/train"
    assert found["workspace"][1].startswith("/workspace (0755)")


@pytest.mark.wide
def test_the_same_image_made_wrong_in_every_way(story: Imaged, notebook: str, build: Build, name: Reference) -> None:
    build(SPOILED.format(image=notebook))
    found = services(story, str(name))
    assert {state for state, _ in found.values()} == {"failed"}, found
    assert found["sshd"][1] == "the sshd that the image starts offers publickey,password"
    assert found["jupyter"][1] == "it answers 200 without a token"
    assert found["user"][1] == "a command runs as root"
    assert found["workspace"][1] == "everybody can write to /workspace (0777)"
    assert found["host-keys"][1].endswith("/etc/ssh/ssh_host_ed25519_key")
    assert found["installed"][1].startswith("extra ")


# ---------------------------------------------------------------- GPUs, as far as stand-ins go

FAKE_CUDA_TORCH = {
    "site/torch/__init__.py": """\
class version: cuda = "12.6"
class backends:
    class cudnn:
        @staticmethod
        def version(): return 90501
class _C:
    @staticmethod
    def _cuda_getArchFlags(): return "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"
__version__ = "2.7.1+cu126"
def randn(*_): raise RuntimeError("CUDA error: no kernel image is available for execution on the device")
from . import cuda
""",
    "site/torch/cuda/__init__.py": """\
class About: name, major, minor, total_memory = "NVIDIA B200", 10, 0, 180 << 30
def is_available(): return AVAILABLE
def device_count(): return 1
def get_device_properties(_): return About
""",
    "site/torch/cuda/nccl.py": "def version(): return (2, 26, 2)\n",
}


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("driver", "available", "says", "remedy"),
    [
        ("470.57.02, Tesla T4", False, "driver 470.57.02 is too old for CUDA 12.6: it needs 525.60.13", "cu118"),
        ("570.86.15, NVIDIA B200", True, "the wheel has no code for NVIDIA B200 (sm_100): sm_50", "variant cu128"),
        ("", False, "nvidia-smi exited 18: Failed to initialize NVML", "nvidia-smi on the engine's machine"),
    ],
    ids=["old-driver", "no-code", "no-driver"],
)
def test_a_gpu_that_does_not_go_with_the_image_is_one_line(
    story: Imaged, build: Build, name: Reference, python_base: str, driver: str, available: bool, says: str, remedy: str
) -> None:
    smi = f"echo '{driver}'" if driver else "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18"
    files = {
        "Dockerfile": f"FROM {python_base}\nCOPY site {SITE}\nCOPY nvidia-smi /usr/bin/\n"
        "RUN chmod 755 /usr/bin/nvidia-smi\n",
        "nvidia-smi": f"#!/bin/sh\n{smi}\n",
        **FAKE_CUDA_TORCH,
    }
    files["site/torch/cuda/__init__.py"] = files["site/torch/cuda/__init__.py"].replace("AVAILABLE", str(available))
    build("", context=context_of(files))
    done = story.release("smoke", str(name), "--check", "gpu", "--json")
    assert done.code == 6, done.err
    (check,) = done.json["checks"]
    assert check["message"].startswith(says)
    assert remedy in check["remedy"]


@pytest.mark.wide(3)
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
