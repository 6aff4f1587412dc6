"""A slot: the one place on the machine where a run may leave anything.

A run takes the first slot whose lock is free, so two runs never share an engine, and a later run finds the
layers of an earlier one.  The kernel drops the lock when its holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tools.lab import processes, talk

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOTS = 8
KEPT = "b0"  # the engine with BuildKit whose store stays


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(home) / "release-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


@dataclass(frozen=True)
class Slot:
    """Names made from the slot's path alone: after a SIGKILL the next run knows them all."""

    path: Path

    @property
    def id(self) -> str:
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:8]

    @property
    def cache(self) -> Path:
        """What all slots share: archives, and Docker of a newer Debian."""
        return self.path.parent

    @property
    def bridge(self) -> str:
        return f"rlab{self.id}"  # 12 of the 15 characters that Linux allows

    @property
    def mark(self) -> str:
        return f"release-lab-{self.id}"

    @property
    def state(self) -> Path:
        """Pid files, sockets, logs.  Short: a socket's path has at most 107 bytes."""
        return Path("/run") / self.mark if os.geteuid() == 0 else self.path / self.mark

    @property
    def container(self) -> Path:
        """Holds the address of the engine in which a container named `mark` runs."""
        return self.state / "container-host"

    @property
    def data(self) -> Path:
        """The private engine's images; kept between runs."""
        return self.path / "engine"

    @property
    def buildkit(self) -> Path:
        """The stores of the engines with BuildKit; the first one's is kept between runs."""
        return self.path / "buildkit"

    @property
    def blobs(self) -> Path:
        """The registry's storage; each run starts with an empty one."""
        return self.path / "registry"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on the file, waiting for it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def claim() -> Iterator[Slot]:
    """The first free slot, held until the end."""
    for slot in every():
        lock = try_lock(slot)
        if lock is not None:
            with lock:
                yield slot
            return
    raise talk.LabError(f"{SLOTS} labs are running; see `python3 tools/lab status`")


def slot_at(path: str) -> Slot:
    """The slot of the run around us, by the path in its environment."""
    return Slot(Path(path))


def every() -> Iterator[Slot]:
    return (Slot(cache() / f"slot-{number}") for number in range(SLOTS))


def try_lock(slot: Slot) -> IO[str] | None:
    """The slot's lock, held as long as the file is open; None when another run has it."""
    slot.path.mkdir(exist_ok=True)
    lock = (slot.path / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def take_down(slot: Slot) -> None:
    """End and remove everything that a run left in the slot, but the engine's images."""
    if slot.state.exists():
        processes.kill_containers(slot.mark)
        for pid_file in sorted(slot.state.glob("*.pid")):
            processes.stop(pid_file)
        processes.stop_leftovers(slot.mark)
        remove_container(slot)
    unmount(slot.state, slot.data, slot.buildkit)
    for namespace in sorted(Path("/run/netns").glob(f"{slot.mark}-*")):
        talk.output(["ip", "netns", "delete", namespace.name])
    for interface in sorted(Path("/sys/class/net").glob(f"{slot.bridge}*")):
        talk.succeeds(["ip", "link", "delete", interface.name])  # one of a pair may go with a namespace
    for store in slot.buildkit.glob("*"):
        if store.name != KEPT:
            shutil.rmtree(store, ignore_errors=True)
    shutil.rmtree(slot.state, ignore_errors=True)
    shutil.rmtree(slot.blobs, ignore_errors=True)


def remove_container(slot: Slot) -> None:
    """Remove the registry's container from a borrowed engine, when the run had started one."""
    if slot.container.exists():
        host = slot.container.read_text(encoding="utf-8")
        talk.succeeds(["docker", "--host", host, "rm", "--force", "--volumes", slot.mark])


def unmount(*roots: Path) -> None:
    for mount in mounts_under(*roots):
        talk.output(["umount", "--lazy", mount])


def mounts_under(*roots: Path) -> list[str]:
    """Mount points below the roots, innermost first."""
    table = Path("/proc/self/mountinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in reversed(points) if any(Path(point).is_relative_to(root) for root in roots)]
