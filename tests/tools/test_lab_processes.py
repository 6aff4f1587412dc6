"""The lab's pid files and slots: what belongs to a run, and what does not."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tools.lab import processes, slots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_daemon_is_ended_and_waited_for(tmp_path: Path) -> None:
    pid_file = tmp_path / "daemon.pid"
    process = processes.start(["sleep", "60"], pid_file=pid_file, log=tmp_path / "log")
    assert processes.recorded(pid_file) == process.pid
    processes.stop(pid_file)
    assert not pid_file.exists()
    assert processes.identity(process.pid) == ""
    process.wait()


def test_a_stranger_who_got_the_pid_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    pid_file = tmp_path / "daemon.pid"
    pid_file.write_text(f"{sleeper.pid} 12345 {processes.boot_id()}\n")
    processes.stop(pid_file)
    assert sleeper.poll() is None
    assert not pid_file.exists()


@pytest.mark.parametrize("text", ["", "\n", "17", "x y z", "-1 2 3"])
def test_a_broken_pid_file_names_nobody(tmp_path: Path, text: str) -> None:
    pid_file = tmp_path / "daemon.pid"
    pid_file.write_text(text)
    assert processes.recorded(pid_file) is None


def test_leftovers_are_told_by_program_and_mark(tmp_path: Path) -> None:
    mark = f"release-lab-test-{os.getpid()}"
    ours = program(tmp_path / mark / "containerd-shim")
    of_another_slot = program(tmp_path / "release-lab-other" / "containerd-shim")
    a_reader = program(tmp_path / mark / "less")
    try:
        processes.stop_leftovers(mark)
        assert ours.poll() is not None
        assert of_another_slot.poll() is None
        assert a_reader.poll() is None
    finally:
        for process in (ours, of_another_slot, a_reader):
            process.kill()
            process.wait()


def program(path: Path) -> subprocess.Popen[bytes]:
    """A running process of that name, which has the path in its command line."""
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("/bin/sleep")
    return subprocess.Popen([path, "60"])


def test_two_runs_have_different_slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with slots.claim() as first, slots.claim() as second:
        names = {(slot.path, slot.mark, slot.bridge, slot.state) for slot in (first, second)}
        assert len(names) == 2
    with slots.claim() as again:
        assert again == first
