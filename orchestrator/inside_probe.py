"""Runs inside an image, by the image's own Python: what is in there, as one line of JSON.

Only the standard library of Python 3.9 and what the image has; it is sent as text (`python3 -c`), so it imports
nothing of this project.  `sys.argv[1:]` is what the image starts when no command is given.  It judges nothing.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SCIENCE = ("numpy", "scipy", "pandas", "matplotlib", "sklearn", "jupyterlab", "torch")
TOKEN = "a-token-that-only-this-probe-knows"  # noqa: S105  # of a server that lives for seconds, on no network
PORT = 8888
RANK = """
import torch, torch.distributed as d
d.init_process_group("gloo")
t = torch.ones(4) * (d.get_rank() + 1)
d.all_reduce(t)
assert t.tolist() == [3.0] * 4, t
"""


def distributions() -> dict[str, str]:
    return {each.metadata["Name"]: each.version for each in importlib.metadata.distributions() if each.metadata["Name"]}


def torch_facts() -> dict[str, Any] | None:
    if not has("torch"):
        return None
    torch = importlib.import_module("torch")
    cuda = torch.version.cuda
    nccl = importlib.import_module("torch.cuda.nccl").version() if cuda else None
    return {
        "version": torch.__version__,
        "cuda": cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "nccl": ".".join(map(str, nccl)) if nccl else None,
        "code": torch._C._cuda_getArchFlags().split() if cuda else [],
    }


def has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def patches() -> dict[str, Any] | None:
    """The image's record of patches, where their packages are, and files whose byte code is of another source."""
    try:
        record = json.loads(Path("/etc/release/patches.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    roots: dict[str, str] = {}
    stale: list[str] = []
    for row in record["patches"]:
        try:
            roots[row["package"]] = str(importlib.metadata.distribution(row["package"]).locate_file(""))
        except importlib.metadata.PackageNotFoundError:
            continue
        stale += [path for path in row["files"] if not fresh(Path(roots[row["package"]], path))]
    return {"record": record, "roots": roots, "stale": stale}


def fresh(source: Path) -> bool:
    """Whether the byte code that Python would run is that of the source; Python asks only where the flags say so."""
    code = Path(importlib.util.cache_from_source(str(source)))
    if not code.is_file():
        return True
    if not source.is_file():
        return False
    head = code.read_bytes()[:16]
    unchecked = int.from_bytes(head[4:8], "little") == 1
    return not unchecked or head[8:] == importlib.util.source_hash(source.read_bytes())


def libraries() -> dict[str, str]:
    """NVIDIA's libraries from wheels -> the error of loading them, "" for none.

    They need each other without saying where they are, as torch has them loaded: so again while that helps.
    """
    paths = [str(path) for folder in sys.path for path in Path(folder or ".").glob("nvidia/*/lib/*.so*")]
    errors = dict.fromkeys(paths, "not tried")
    for _ in range(4):
        left = [path for path, error in errors.items() if error]
        for path in left:
            try:
                ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
                errors[path] = ""
            except OSError as error:
                errors[path] = str(error)
        if len([error for error in errors.values() if error]) in (0, len(left)):
            break
    return errors


def imports() -> dict[str, str]:
    found = {}
    for name in SCIENCE:
        if has(name):
            try:
                importlib.import_module(name)
                found[name] = ""
            except Exception as error:  # whatever a broken package raises
                found[name] = f"{type(error).__name__}: {error}"
    return found


def host_keys() -> list[str]:
    return sorted(str(path) for name in ("ssh_host_*_key", "hostkeys/*_key") for path in Path("/etc/ssh").glob(name))


def sshd() -> dict[str, str] | None:
    """The settings that sshd would run with, as it says itself."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        key = f"{folder}/key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, capture_output=True)
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        done = subprocess.run([program, "-T", "-h", key], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()[-300:]}
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def jupyter(default: list[str]) -> dict[str, Any] | None:
    """What the server that the image starts answers: without a token, with a wrong one, with the right one."""
    if not has("jupyter_server") and not has("notebook"):
        return None
    env = {**os.environ, "JUPYTER_TOKEN": TOKEN}
    with tempfile.TemporaryFile("w+") as said:
        server = subprocess.Popen(default, env=env, stdout=said, stderr=said, start_new_session=True)
        try:
            facts: dict[str, Any] = {"port": waited(server)}
            if facts["port"]:
                facts["without"] = answer("")
                facts["wrong"] = answer("token wrong")
                facts["right"] = answer("token " + TOKEN)
            else:
                said.seek(0)
                facts["said"] = said.read()[-300:]
            return facts
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGTERM)


def waited(server: subprocess.Popen[bytes]) -> bool:
    for _ in range(300):
        if server.poll() is not None:
            return False
        if answer(""):
            return True
        time.sleep(0.2)
    return False


def answer(authorization: str) -> int:
    """The HTTP status of a request that only the owner may make, 0 for none."""
    headers = {"Authorization": authorization} if authorization else {}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/contents", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310  # loopback
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


# Not --standalone: that asks for the address of the host's name, which a container without network has not.
_ALONE = (
    "--nnodes=1",
    "--nproc_per_node=2",
    "--master_addr=127.0.0.1",
    "--master_port=29512",
    "--local_addr=127.0.0.1",
)


def gloo() -> str | None:
    """Two ranks of torchrun on the CPU: "" when they agree, else what they said."""
    if not has("torch"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "rank.py")
        script.write_text(RANK)
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", *_ALONE, str(script)],
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 else done.stderr.strip()[-500:] or f"exited {done.returncode}"


def gpu() -> dict[str, Any] | None:
    """What the GPUs are, and whether they compute what the CPU does; None without one."""
    torch = importlib.import_module("torch") if has("torch") else None
    if torch is None or not torch.cuda.is_available():
        return None
    count = torch.cuda.device_count()
    facts: dict[str, Any] = {"devices": [], "errors": []}
    for index in range(count):
        about = torch.cuda.get_device_properties(index)
        facts["devices"].append(
            {"name": about.name, "code": f"sm_{about.major}{about.minor}", "memory": about.total_memory}
        )
        left = torch.randn(256, 256)
        facts["matmul"] = max(facts.get("matmul", 0.0), difference(lambda t: t @ t, left, index))
        conv = torch.nn.Conv2d(3, 8, 3)
        image = torch.randn(2, 3, 32, 32)
        facts["convolution"] = max(facts.get("convolution", 0.0), moved(torch, conv, image, index))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511", NCCL_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("nccl", rank=0, world_size=1)
    ones = torch.ones(4, device="cuda:0")
    torch.distributed.all_reduce(ones)
    facts["all_reduce"] = ones.tolist() == [1.0] * 4
    return facts


def difference(function: Callable[[Any], Any], value: Any, index: int) -> float:
    """The largest difference between GPU and CPU, relative to the largest value."""
    expected = function(value)
    found = function(value.to(f"cuda:{index}")).cpu()
    return float((found - expected).abs().max() / expected.abs().max())


def moved(torch: Any, module: Any, value: Any, index: int) -> float:
    with torch.no_grad():
        expected = module(value)
        found = module.to(f"cuda:{index}")(value.to(f"cuda:{index}")).cpu()
    module.cpu()
    return float((found - expected).abs().max() / expected.abs().max())


def fact(make: Callable[[], Any]) -> Any:
    """A fact, or the error that getting it raised."""
    try:
        return make()
    except Exception as error:  # one broken part must not hide the others
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def main() -> None:
    facts = {
        "installed": fact(distributions),
        "host_keys": fact(host_keys),
        "sshd": fact(sshd),
        "jupyter": fact(lambda: jupyter(sys.argv[1:])),
        "libraries": fact(libraries),
        "patches": fact(patches),
        "torch": fact(torch_facts),
        "imports": fact(imports),
        "gloo": fact(gloo),
        "gpu": fact(gpu),
    }
    sys.stdout.write("\n" + json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
