"""The lab keeps its promises: a login is needed, exit codes pass, nothing stays behind."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker

LAB = [sys.executable, str(Path(__file__).resolve().parents[2] / "tools" / "lab"), "run", "--"]
SHOW = 'echo "$RELEASE_LAB_REGISTRY $RELEASE_LAB_PASSWORD $DOCKER_HOST"'


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """Another lab's environment: a cache of its own, the user's real home (the base is made from its settings)."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    return os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": home}


def upload(lab: Lab, auth: tuple[str, str] | None) -> int:
    return requests.post(f"http://{lab.registry}/v2/test/lab/blobs/uploads/", auth=auth, timeout=30).status_code


def test_nobody_pushes_without_the_password(lab: Lab) -> None:
    assert upload(lab, None) == 401
    assert upload(lab, (lab.username, "guess")) == 401
    assert upload(lab, (lab.username, lab.password)) == 202


def test_another_lab_borrows_the_engine_and_passes_the_exit_code(lab: Lab, surroundings: dict[str, str]) -> None:
    done = subprocess.run([*LAB, "sh", "-c", f"{SHOW}; exit 7"], env=surroundings, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    registry, password, engine = done.stdout.split()
    assert engine == lab.docker_host
    assert registry != lab.registry
    assert password != lab.password
    assert not listens(registry)
    assert listens(lab.registry)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_lab_leaves_nothing(surroundings: dict[str, str], number: signal.Signals) -> None:
    with running(surroundings) as (process, registry):
        process.send_signal(number)
        process.wait(60)
    if number == signal.SIGKILL:  # the next run clears up
        subprocess.run([*LAB, "true"], env=surroundings, check=True, capture_output=True)
    else:
        assert process.returncode == 128 + number
    assert not listens(registry)
    assert list(Path(surroundings["XDG_CACHE_HOME"]).glob("release-lab/slot-*/registry")) == []


@contextmanager
def running(surroundings: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A lab that waits in its command, and its registry's address."""
    command = [*LAB, "sh", "-c", f"{SHOW}; exec sleep 300"]
    process = subprocess.Popen(
        command,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        try:
            registry = stdout.readline().split()[0]
            assert listens(registry)
            yield process, registry
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(60)


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0
