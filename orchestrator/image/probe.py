"""Runs inside an image, by the image's own Python: what is in there, as one line of JSON.

Only the standard library of Python 3.9 and what the image has; it is sent as text (`python3 -c`), so it imports
nothing of this project.  `sys.argv[1]` is JSON: the image's `entrypoint`, and the `command` that it starts when none
is given.  It judges nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
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
SSH_PORTS = (22, 2222)
RANK = """
import sys, torch, torch.distributed as d
d.init_process_group(sys.argv[1])
rank, size = d.get_rank(), d.get_world_size()
where = f"cuda:{rank}" if sys.argv[1] == "nccl" else "cpu"
t = torch.ones(4, device=where) * (rank + 1)
d.all_reduce(t)
assert t.tolist() == [size * (size + 1) / 2] * 4, t
"""
WHO = """
import json, os, pwd, stat
try:
    name = pwd.getpwuid(os.getuid()).pw_name
except KeyError:
    name = ""
home, here = os.environ.get("HOME", ""), os.getcwd()
may = lambda path: bool(path) and os.access(path, os.W_OK | os.X_OK)
mode = stat.S_IMODE(os.stat(here).st_mode)
print("\\n" + json.dumps({
    "uid": os.getuid(), "name": name, "home": home, "home_writable": may(home),
    "folder": here, "folder_writable": may(here), "folder_mode": mode,
}))
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


def user(entrypoint: list[str]) -> dict[str, Any]:
    """Who a command that is given to the image runs as, and what that user may write to."""
    command = [*entrypoint, sys.executable, "-c", WHO]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    try:
        return dict(json.loads(done.stdout.strip().rpartition("\n")[2]))
    except ValueError:
        end = " ".join((done.stdout + done.stderr).split())[-300:]
        return {"error": f"a command given to the image is not run: exited {done.returncode}: {end}"}


# ------------------------------------------------------------------ services


def sshd_program() -> str | None:
    return shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))


def sshd() -> dict[str, str] | None:
    """The settings that sshd would run with, as it says itself."""
    program = sshd_program()
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        key = f"{folder}/key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, capture_output=True)
        with contextlib.suppress(OSError):  # only root can, and only root's sshd wants it
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        done = subprocess.run([program, "-T", "-h", key], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()[-300:]}
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def ssh_login(entrypoint: list[str], name: str) -> dict[str, Any] | None:
    """What the sshd that the image starts for a public key does with that key, another one, and none."""
    if sshd_program() is None or shutil.which("ssh") is None:
        return None
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        for key in ("right", "wrong"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{key}"]
            subprocess.run(keygen, check=True, capture_output=True)
        env = {**os.environ, "SSH_AUTHORIZED_KEYS": Path(folder, "right.pub").read_text()}
        command = [*entrypoint, "sleep", "120"]
        server = subprocess.Popen(command, env=env, stdout=said, stderr=said, start_new_session=True)
        try:
            port = listening(server)
            if not port:
                said.seek(0)
                return {"port": 0, "said": said.read()[-300:]}
            right, wrong = (ssh(port, name, f"{folder}/{key}") for key in ("right", "wrong"))
            return {"port": port, "name": name, "right": right[0], "wrong": wrong[0], "offered": ssh(port, name)[1]}
        finally:
            end(server)


def ssh(port: int, name: str, key: str = "") -> tuple[bool, str]:
    """Whether a login works, and what else the server would have taken; without a key it is only asked for that."""
    how = ["-o", "IdentitiesOnly=yes", "-i", key] if key else ["-o", "PreferredAuthentications=none"]
    hosts = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    where = ["-p", str(port), "-l", name, "127.0.0.1", "true"]
    command = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *hosts, *how, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    refused = re.search(r"Permission denied \(([^)]*)\)", done.stderr)
    return done.returncode == 0, refused[1] if refused else "" if done.returncode else "none"


def listening(server: subprocess.Popen[bytes]) -> int:
    """The port that an SSH server answers on, 0 for none."""
    for _ in range(75):
        for port in SSH_PORTS:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    if connection.recv(4) == b"SSH-":
                        return port
            except OSError:
                continue
        if server.poll() is not None:
            return 0
        time.sleep(0.2)
    return 0


def end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)


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
            end(server)


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


# ------------------------------------------------------------------ computing

# Not --standalone: that asks for the address of the host's name, which a container without network has not.
_ALONE = ("--nnodes=1", "--master_addr=127.0.0.1", "--master_port=29512", "--local_addr=127.0.0.1")


def gloo() -> str | None:
    """Two ranks of torchrun on the CPU: "" when they agree, else what they said."""
    return ranks("gloo", 2) if has("torch") else None


def ranks(backend: str, count: int) -> str:
    """`torchrun` with `count` ranks that add their numbers: "" when they agree, else what they said."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "rank.py")
        script.write_text(RANK)
        names = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        each = [f"--nproc_per_node={count}", str(script), backend]
        done = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", *_ALONE, *each],
            env={**os.environ, **names},
            capture_output=True,
            text=True,
            check=False,
        )
    return "" if done.returncode == 0 else done.stderr.strip()[-500:] or f"exited {done.returncode}"


def driver() -> dict[str, Any] | None:
    """The driver and its GPUs, as nvidia-smi says, which comes into the container with them; None without it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=driver_version,name", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60)
    rows = [line.split(", ", 1) for line in done.stdout.splitlines() if ", " in line]
    if done.returncode or not rows:
        said = " ".join((done.stdout + done.stderr).split())[-300:]
        return {"error": f"nvidia-smi exited {done.returncode}: {said or 'nothing'}"}
    return {"version": rows[0][0], "names": [name for _, name in rows]}


def gpu() -> dict[str, Any] | None:
    """What torch says of the GPUs, and whether they compute what the CPU does; None for no CUDA build of torch.

    `error` is why computing ended; what was found before stays.
    """
    torch = importlib.import_module("torch") if has("torch") else None
    if torch is None or not torch.version.cuda:
        return None
    facts: dict[str, Any] = {
        "available": torch.cuda.is_available(),
        "driver_cuda": cuda_version("libcuda.so.1", "cuDriverGetVersion"),
        "runtime": cuda_version(None, "cudaRuntimeGetVersion"),  # torch has loaded it for all to see
        "devices": [],
    }
    for index in range(torch.cuda.device_count() if facts["available"] else 0):
        about = torch.cuda.get_device_properties(index)
        code = f"sm_{about.major}{about.minor}"
        facts["devices"].append({"name": about.name, "code": code, "memory": about.total_memory})
    if facts["devices"]:
        facts.update(fact(lambda: computed(torch, len(facts["devices"]))))
    return facts


def computed(torch: Any, count: int) -> dict[str, Any]:
    """The largest relative differences over all GPUs, memory that does not keep what is written, and NCCL's words."""
    facts: dict[str, Any] = {"matmul": 0.0, "convolution": 0.0, "memory": []}
    for index in range(count):
        facts["matmul"] = max(facts["matmul"], difference(lambda t: t @ t, torch.randn(256, 256), index))
        image = torch.randn(2, 3, 32, 32)
        facts["convolution"] = max(facts["convolution"], moved(torch, torch.nn.Conv2d(3, 8, 3), image, index))
        if not keeps(torch, index):
            facts["memory"].append(index)
    facts["nccl"] = ranks("nccl", count)
    return facts


def keeps(torch: Any, index: int) -> bool:
    """Whether a quarter of the free memory, 1 GiB at most, holds what is written to it."""
    free, _ = torch.cuda.mem_get_info(index)
    written = torch.arange(min(free // 4, 1 << 30) // 8, device=f"cuda:{index}")
    return bool((written == torch.arange(len(written), device=f"cuda:{index}")).all())


def cuda_version(library: str | None, function: str) -> str:
    """`12.6` as one of CUDA's libraries says it, "" where it cannot be asked."""
    number = ctypes.c_int(0)
    try:
        getattr(ctypes.CDLL(library), function)(ctypes.byref(number))
    except (OSError, AttributeError):
        return ""
    return f"{number.value // 1000}.{number.value % 1000 // 10}" if number.value else ""


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
    image = json.loads(sys.argv[1])
    who = fact(lambda: user(image["entrypoint"]))
    facts = {
        "installed": fact(distributions),
        "user": who,
        "host_keys": fact(host_keys),
        "sshd": fact(sshd),
        "ssh_login": fact(lambda: ssh_login(image["entrypoint"], who.get("name") or "root")),
        "jupyter": fact(lambda: jupyter(image["entrypoint"] + image["command"])),
        "libraries": fact(libraries),
        "patches": fact(patches),
        "torch": fact(torch_facts),
        "imports": fact(imports),
        "gloo": fact(gloo),
        "driver": fact(driver),
        "gpu": fact(gpu),
    }
    sys.stdout.write("\n" + json.dumps(facts) + "\n")


if __name__ == "__main__":
    main()
