"""One run: claim a slot, bring things up, run the command, take everything down, however it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tools.lab import engine, images, processes, registry, slots, talk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from tools.lab.slots import Slot

GRACE = 30.0  # seconds that an interrupted command has for its own cleaning


class InterruptedRunError(Exception):
    """SIGINT or SIGTERM reached the lab."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(command: Sequence[str]) -> int:
    """The command's exit code; 128 + signal when a signal ended it or the lab."""
    with slots.claim() as slot, signals():
        slots.take_down(slot)  # what a killed run left here
        try:
            environment = bring_up(slot)
            return execute(command, environment)
        except InterruptedRunError as interruption:
            return 128 + interruption.number
        finally:
            signals_off()
            slots.take_down(slot)


def bring_up(slot: Slot) -> dict[str, str]:
    """What the command finds in its environment."""
    started = time.monotonic()
    slot.state.mkdir(mode=0o700)
    host = engine.provide(slot)
    docker = ["docker", "--host", host]
    place = registry.provide(slot, host)
    environment = {
        "DOCKER_HOST": host,
        "RELEASE_LAB_REGISTRY": place.address,
        "RELEASE_LAB_USERNAME": place.username,
        "RELEASE_LAB_PASSWORD": place.password,
        "RELEASE_LAB_REGISTRY_LOG": str(registry.log_file(slot)),
        "RELEASE_LAB_BASE": images.base(docker),
        "RELEASE_LAB_BUSYBOX": images.busybox(docker),
        "RELEASE_LAB_REQUIRED": "1",
        "RELEASE_LAB_SLOT": str(slot.path),
    }
    talk.say(f"ready in {time.monotonic() - started:.1f} s, registry at {place.address}")
    return environment


def execute(command: Sequence[str], environment: dict[str, str]) -> int:
    surroundings = {name: value for name, value in os.environ.items() if name != "DOCKER_CONTEXT"}
    try:
        process = subprocess.Popen(processes.dying_with_us(command), env=surroundings | environment)
    except OSError as error:
        raise talk.LabError(f"{command[0]}: {error.strerror}") from error
    try:
        code = process.wait()
    except InterruptedRunError as interruption:
        finish(process, interruption.number)
        raise
    return code if code >= 0 else 128 - code


def finish(process: subprocess.Popen[bytes], number: int) -> None:
    """Pass the signal on and wait.  On a terminal ctrl-C has reached the command already."""
    if number != signal.SIGINT or not sys.stdin.isatty():
        process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired, InterruptedRunError):  # a second signal ends the wait
        process.wait(GRACE)
    process.kill()
    process.wait()


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP become an exception, so that `finally` runs."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise InterruptedRunError(number)

    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def signals_off() -> None:
    """While taking down, a signal must not stop half-way.  A handler, not SIG_IGN, which children inherit."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)


def status() -> int:
    """One line for each slot that exists."""
    for slot in slots.every():
        if slot.path.exists():
            lock = slots.try_lock(slot)
            leftovers = "left by a killed run" if slot.state.exists() else "free"
            print(f"{slot.path}  {'in use' if lock is None else leftovers}")
            if lock:
                lock.close()
    return 0


def clean() -> int:
    """Delete every slot that is not in use, then the archives."""
    for slot in slots.every():
        lock = slots.try_lock(slot) if slot.path.exists() else None
        if lock:
            with lock:
                slots.take_down(slot)
                shutil.rmtree(slot.path)
                talk.say(f"removed {slot.path}")
    for archive in slots.cache().glob("*.tar"):
        archive.unlink()
    for folder in slots.cache().glob("docker-*"):  # Docker of a newer Debian: newer_docker.py
        shutil.rmtree(folder)
    return 0
