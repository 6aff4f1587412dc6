"""What an image says of itself before it is built, held against the builds of PyTorch that exist.

A variant called `cu121`, a build argument `CUDNN_VERSION=8.9`, a platform: where the version of torch is known, each
must be true of a published build, and all of them of the same one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.results import Problem
from orchestrator.image.pytorch_builds import BUILDS, build_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.image.pytorch_builds import Build, Pin

# What build arguments are usually called -> what they speak of.
_ARGUMENTS: Final = {
    "TORCH_VERSION": "torch", "PYTORCH_VERSION": "torch", "TORCH": "torch",
    "CUDA_VERSION": "CUDA", "CUDA": "CUDA",
    "CUDNN_VERSION": "cuDNN", "CUDNN": "cuDNN",
    "NCCL_VERSION": "NCCL",
    "PYTHON_VERSION": "Python",
}  # fmt: skip
# Bases whose tag speaks.  nvidia/cuda is not among them: the wheels bring a CUDA of their own.
_BASE: Final = re.compile(
    r"(.*/)?pytorch/pytorch:(?P<torch>[0-9.]+)-cuda(?P<CUDA>[0-9.]+)-cudnn(?P<cuDNN>[0-9.]+)\b.*"
    r"|(.*/)?python:(?P<Python>[0-9]+\.[0-9]+)\b.*",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class VersionClaim:
    """`what` (torch, CUDA, cuDNN, NCCL, Python, machine) is said to be `value`, by `said`."""

    what: str
    value: str
    said: str

    def holds(self, build: Build) -> bool:
        """Versions are compared as far as both are written: 12.6.3 and 12 are both CUDA 12.6."""
        if self.what == "Python":
            return any(_agree(self.value, each) for each in build.python)
        if self.what == "machine":
            return self.value in build.machines
        has = {"torch": build.torch, "CUDA": build.cuda, "cuDNN": build.cudnn, "NCCL": build.nccl}[self.what]
        return self.value == has or (bool(self.value and has) and _agree(self.value, has))


def _agree(one: str, other: str) -> bool:
    return all(left == right for left, right in zip(one.split("."), other.split("."), strict=False))


def claims_of(variant: str, build_args: Mapping[str, str], platform: str) -> tuple[VersionClaim, ...]:
    """What the variant's name, build arguments and platform of an image say."""
    return (*_by_variant(variant), *_by_arguments(build_args), *_by_platform(platform))


def _by_variant(variant: str) -> Iterator[VersionClaim]:
    said = f"variant {variant}"
    if found := re.fullmatch(r"cu([0-9]{1,2})([0-9])", variant):
        yield VersionClaim(what="CUDA", value=f"{found[1]}.{found[2]}", said=said)
    elif variant == "cpu":
        yield VersionClaim(what="CUDA", value="", said=said)


def _by_arguments(build_args: Mapping[str, str]) -> Iterator[VersionClaim]:
    for name, value in build_args.items():
        said = f"build argument {name}={value}"
        version = re.fullmatch(r"v?([0-9]+(?:\.[0-9]+)*)(?:[+-].*)?", value)
        if name in _ARGUMENTS and version:
            yield VersionClaim(what=_ARGUMENTS[name], value=version[1], said=said)
        elif base := _BASE.fullmatch(value):
            for what, number in base.groupdict().items():
                if number:
                    yield VersionClaim(what=what, value=number, said=said)


def _by_platform(platform: str) -> Iterator[VersionClaim]:
    architecture = platform.split("/")[1] if platform.count("/") else ""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(architecture, architecture)
    if machine:
        yield VersionClaim(what="machine", value=machine, said=f"platform {platform}")


def judge_claims(claims: Sequence[VersionClaim], pins: Mapping[str, Pin], where: str) -> tuple[Problem, ...]:
    """What is said and was never published.  Without a torch that the table knows nothing is judged."""
    torch = pins["torch"].version.partition("+")[0] if "torch" in pins else ""
    torch = torch or next((claim.value for claim in claims if claim.what == "torch"), "")
    # 2.7 is enough; 2 is not: other versions had other CUDAs.
    known = [build for build in BUILDS if "." in torch and _agree(torch, build.torch)]
    if not known:
        return ()
    locked = build_of(pins)
    builds = [locked] if locked else known
    others = [claim for claim in claims if not (locked and claim.said.startswith("variant "))]  # compat.judge says that
    alone = [claim for claim in others if not any(claim.holds(build) for build in builds)]
    problems = [_problem(claim, locked, torch, known, where) for claim in alone]
    if not alone and not any(all(claim.holds(build) for claim in others) for build in builds):
        said = " and ".join(claim.said for claim in others)
        problems.append(_never(f"no build of torch {torch} has all of this: {said}", where, known))
    return tuple(problems)


def _problem(claim: VersionClaim, locked: Build | None, torch: str, known: Sequence[Build], where: str) -> Problem:
    what = f"{claim.what} {claim.value}" if claim.value else f"no {claim.what}"
    if claim.what == "torch":
        return _never(f"{claim.said}: that is torch {claim.value}, elsewhere it is {torch}", where, known)
    if locked:
        return _never(f"{claim.said}: {what} does not go with the lock, {locked.name}", where, known)
    return _never(f"{claim.said}: torch {torch} was never published for {what}", where, known)


def _never(message: str, where: str, known: Sequence[Build]) -> Problem:
    there = "; ".join(build.name for build in known)
    remedy = f"there are: {there}; for Python {known[0].python[0]} to {known[0].python[-1]}"
    machines = [build.variant for build in known if "aarch64" in build.machines]
    remedy += f", on aarch64 {' and '.join(machines)}"
    return Problem(code="build-incompatible", message=message, where=where, remedy=remedy)
