"""The built-in checks of an image, judged on what its Python said: every wrong image, and what is only absent."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.core.results import CheckState
from orchestrator.image.contents import CHECKS, verdict
from orchestrator.image.pytorch_builds import BUILDS, read_lock
from orchestrator.image.smoke import probe_text

if TYPE_CHECKING:
    from pathlib import Path

CU126 = next(build for build in BUILDS if build.variant == "cu126" and build.torch == "2.7.1")
LOCK = "torch==2.7.1 --hash=sha256:0\nnvidia-cudnn-cu12==9.5.1.17 --hash=sha256:0\nNumPy==2.2.6 --hash=sha256:0\n"
PINS = read_lock({"lock.txt": LOCK.encode()})[0]
GOOD: dict[str, Any] = {
    "installed": {"torch": "2.7.1", "nvidia_cudnn.cu12": "9.5.1.17", "numpy": "2.2.6", "pip": "23"},
    "patches": None,
    "user": {
        "uid": 1000, "name": "train", "home": "/home/train", "home_writable": True,
        "folder": "/workspace", "folder_writable": True, "folder_mode": 0o755,
    },
    "host_keys": [],
    "ssh_login": {"port": 22, "name": "train", "right": True, "wrong": False, "offered": "publickey"},
    "sshd": {
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "permitemptypasswords": "no",
        "pubkeyauthentication": "yes",
        "permitrootlogin": "no",
    },
    "jupyter": {"port": True, "without": 403, "wrong": 403, "right": 200},
    "libraries": {"/x/libcudart.so.12": "", "/x/libnvidia-ml.so": "no such file"},
    "torch": {"version": "2.7.1+cu126", "cuda": "12.6", "cudnn": 90501, "nccl": "2.26.2", "code": list(CU126.code)},
    "imports": {"numpy": "", "torch": ""},
    "gloo": "",
    "driver": {"version": "550.54.15", "names": ["L4"]},
    "gpu": {
        "available": True, "driver_cuda": "12.4", "runtime": "12.6",
        "devices": [{"name": "L4", "code": "sm_89", "memory": 24 << 30}],
        "matmul": 1e-5, "convolution": 1e-5, "memory": [], "nccl": "",
    },
    "asked": True,
}  # fmt: skip


# Runs what it is given, but for what the look at SSH gives it: this machine may have an sshd.
ENTRYPOINT = 'export HOME=/nowhere; [ "$0" = sleep ] || exec "$0" "$@"'


def changed(path: str, value: Any) -> dict[str, Any]:
    facts = copy.deepcopy(GOOD)
    *above, last = path.split("/")
    part = facts
    for key in above:
        part = part[key]
    part[last] = value
    return facts


@pytest.mark.parametrize("name", [name for name in CHECKS if name != "patches"])  # tests/image/test_patches.py
def test_a_right_image_passes(name: str) -> None:
    state, message, _ = verdict(name, GOOD, PINS)
    assert state is CheckState.PASSED, message


@pytest.mark.parametrize(
    ("name", "path", "value", "says"),
    [
        ("installed", "installed/leftpad", "1.0", "leftpad 1.0 is not in the lock"),
        ("installed", "installed/numpy", "2.0.0", "numpy is 2.0.0, the lock says 2.2.6"),
        ("installed", "installed", {"torch": "2.7.1"}, "numpy 2.2.6 is missing"),
        ("torch-build", "torch/cuda", None, "cuda is None, not 12.6"),  # CPU torch under a CUDA lock
        ("torch-build", "torch/version", "2.7.0", "version is 2.7.0, not 2.7.1"),  # old version under a new lock
        ("torch-build", "torch/cudnn", 8902, "cudnn is 8902, not 90501"),
        ("torch-build", "torch/nccl", "2.21.5", "nccl is 2.21.5"),
        ("torch-build", "torch", None, "there is no torch in the image"),
        ("gpu-code", "torch/code", ["sm_90"], "no code for sm_50"),
        ("libraries", "libraries/~x~libcublas.so.12", "cannot open", "libcublas.so.12: cannot open"),
        ("imports", "imports/scipy", "ImportError: x", "scipy: ImportError"),
        ("host-keys", "host_keys", ["/etc/ssh/ssh_host_rsa_key"], "/etc/ssh/ssh_host_rsa_key"),
        ("sshd", "sshd/passwordauthentication", "yes", "passwordauthentication is yes"),
        ("sshd", "sshd/permitrootlogin", "yes", "permitrootlogin is yes"),
        ("sshd", "sshd", {"error": "bad line"}, "bad line"),
        ("jupyter", "jupyter/without", 200, "it answers 200 without a token"),
        ("jupyter", "jupyter/wrong", 200, "with a wrong token"),
        ("jupyter", "jupyter/right", 403, "403 with the token"),
        ("jupyter", "jupyter", {"port": False, "said": "oh no"}, "oh no"),
        ("gloo", "gloo", "AssertionError", "AssertionError"),
        ("user", "user/uid", 0, "runs as root"),
        ("user", "user/name", "", "uid 1000 has no name"),
        ("user", "user/home_writable", False, "cannot write to HOME, /home/train"),
        ("user", "user", {"error": "exited 64: no"}, "exited 64: no"),
        ("workspace", "user/folder_writable", False, "train cannot write to /workspace"),
        ("workspace", "user/folder_mode", 0o777, "everybody can write to /workspace (0777)"),
        (
            "sshd",
            "ssh_login",
            {"port": 0, "said": "oh no"},
            "no SSH server answers when the image is given SSH_AUTHORIZED_KEYS: oh no",
        ),
        ("sshd", "ssh_login/offered", "publickey,password", "offers publickey,password"),
        ("sshd", "ssh_login/offered", "none", "offers none"),
        ("sshd", "ssh_login/right", False, "the key in SSH_AUTHORIZED_KEYS does not log in"),
        ("sshd", "ssh_login/wrong", True, "a key that nobody authorised logs in"),
        ("sshd", "ssh_login", {"error": "TimeoutExpired"}, "TimeoutExpired"),
        ("gpu", "driver", {"error": "nvidia-smi exited 18: version mismatch"}, "version mismatch"),
        ("gpu", "driver/version", "470.57.02", "driver 470.57.02 is too old for CUDA 12.6: it needs 525.60.13"),
        ("gpu", "driver/names", ["L4", "L4"], "the driver has 2 GPUs, torch sees 1"),
        ("gpu", "gpu/available", False, "torch finds no GPU, though driver 550.54.15 is there (CUDA 12.4)"),
        ("gpu", "gpu/devices", [{"name": "B200", "code": "sm_100", "memory": 1}], "no code for B200 (sm_100): sm_50"),
        ("gpu", "gpu/error", "RuntimeError: no kernel image", "no kernel image"),
        ("gpu", "gpu/matmul", 0.5, "matmul differs"),
        ("gpu", "gpu/convolution", float("nan"), "convolution differs"),
        ("gpu", "gpu/memory", [0], "GPU 0 does not keep"),
        ("gpu", "gpu/nccl", "AssertionError", "all-reduce: AssertionError"),
        ("gpu", "gpu", {"error": "OSError: libcudart"}, "libcudart"),
        ("imports", "imports", {"error": "OSError: x"}, "OSError: x"),
    ],
)
def test_a_wrong_image_fails_with_the_reason(name: str, path: str, value: object, says: str) -> None:
    state, message, remedy = verdict(name, changed(path, value), PINS)
    assert state is CheckState.FAILED
    assert says.replace("~", "/") in message
    assert remedy


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in ("host-keys", "user")])
def test_what_is_not_there_is_skipped_and_never_passed(name: str) -> None:
    nothing = dict.fromkeys(GOOD) | {"installed": {}, "host_keys": [], "libraries": {}, "imports": {}, "asked": False}
    nothing["user"] = {**GOOD["user"], "folder": "/"}
    state, message, _ = verdict(name, nothing, {})
    assert state is CheckState.SKIPPED
    assert message


def test_gpus_that_were_asked_for_and_did_not_come_are_no_skip() -> None:
    facts = GOOD | {"driver": None, "gpu": {**GOOD["gpu"], "available": False, "devices": []}}
    state, message, remedy = verdict("gpu", facts, PINS)
    assert (state, message) == (CheckState.FAILED, "GPUs were asked for, and none came into the container")
    assert "NVIDIA_DRIVER_CAPABILITIES" in remedy
    assert verdict("gpu", facts | {"asked": False}, PINS)[0] is CheckState.SKIPPED


def test_remedies_name_the_variants_that_would_do() -> None:
    assert "variant cu118" in verdict("gpu", changed("driver/version", "470.57.02"), PINS)[2]
    new = changed("gpu/devices", [{"name": "B200", "code": "sm_100", "memory": 1}])
    assert verdict("gpu", new, PINS)[2] == "take variant cu128"
    assert verdict("gpu", new, {})[2] == "take variant cu128"  # without a lock: what torch says of itself


def test_what_a_gpu_is_said_in_one_line() -> None:
    said = verdict("gpu", GOOD, PINS)[1]
    assert said == "driver 550.54.15 (CUDA 12.4), runtime 12.6, 1 GPU: L4 24 GiB"
    assert "driver not said" in verdict("gpu", GOOD | {"driver": None}, PINS)[1]


def test_the_probe_runs_as_text_in_a_python_that_knows_nothing_of_the_project(tmp_path: Path) -> None:
    alone = "import sys; sys.modules['orchestrator'] = None; exec(sys.argv.pop(1))"
    starts = json.dumps({"entrypoint": ["sh", "-c", ENTRYPOINT], "command": ["false"]})
    done = subprocess.run(
        [sys.executable, "-I", "-c", alone, probe_text(), starts],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    facts = json.loads(done.stdout.strip().rpartition("\n")[2])
    assert set(facts) == set(GOOD) - {"asked"}
    assert (facts["user"]["home"], facts["user"]["home_writable"]) == ("/nowhere", False)
    assert facts["user"]["folder"] == str(tmp_path)
    assert facts["installed"]["pytest"]
    assert facts["torch"] is None
