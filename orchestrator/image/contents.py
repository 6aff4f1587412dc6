"""The built-in checks of what is inside an image: what its own Python found, against what its lock says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.results import CheckState
from orchestrator.image.patches import InstalledPatches, prove
from orchestrator.image.pytorch_builds import BUILDS, build_like, build_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.image.pytorch_builds import Build, Pin

Verdict = tuple[CheckState, str, str]  # state, message, remedy


_TOLERATED: Final = {"pip", "setuptools", "wheel"}  # of the virtual environment itself
_CLOSE: Final = 1e-3  # relative; TF32 and other orders of summing stay below
_NOT_OURS: Final = ", or leave this check out: `image.checks`"
_REBUILD: Final = "make the lock again in the base image, and let the Dockerfile install nothing beside it"


def _passed(message: str) -> Verdict:
    return CheckState.PASSED, message, ""


def _failed(message: str, remedy: str) -> Verdict:
    return CheckState.FAILED, message, remedy


def _skipped(message: str) -> Verdict:
    return CheckState.SKIPPED, message, ""


# ------------------------------------------------------------------ packages


def installed(facts: Mapping[str, Any], pins: Mapping[str, Pin]) -> Verdict:
    """What is installed is what the lock names, all of it, and nothing else."""
    if not pins:
        return _skipped("no lock is declared: `image.lock`")
    found = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in facts["installed"].items()}
    wrong = [f"{name} {pin.version} is missing" for name, pin in pins.items() if name not in found]
    for name, version in sorted(found.items()):
        if name not in pins and name not in _TOLERATED:
            wrong.append(f"{name} {version} is not in the lock")
        elif name in pins and pins[name].version != version:
            wrong.append(f"{name} is {version}, the lock says {pins[name].version}")
    if wrong:
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        return _failed("; ".join(wrong[:5]) + more, _REBUILD)
    return _passed(f"{len(pins)} packages, as locked")


def patches(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """The released patches, and no others, are in what is installed: each can be taken back exactly."""
    found = facts["patches"] or {"record": None, "stale": []}
    inside = InstalledPatches(
        record=found["record"], installed=facts["installed"], files=facts.get("patched", {}), stale=found["stale"]
    )
    return prove(facts.get("released"), inside)


def torch_build(facts: Mapping[str, Any], pins: Mapping[str, Pin]) -> Verdict:
    """torch, CUDA, cuDNN and NCCL are those of the lock, as torch itself says."""
    torch = facts["torch"]
    if torch is None and "torch" not in pins:
        return _skipped("there is no torch in the image, and none in the lock")
    if torch is None:
        return _failed(f"there is no torch in the image, the lock says {pins['torch'].version}", _REBUILD)
    build = build_of(pins)
    if build is None:
        return _skipped("the lock names no torch that the table of builds knows")
    wanted = {
        "version": build.torch,
        "cuda": build.cuda or None,
        "cudnn": _cudnn(build.cudnn),
        "nccl": build.nccl or None,
    }
    said = {**torch, "version": torch["version"].partition("+")[0]}
    wrong = [f"{key} is {said[key]}, not {value}" for key, value in wanted.items() if said[key] != value]
    if wrong:
        return _failed(f"torch {torch['version']}: " + "; ".join(wrong), _REBUILD)
    return _passed(build.name)


def _cudnn(version: str) -> int | None:
    """cuDNN's own number: 9.5.1.17 is 90501."""
    if not version:
        return None
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    return major * 10000 + minor * 100 + patch


def gpu_code(facts: Mapping[str, Any], pins: Mapping[str, Pin]) -> Verdict:
    """The wheel has code for every GPU generation that its build is published for."""
    torch, build = facts["torch"], build_of(pins)
    if torch is None or build is None or not build.cuda:
        return _skipped("no CUDA build of torch that the table of builds knows")
    missing = [code for code in build.code if code not in torch["code"]]
    if missing:
        return _failed(f"no code for {', '.join(missing)}; there is {' '.join(torch['code']) or 'none'}", _REBUILD)
    return _passed(" ".join(torch["code"]))


def libraries(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """NVIDIA's libraries of the wheels load."""
    found = facts["libraries"]
    if not found:
        return _skipped("there are no nvidia-* packages in the image")
    # What only the host's GPU or network driver has; cuFile's part for RDMA needs the latter.
    driver = re.compile(r"libcuda\.so|libnvidia-|libmlx5\.so|libibverbs\.so|librdmacm\.so")
    wrong = {path: error for path, error in found.items() if error and not driver.search(f"{path} {error}")}
    waiting = sum(1 for error in found.values() if error) - len(wrong)
    if wrong:
        shown = "; ".join(f"{path.rpartition('/')[2]}: {error}" for path, error in sorted(wrong.items())[:3])
        return _failed(f"{len(wrong)} of {len(found)} do not load: {shown}", "look for what the Dockerfile removed")
    later = f", {waiting} wait for a driver" if waiting else ""
    return _passed(f"{len(found) - waiting} libraries load{later}")


def imports(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """The science packages that are there can be imported."""
    found = facts["imports"]
    if not found:
        return _skipped("none of them is in the image")
    wrong = [f"{name}: {error}" for name, error in found.items() if error]
    if wrong:
        return _failed(
            "; ".join(wrong), "import it by hand in the image: docker run --rm IMAGE python -c 'import NAME'"
        )
    return _passed(", ".join(found))


# ------------------------------------------------------------------ users


def user(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """A command that is given to the image runs as a user that is not root, has a name, and a HOME to write to."""
    who = facts["user"]
    if who["uid"] == 0:
        return _failed("a command runs as root", "USER in the Dockerfile, or drop root in the entrypoint" + _NOT_OURS)
    if not who["name"]:
        return _failed(f"uid {who['uid']} has no name", "give it a line in /etc/passwd: SSH and git want one")
    if not who["home_writable"]:
        return _failed(f"{who['name']} cannot write to HOME, {who['home'] or 'which is not set'}", "chown it")
    return _passed(f"{who['name']} ({who['uid']}), HOME={who['home']}")


def workspace(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """The folder that a command starts in can be written by its user, and not by everybody."""
    who = facts["user"]
    folder, mode = who["folder"], who["folder_mode"]
    if folder == "/":
        return _skipped("the image has no WORKDIR")
    if not who["folder_writable"]:
        return _failed(f"{who['name'] or who['uid']} cannot write to {folder}", "chown it in the Dockerfile")
    if mode & 0o002 and not mode & 0o1000:
        return _failed(f"everybody can write to {folder} ({mode:04o})", f"chmod o-w {folder} in the Dockerfile")
    return _passed(f"{folder} ({mode:04o}) is {who['name'] or who['uid']}'s to write")


# ------------------------------------------------------------------ services


def host_keys(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """No SSH host key is in the image: everyone who can pull it could pose as every host that runs it."""
    if found := facts["host_keys"]:
        return _failed(f"baked into the image: {', '.join(found)}", "remove them in the layer that makes them")
    return _passed("none baked in")


def sshd(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """sshd takes keys and nothing else, as `sshd -T` says, and the one that the image starts does what it says."""
    settings = facts["sshd"]
    if settings is None:
        return _skipped("there is no sshd in the image")
    if "error" in settings:
        return _failed(f"sshd -T: {settings['error']}", "correct sshd's configuration in the image")
    wanted = {
        "passwordauthentication": ("no",),
        "kbdinteractiveauthentication": ("no",),
        "permitemptypasswords": ("no",),
        "pubkeyauthentication": ("yes",),
        "permitrootlogin": ("no", "without-password", "prohibit-password", "forced-commands-only"),
    }
    wrong = [f"{key} is {settings.get(key)}" for key, right in wanted.items() if settings.get(key) not in right]
    if wrong:
        return _failed("; ".join(wrong), "allow keys alone in /etc/ssh/sshd_config or a file under sshd_config.d")
    return _login(facts["ssh_login"])


def _login(tried: Mapping[str, Any] | None) -> Verdict:
    """What the server that the image starts did."""
    if tried is None:
        return _skipped("`sshd -T` says keys only; there is no ssh in the image to log in with")
    if "error" in tried:
        return _failed(str(tried["error"]), "start the image with SSH_AUTHORIZED_KEYS by hand")
    if not tried["port"]:
        end = " ".join(tried["said"].split()) or "nothing was said"
        message = f"no SSH server answers when the image is given SSH_AUTHORIZED_KEYS: {end}"
        return _failed(message, "let the entrypoint start sshd" + _NOT_OURS)
    if tried["offered"] != "publickey":
        message = f"the sshd that the image starts offers {tried['offered'] or 'nothing that is known'}"
        return _failed(message, "allow keys alone in the configuration that the entrypoint gives to sshd")
    if not tried["right"]:
        return _failed("the key in SSH_AUTHORIZED_KEYS does not log in", "start the image with it by hand: ssh -v")
    if tried["wrong"]:
        return _failed("a key that nobody authorised logs in", "look into AuthorizedKeysFile and what is in it")
    return _passed(f"keys only: {tried['name']} logs in on port {tried['port']} with the key given, and with no other")


def jupyter(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """The server that the image starts refuses who has no token, and answers who has it."""
    found = facts["jupyter"]
    if found is None:
        return _skipped("there is no Jupyter in the image")
    if not found["port"]:
        end = " ".join(found["said"].split())
        return _failed(f"nothing answers on port 8888: {end}", "run the image by hand without a command")
    for who, words in (("without", "without a token"), ("wrong", "with a wrong token")):
        if found[who] < 400:
            return _failed(f"it answers {found[who]} {words}", "never start it with an empty token")
    if found["right"] != 200:
        return _failed(f"it answers {found['right']} with the token", "let it take its token from JUPYTER_TOKEN")
    return _passed(f"{found['without']} without and {found['wrong']} with a wrong token, 200 with the right one")


# ------------------------------------------------------------------ computing


def gloo(facts: Mapping[str, Any], _pins: Mapping[str, Pin]) -> Verdict:
    """`torchrun` with two ranks on the CPU adds what it should."""
    if facts["gloo"] is None:
        return _skipped("there is no torch in the image")
    if facts["gloo"]:
        return _failed(" ".join(facts["gloo"].split()), "run torchrun by hand in the image")
    return _passed("two ranks agree")


def gpu(facts: Mapping[str, Any], pins: Mapping[str, Pin]) -> Verdict:
    """With a GPU: driver and runtime, that the wheel has code for it, and that it computes what the CPU does."""
    driver, found = facts["driver"], facts["gpu"]
    if driver is None and not (found and found["available"]):
        if facts.get("asked"):
            remedy = "NVIDIA_VISIBLE_DEVICES must not be void, NVIDIA_DRIVER_CAPABILITIES needs compute,utility"
            return _failed("GPUs were asked for, and none came into the container", remedy)
        return _skipped("no GPU was given to the container: release smoke IMAGE --gpus all")
    if driver and "error" in driver:
        return _failed(str(driver["error"]), "run nvidia-smi on the engine's machine; a new driver wants a restart")
    if found is None:
        return _skipped("there is no CUDA build of torch in the image")
    build = build_of(pins) or build_like((facts["torch"] or {}).get("version", ""), (facts["torch"] or {}).get("cuda"))
    return _driver(driver, found, build) or _devices(facts, build) or _computes(found) or _passed(_machine(facts))


def _driver(driver: Mapping[str, Any] | None, found: Mapping[str, Any], build: Build | None) -> Verdict | None:
    """What is wrong with the driver."""
    version = (driver or {}).get("version", "")
    if build and version and _older(version, build.driver):
        fit = [each.variant for each in BUILDS if each.torch == build.torch and not _older(version, each.driver or "0")]
        message = f"driver {version} is too old for CUDA {build.cuda}: it needs {build.driver}"
        return _failed(message, f"a newer driver on the engine's machine, or variant {' or '.join(fit)}")
    if not found["available"]:
        message = (
            f"torch finds no GPU, though driver {version} is there (CUDA {found['driver_cuda'] or 'not loadable'})"
        )
        return _failed(message, "the container needs NVIDIA_DRIVER_CAPABILITIES=compute, and no libcuda of its own")
    return None


def _older(version: str, than: str) -> bool:
    return [int(part) for part in re.findall(r"\d+", version)] < [int(part) for part in than.split(".")]


def _devices(facts: Mapping[str, Any], build: Build | None) -> Verdict | None:
    """A GPU that the wheel has no code for, or that torch does not see."""
    devices, code = facts["gpu"]["devices"], (facts["torch"] or {}).get("code", [])
    for device in devices:
        if not any(_runs(device["code"], each) for each in code):
            fit = [
                each.variant
                for each in BUILDS
                if build and each.torch == build.torch and any(_runs(device["code"], one) for one in each.code)
            ]
            message = f"the wheel has no code for {device['name']} ({device['code']}): {' '.join(code) or 'none'}"
            return _failed(message, f"take variant {' or '.join(fit)}" if fit else "no build of this torch has it")
    names = (facts["driver"] or {}).get("names", [])
    if names and len(names) != len(devices):
        return _failed(f"the driver has {len(names)} GPUs, torch sees {len(devices)}", "look at CUDA_VISIBLE_DEVICES")
    return None


def _computes(found: Mapping[str, Any]) -> Verdict | None:
    """What the GPUs compute wrongly."""
    if "error" in found:
        return _failed(str(found["error"]), "run it by hand in the image, with CUDA_LAUNCH_BLOCKING=1")
    for name in ("matmul", "convolution"):
        if not found[name] <= _CLOSE:
            return _failed(f"{name} differs from the CPU by {found[name]:.1e}", "look for a broken GPU: dcgmi diag")
    if found["memory"]:
        which = ", ".join(map(str, found["memory"]))
        return _failed(f"GPU {which} does not keep what is written to its memory", "look for a broken GPU: dcgmi diag")
    if found["nccl"]:
        return _failed(f"NCCL's all-reduce: {' '.join(found['nccl'].split())}", "run with NCCL_DEBUG=INFO")
    return None


def _machine(facts: Mapping[str, Any]) -> str:
    found, version = facts["gpu"], (facts["driver"] or {}).get("version") or "not said"
    devices = ", ".join(f"{each['name']} {each['memory'] >> 30} GiB" for each in found["devices"])
    has = f"driver {version} (CUDA {found['driver_cuda'] or 'not said'}), runtime {found['runtime'] or 'not said'}"
    return f"{has}, {len(found['devices'])} GPU: {devices}"


def _runs(device: str, code: str) -> bool:
    """A GPU runs code of its own major version with a lower or equal minor one, and what PTX can be compiled from."""
    if code.startswith("compute_"):
        return int(device[3:]) >= int(code.removeprefix("compute_"))
    return device[3:-1] == code[3:-1] and device[-1] >= code[-1]


CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Pin]], Verdict]]] = {
    "installed": installed,
    "patches": patches,
    "torch-build": torch_build,
    "gpu-code": gpu_code,
    "libraries": libraries,
    "imports": imports,
    "user": user,
    "workspace": workspace,
    "host-keys": host_keys,
    "sshd": sshd,
    "jupyter": jupyter,
    "gloo": gloo,
    "gpu": gpu,
}


# The fact that a check stands on, where it has another name.
_FACTS: Final = {"torch-build": "torch", "gpu-code": "torch", "host-keys": "host_keys", "workspace": "user"}


def verdict(name: str, facts: Mapping[str, Any], pins: Mapping[str, Pin]) -> Verdict:
    """A check's verdict; a fact that could not be had fails the checks that need it."""
    fact = facts[_FACTS.get(name, name)]
    if isinstance(fact, dict) and set(fact) == {"error"} and name != "sshd":
        return _failed(str(fact["error"]), "run it by hand in the image")
    return CHECKS[name](facts, pins)
