"""What an engine's failures mean to a person: one line, a place, a remedy.  Knows no client library."""

from __future__ import annotations

import re
import socket
import ssl
from importlib.util import find_spec
from typing import TYPE_CHECKING

from orchestrator.core.errors import RemoteError, UnprovedError, UsageError
from orchestrator.core.text import one_line
from orchestrator.engines import NoGpuError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_SPACE = "no space left on device"
_DISK_REMEDY = "free space on the engine's disk (`docker system df`, `docker system prune`), or move its data-root"

_START = "start Docker (`systemctl start docker`), or set DOCKER_HOST or DOCKER_CONTEXT"
_TLS = "check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH (ca.pem, cert.pem, key.pem) for this engine"
# The first class that is found among an error's causes says why, and what to do.
_CAUSES: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        PermissionError,
        "permission denied",
        "run as a member of the group `docker` (`usermod -aG docker NAME`, then log in again)",
    ),
    (FileNotFoundError, "there is no such socket", _START),
    (ConnectionRefusedError, "connection refused", _START),
    (ssl.SSLError, "TLS failed", _TLS),
    (socket.gaierror, "the host name is not known", "check DOCKER_HOST"),
    (TimeoutError, "no answer in time", _START),
)


# Memory that a container has as a file system: full, it says nothing of the engine's disk.
_SHARED_MEMORY = re.compile(r"\bdev/shm\b|</?torch_|/psm_|shared memory", re.IGNORECASE)
_SHM_REMEDY = (
    "the step filled /dev/shm (64 MB in a build), not the engine's disk: let it write elsewhere, or use fewer workers"
)


def shared_memory_full(printed: str, command: str) -> str:
    """The remedy where a step's last lines say that /dev/shm is full, as far as they and its command tell; else ""."""
    lines = [line for line in printed.splitlines() if _NO_SPACE in line.lower()]
    return _SHM_REMEDY if lines and _SHARED_MEMORY.search("\n".join([*lines, command])) else ""


def disk_full(text: str, where: str) -> RemoteError | None:
    """The error to raise where `text` says that a disk is full."""
    line = next((line for line in text.splitlines() if _NO_SPACE in line.lower()), None)
    if line is None:
        return None
    message = f"the engine's disk is full: {one_line(line)}"
    return RemoteError(message, where=where, remedy=_DISK_REMEDY, code="disk-full")


def refused(text: str, doing: str, code: str, remedy: str) -> RemoteError:
    """The engine answered, and said no."""
    return disk_full(text, "") or RemoteError(
        f"the engine could not {doing}: {one_line(text)}", remedy=remedy, code=code
    )


def not_started(image: str, text: str) -> RemoteError | UnprovedError:
    """A container of `image` could not be made or started."""
    return (
        disk_full(text, image)
        or _no_gpu(text, image)
        or UnprovedError(
            f"a container of {image} cannot be started: {one_line(text)}",
            where=image,
            remedy="check that the image and the command's first word exist",
            code="container-not-started",
        )
    )


# What an engine, or NVIDIA's hook, says when GPUs cannot be given to a container -> what to do.
_GPU_REMEDIES = (
    ('could not select device driver "cdi"', "this engine has no CDI: Docker 25 or newer, or --gpus all"),
    ("could not select device driver", "install the NVIDIA Container Toolkit on the engine's machine, restart docker"),
    ("unresolvable CDI devices", "make the CDI specification: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"),
    (
        "CDI device injection failed",
        "make the CDI specification: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    ),
    ("unsatisfied condition", "the driver is too old for the image: release doctor --image REF says which it needs"),
    ("nvidia-container-cli", "the driver does not answer: nvidia-smi on the engine's machine"),
)


def _no_gpu(text: str, image: str) -> UnprovedError | None:
    for sign, remedy in _GPU_REMEDIES:
        if sign in text:
            message = f"no GPU can be given to a container of {image}: {one_line(text)}"
            return NoGpuError(message, where=image, remedy=remedy)
    return None


def stalled(doing: str, seconds: float) -> RemoteError:
    """Nothing moved for too long."""
    return RemoteError(
        f"could not {doing}: nothing moved for {seconds:g} s",
        remedy="check the registry and the network, then run the same command again: what is there is kept",
        code="push-stalled",
    )


def is_timeout(error: BaseException) -> bool:
    """Whether it was waiting that ended; client libraries wrap this in several classes of their own."""
    return any(isinstance(link, TimeoutError) for link in _chain(error))


def require_paramiko(place: str) -> None:
    """Raises UsageError where engines over ssh cannot be reached for want of a package."""
    if find_spec("paramiko") is None:
        raise UsageError(
            "engines over ssh need the Python package paramiko",
            where=place,
            remedy="pip install paramiko, or forward the socket with `ssh -L` and set DOCKER_HOST to it",
            code="engine-needs-paramiko",
        )


def probe_socket(place: str) -> None:
    """Raises RemoteError when a unix socket takes no connection; docker-py would leave a socket open then."""
    if not place.startswith("unix:"):
        return
    path = "/" + place.removeprefix("unix:").lstrip("/")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except OSError as error:
        raise unreachable(error, place, "reach the engine") from error


def unreachable(error: BaseException, place: str, doing: str) -> RemoteError:
    """No engine at `place`.  The text of `error` is not shown: it can hold a URL with build arguments."""
    why, remedy = _cause(error)
    return RemoteError(
        f"the Docker Engine cannot be reached: {why}",
        where=place,
        remedy=remedy,
        code="engine-unreachable",
        state=f"while trying to {doing}",
    )


def _cause(error: BaseException) -> tuple[str, str]:
    chain = list(_chain(error))
    for kind, why, remedy in _CAUSES:
        if any(isinstance(link, kind) for link in chain):
            return why, remedy
    if any("HTTPS server" in str(link) for link in chain):
        return "it speaks TLS and was asked without", _TLS
    return f"the connection broke ({type(chain[-1]).__name__})", _START


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, each once: two may name each other."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
