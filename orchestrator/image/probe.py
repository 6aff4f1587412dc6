"""Runs inside an image, by the image's own Python: what is in there, as one line of JSON.

Only the standard library of Python 3.9 and what the image has; it is sent as text (`python3 -c`), so it imports
nothing of this project.  `sys.argv[1]` is JSON: the image's `entrypoint`, and the `command` that it starts when none
is given.  It judges nothing.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.image.probe_services import gloo, has, host_keys, jupyter, ranks, ssh_login, sshd, user

if TYPE_CHECKING:
    from collections.abc import Callable

SCIENCE = ("numpy", "scipy", "pandas", "matplotlib", "sklearn", "jupyterlab", "torch")


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


# ------------------------------------------------------------------ services


# ------------------------------------------------------------------ computing


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
