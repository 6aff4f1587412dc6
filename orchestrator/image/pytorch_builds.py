"""Which PyTorch goes with which CUDA, cuDNN, NCCL and driver: a table with sources, and a lock judged by it.

The table is of wheels that were really published.  Combinations that are often quoted and were never built for
these versions (CUDA 12.1, cuDNN 8.9) are refused because they are not in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.results import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Where the image of this project keeps the locks that it was installed from.
LOCKS_INSIDE: Final = tuple(f"/opt/release/build/{layer}.txt" for layer in ("cuda", "stack", "torch"))

SOURCES: Final = {
    "matrix": "https://github.com/pytorch/pytorch/blob/main/RELEASE.md#release-compatibility-matrix",
    "builds": "https://github.com/pytorch/pytorch/blob/v2.7.1/.github/scripts/generate_binary_build_matrix.py",
    "driver": "https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html",
    "full driver": "https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/",
    "GPUs": "https://developer.nvidia.com/cuda-gpus",
}

# GPU code -> what NVIDIA calls the generation.
GENERATIONS: Final = {
    "sm_50": "Maxwell", "sm_60": "Pascal", "sm_70": "Volta", "sm_75": "Turing", "sm_80": "Ampere", "sm_86": "Ampere",
    "sm_89": "Ada", "sm_90": "Hopper", "sm_100": "Blackwell", "sm_120": "Blackwell",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Build:
    """A published build of PyTorch for Linux.  Versions are as the wheels name them; `""` for what it has not."""

    torch: str
    variant: str  # cu126, cpu: the end of the wheel's local version; PyPI's wheels have none
    cuda: str
    cudnn: str
    nccl: str
    triton: str
    driver: str  # least driver by minor version compatibility; code that needs a newer PTX compiler wants more
    full_driver: str  # least driver without that limit, "" where no source was seen
    code: tuple[str, ...]  # GPU code in the wheel; a GPU runs code of its own major version and of a lower minor one
    python: tuple[str, ...] = ("3.9", "3.10", "3.11", "3.12", "3.13")
    machines: tuple[str, ...] = ("x86_64",)
    on_pypi: bool = False

    @property
    def name(self) -> str:
        cuda = f"CUDA {self.cuda}, cuDNN {self.cudnn}, NCCL {self.nccl}" if self.cuda else "no CUDA"
        return f"torch {self.torch} {self.variant} ({cuda})"


_TO_HOPPER: Final = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
_TO_BLACKWELL: Final = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")


def _builds(torch: str, triton: str) -> tuple[Build, ...]:
    return (
        Build(
            torch=torch, variant="cu118", cuda="11.8", cudnn="9.1.0.70", nccl="2.21.5", triton=triton,
            driver="450.80.02", full_driver="520.61.05", code=_TO_HOPPER,
        ),
        Build(
            torch=torch, variant="cu126", cuda="12.6", cudnn="9.5.1.17", nccl="2.26.2", triton=triton,
            driver="525.60.13", full_driver="560.28.03", code=_TO_HOPPER, on_pypi=True,
        ),
        Build(
            torch=torch, variant="cu128", cuda="12.8", cudnn="9.7.1.26", nccl="2.26.2", triton=triton,
            driver="525.60.13", full_driver="570.26", code=_TO_BLACKWELL,
            machines=("x86_64", "aarch64"),
        ),
        Build(
            torch=torch, variant="cpu", cuda="", cudnn="", nccl="", triton="", driver="", full_driver="", code=(),
            machines=("x86_64", "aarch64"),
        ),
    )  # fmt: skip


# 2.7.0 and 2.7.1 have the same nvidia-* pins; only torch and triton differ.
BUILDS: Final = _builds("2.7.0", "3.3.0") + _builds("2.7.1", "3.3.1")


# ------------------------------------------------------------------ locks


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One `name==version` of a lock; `name` normalised as PEP 503 says."""

    name: str
    version: str
    file: str
    line: int
    has_hash: bool

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*+(?:\[[^\]]*\])?\s*==\s*([A-Za-z0-9.!+_-]+)")


def read_lock(
    files: Mapping[str, bytes], remedy: str = "make the lock again with hashes"
) -> tuple[dict[str, Pin], tuple[Problem, ...]]:
    """The pins of a lock in pip's format, and what is wrong with it: unpinned, without hash, or pinned twice.

    `remedy` says how a lock with hashes is made.
    """
    pins: dict[str, Pin] = {}
    problems: list[Problem] = []
    for file, data in files.items():
        for number, text in _requirements(data.decode("utf-8", "replace")):
            found = _PIN.match(text)
            where = f"{file}:{number}"
            if not found:
                problems.append(_bad(f"{text.split()[0]!r} is not pinned to one version", where, "write name==version"))
                continue
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            pin = Pin(name=name, version=found[2], file=file, line=number, has_hash="--hash=" in text)
            if name in pins:
                problems.append(_bad(f"{name} is pinned in {pins[name].place} already", where, "keep one"))
            elif not pin.has_hash:
                problems.append(_bad(f"{name}=={pin.version} has no --hash", where, remedy))
            pins[name] = pin
    return pins, tuple(problems)


def _requirements(text: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each requirement, continued lines joined; options of pip and comments left out."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun or number
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        parts.append(bare.removesuffix("\\").strip())
        if bare.endswith("\\"):
            continue
        joined = " ".join(part for part in parts if part)
        if joined and not joined.startswith("-"):
            yield begun, joined
        begun, parts = 0, []


def _bad(message: str, where: str, remedy: str, code: str = "lock-invalid") -> Problem:
    return Problem(code=code, message=message, where=where, remedy=remedy)


# ------------------------------------------------------------------ judging


def build_of(pins: Mapping[str, Pin]) -> Build | None:
    """The published build that a lock's torch is; None without torch, or for one that the table does not know."""
    torch = pins.get("torch")
    if torch is None:
        return None
    version, _, local = torch.version.partition("+")
    for build in BUILDS:
        if build.torch == version and (build.variant == local if local else build.on_pypi):
            return build
    return None


def build_like(torch: str, cuda: str | None) -> Build | None:
    """The published build of a torch that says these versions of itself (`2.7.1+cu126`, `12.6`), without a lock."""
    version = torch.partition("+")[0]
    return next((each for each in BUILDS if (each.torch, each.cuda) == (version, cuda or "")), None)


def judge(files: Mapping[str, bytes], variant: str = "", platform: str = "", remedy: str = "") -> tuple[Problem, ...]:
    """What is wrong with a lock: its form, and combinations with torch that were never published.

    `variant` is the image variant's name; where it names a CUDA (`cu126`) or `cpu` the lock must be of that.  A
    torch that the table does not know is not judged, except where the table has its version with other CUDAs.  The
    wheels for aarch64 bring CUDA and Triton along: what they ask for is asked for on x86_64 alone.  `remedy` says how
    the lock is made, where somebody said it.
    """
    pins, problems = read_lock(files, remedy) if remedy else read_lock(files)
    torch = pins.get("torch")
    if torch is None:
        return problems
    build = build_of(pins)
    if build is None:
        version = torch.version.partition("+")[0]
        known = [each.name for each in BUILDS if each.torch == version]
        if known:
            problems += (_never(f"torch {torch.version} was never published", torch.place, known),)
        return problems
    is_bundled = platform.partition("/")[2] not in ("", "amd64")
    return (*problems, *_against(build, pins, torch, variant, is_bundled=is_bundled))


def _against(build: Build, pins: Mapping[str, Pin], torch: Pin, variant: str, *, is_bundled: bool) -> Iterator[Problem]:
    known = [each.name for each in BUILDS if each.torch == build.torch]
    if re.fullmatch(r"cu[0-9]{2,3}|cpu", variant) and variant != build.variant:
        yield _never(
            f"variant {variant} is locked to torch {torch.version}, which is {build.variant}", torch.place, known
        )
    major = build.cuda.partition(".")[0]
    for pin in pins.values():
        tail = re.search(r"-cu([0-9]{2})$", pin.name)
        if pin.name.startswith("nvidia-") and tail and tail[1] != major:
            yield _never(f"{pin.name} is not for {build.name}", pin.place, known)
    wanted = {
        f"nvidia-cuda-runtime-cu{major}": build.cuda,
        f"nvidia-cudnn-cu{major}": build.cudnn,
        f"nvidia-nccl-cu{major}": build.nccl,
        "triton": build.triton,
    }
    for name, version in wanted.items():
        if is_bundled and name not in pins:
            continue
        yield from _one(build, name, version, pins.get(name), torch, known)


def _one(build: Build, name: str, version: str, pin: Pin | None, torch: Pin, known: list[str]) -> Iterator[Problem]:
    if not version:
        return
    if pin is None:
        yield _never(f"{build.name} needs {name} {version}, the lock has none", torch.place, known)
    elif not (pin.version == version or (name.startswith("nvidia-cuda-runtime") and _begins(pin.version, version))):
        yield _never(f"{name} {pin.version} does not go with {build.name}: it needs {version}", pin.place, known)


def _begins(version: str, start: str) -> bool:
    return version.startswith(f"{start}.")


def _never(message: str, where: str, known: list[str]) -> Problem:
    return _bad(message, where, f"there are: {'; '.join(known)}", "lock-incompatible")


# ------------------------------------------------------------------ saying it


def runs_on(build: Build) -> tuple[str, ...]:
    """Which machines a build can run on, in lines for people."""
    if not build.cuda:
        return ("any machine: it has no CUDA", "no GPU is used")
    gpus = [f"{code} ({GENERATIONS[code]})" for code in build.code]
    return (
        f"NVIDIA driver {build.driver} or newer; everything from {build.full_driver} on ({SOURCES['driver']})",
        f"GPU code for {', '.join(gpus)} ({SOURCES['matrix']})",
        "Ada (sm_89) runs the code for sm_86",
    )


def table_markdown() -> str:
    """docs/compatibility.md's table."""
    heads = ["torch", "variant", "CUDA", "cuDNN", "NCCL", "triton", "Python", "machines"]
    heads += ["least driver", "full driver", "GPU code"]
    rows = [heads, ["---"] * len(heads)]
    for each in BUILDS:
        pypi = " (PyPI)" if each.on_pypi else ""
        python = f"{each.python[0]}-{each.python[-1]}"
        code = " ".join(code.removeprefix("sm_") for code in each.code)
        rows.append([each.torch, each.variant + pypi, each.cuda, each.cudnn, each.nccl, each.triton, python])
        rows[-1] += [" ".join(each.machines), each.driver, each.full_driver, code]
    return "\n".join(f"| {' | '.join(cell or '-' for cell in row)} |" for row in rows)
