"""Run the command line as a user does: a process of its own, its own environment."""

from __future__ import annotations

import json
import os
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
SECONDS = 300  # a run that is silent for so long hangs
# What Python, the C library and GitPython look at when they are loaded, and not again; of PATH, which git it finds.
_AT_START = ("LANG", "LC_", "LD_", "PYTHON", "GIT_PYTHON_")


@dataclass(frozen=True)
class Ran:
    """How a run of `release` ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


def release(*args: str, cwd: Path, env: dict[str, str] | None = None, stdin: str = "", arm: Sequence[str] = ()) -> Ran:
    """`release ARGS` in `cwd`, without a terminal; `arm` is `module:function` and its arguments, called before.

    The process is forked from one that has loaded the program (tests/support/prepared.py) unless it wants something
    else of what is read at the start.
    """
    whole = clean_env() | (env or {})
    if not arm and _at_start(whole) != _prepared().at_start:
        return started(*args, cwd=cwd, env=whole, stdin=stdin)
    ours, theirs = zip(*(os.pipe() for _ in range(3)), strict=True)
    (read_in, *reading), (write_in, *writing) = ours, theirs
    process = Forked(args, cwd=cwd, env=whole, streams=(read_in, *writing), arm=arm)
    try:
        out, err = _communicate(write_in, stdin.encode(), reading)
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
        raise
    return Ran(code=process.wait(), out=out, err=err)


def started(*args: str, cwd: Path, env: dict[str, str], stdin: str = "") -> Ran:
    """`release ARGS` by a Python of its own, as a user starts it; `env` is the whole environment."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *args],
        cwd=cwd,
        env=env,
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        timeout=SECONDS,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


def clean_env() -> dict[str, str]:
    """The environment of a user who has configured nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELEASE_", "GIT_", "GITHUB_"))}
    kept.pop("CI", None)
    return kept | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "PYTHONPATH": str(ROOT)}


def program() -> str:
    """What a shell types for `release` of the prepared process: tests/support/forked.py."""
    return shlex.join([sys.executable, "-I", "-S", str(ROOT / "tests/support/forked.py"), str(_prepared().path)])


class Forked:
    """A run of `release ARGS` forked from the prepared process, which gets the `streams`; they are closed here."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        cwd: Path,
        env: dict[str, str],
        streams: Sequence[int],
        arm: Sequence[str] = (),
        session: bool = False,
    ) -> None:
        request = {"args": args, "cwd": str(cwd), "env": env, "arm": arm, "session": session}
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(SECONDS)
        self._connection.connect(str(_prepared().path))
        socket.send_fds(self._connection, [b" "], streams)
        self._connection.sendall(json.dumps(request).encode())
        self._connection.shutdown(socket.SHUT_WR)
        for number in streams:
            os.close(number)
        self.pid = self._number()

    def wait(self) -> int:
        """The exit status; minus the signal that ended it."""
        with self._connection:
            return self._number()

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def _number(self) -> int:
        data = self._connection.recv(4, socket.MSG_WAITALL)
        assert len(data) == 4, "the process that forks has gone"
        return int.from_bytes(data, signed=True)


class _Prepared:
    """The process that forks; it has `at_start` of its environment, and ends with this one."""

    def __init__(self) -> None:
        env = clean_env()
        self.at_start = _at_start(env)
        self.path = Path(tempfile.mkdtemp(prefix="prepared-", dir="/tmp")) / "socket"  # short: a path of 107 bytes
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.prepared", str(self.path)],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        assert self._process.stdout.readline() == b"ready\n"

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()
        shutil.rmtree(self.path.parent)


@cache
def _prepared() -> _Prepared:
    return _Prepared()


def end_prepared() -> None:
    """End the process that forks, if there is one."""
    if _prepared.cache_info().currsize:
        _prepared().end()
        _prepared.cache_clear()


def _at_start(env: dict[str, str]) -> dict[str, str]:
    git = shutil.which("git", path=env.get("PATH", "")) or ""
    return {name: value for name, value in env.items() if name.startswith(_AT_START)} | {"git": git}


def _communicate(write_in: int, data: bytes, reading: Sequence[int]) -> list[str]:
    """Write all of it, read all to their ends, close everything."""
    got = dict.fromkeys(reading, b"")
    os.set_blocking(write_in, False)
    with selectors.DefaultSelector() as selector:
        selector.register(write_in, selectors.EVENT_WRITE)
        for number in reading:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(SECONDS)
            if not ready:
                raise TimeoutError("the command line hangs")
            for key, _ in ready:
                if key.fd == write_in:
                    data = _write(write_in, data)
                    ended = not data
                else:
                    got[key.fd] += (part := os.read(key.fd, 1 << 16))
                    ended = not part
                if ended:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    return [each.decode().replace("\r\n", "\n").replace("\r", "\n") for each in got.values()]


def _write(number: int, data: bytes) -> bytes:
    """What is left to write; nothing, when nobody reads it."""
    try:
        return data[os.write(number, data) :]
    except BrokenPipeError:
        return b""
