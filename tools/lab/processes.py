"""Daemons kept by pid file.  A pid alone is not an identity: start time and boot id go with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tools.lab import talk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATIENCE = 20.0  # seconds from SIGTERM to SIGKILL
GARBAGE = {"GOGC": "400"}  # Go looks for it less often: a quarter of what an engine's many short processes take
ENGINE_PROGRAMS = ("dockerd", "containerd", "docker-proxy", "docker-registry", "runc", "setpriv")


def start(argv: Sequence[str], *, pid_file: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a daemon in a session of its own, so that ctrl-C reaches the command and not the engine."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            dying_with_us(argv),
            env=os.environ | GARBAGE,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    pid_file.write_text(f"{process.pid} {identity(process.pid)}\n", encoding="ascii")
    return process


def dying_with_us(argv: Sequence[str]) -> list[str]:
    """The command, sent SIGTERM by the kernel when the lab dies (where there is a setpriv: on Linux)."""
    return ["setpriv", "--pdeathsig", "TERM", "--", *argv] if shutil.which("setpriv") else [*argv]


def wait_for(come: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, *, patience: float) -> None:
    """Until the daemon is there.  Raises LabError with its log when it ended or took too long."""
    deadline = time.monotonic() + patience
    while not come():
        if process.poll() is not None or time.monotonic() > deadline:
            raise talk.LabError(f"a daemon did not start; end of {log}:\n{talk.tail(log)}")
        time.sleep(0.1)


def identity(pid: int) -> str:
    """Start time and boot id of a living process, "" when there is none (a zombie counts as none)."""
    try:
        # The name, in parentheses, may hold spaces: count from behind it.  Fields: proc(5).
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{fields[19]} {boot_id()}"


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def recorded(pid_file: Path) -> int | None:
    """The pid in the file when that very process still lives, else None."""
    try:
        pid, _, known = pid_file.read_text(encoding="ascii").strip().partition(" ")
    except OSError:
        return None
    return int(pid) if known and pid.isdecimal() and identity(int(pid)) == known else None


@dataclass(frozen=True)
class Daemon:
    """One that its starter ends itself, before the lab's end."""

    process: subprocess.Popen[bytes]
    pid_file: Path

    def stop(self) -> None:
        stop(self.pid_file)
        self.process.wait(PATIENCE)


def stop(pid_file: Path) -> None:
    """End the recorded process and wait until it is gone; a stranger who got its pid is left alone."""
    pid = recorded(pid_file)
    if pid is not None:
        end(pid, still=lambda: recorded(pid_file) is not None)
    pid_file.unlink(missing_ok=True)


def end(pid: int, *, still: Callable[[], bool]) -> None:
    """SIGTERM, patience, SIGKILL."""
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)):
        if not still():
            return
        _send(pid, number)
        _wait(pid, still, patience)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended between the look and the signal


def _wait(pid: int, still: Callable[[], bool], patience: float) -> None:
    deadline = time.monotonic() + patience
    while still() and time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):  # started by an earlier run, so not ours to reap
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.05)


def kill_containers(mark: str) -> None:
    """SIGKILL every process in the engine's own cgroup: nobody needs its last words, and the engine would
    wait ten seconds for each."""
    for pid, known in _living():
        if mark in _read(Path(f"/proc/{pid}/cgroup")) and identity(pid) == known:
            _send(pid, signal.SIGKILL)


def stop_leftovers(mark: str) -> None:
    """End the helpers that a killed engine left: they name `mark`, the slot's own, in their command line.

    So does a pager or an editor that shows a file of the slot, hence the look at the program's name.
    """
    for pid, known in _living():
        process = Path(f"/proc/{pid}")
        if mark in _read(process / "cmdline") and _read(process / "comm").startswith(ENGINE_PROGRAMS):
            end(pid, still=partial(_is, pid, known))


def _living() -> list[tuple[int, str]]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [(pid, known) for pid in pids if (known := identity(pid))]


def _is(pid: int, known: str) -> bool:
    return identity(pid) == known


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
