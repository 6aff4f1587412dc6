"""The program: what it is told of logins, and how it is run and ended.

Each run gets a folder of its own as DOCKER_CONFIG, with the logins it needs and no others, gone at its end.  Builders
and contexts are those of the user: they are only linked there.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import IO, TYPE_CHECKING, Final

from orchestrator.engines.buildx.failures import unusable_program
from orchestrator.engines.buildx.place import read_settings, user_folder
from orchestrator.engines.logins import server_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.core.credentials import Credentials

_KEPT: Final = ("currentContext", "proxies", "HttpHeaders")  # of the user's config.json
_OURS: Final = "RELEASE_"  # variables of this program, logins among them: nothing for another one
_GRACE: Final = 0.8  # seconds to end by itself
_LOOK: Final = 0.2

_living: set[subprocess.Popen[bytes]] = set()
_lock = Lock()


@contextlib.contextmanager
def private_folder(env: Mapping[str, str], logins: Mapping[str, Credentials]) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder that only this user can read, and the environment for a program that has its settings there.

    `logins` (registry host -> login) are all that it knows.
    """
    user = user_folder(env)
    with tempfile.TemporaryDirectory(prefix="release-buildx-") as name:  # mode 0700
        folder = Path(name)
        values = {key: value for key, value in read_settings(user / "config.json").items() if key in _KEPT}
        values["auths"] = {server_of(host): _entry(login) for host, login in logins.items()}
        descriptor = os.open(folder / "config.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(values, file)
        if (user / "contexts").is_dir():
            (folder / "contexts").symlink_to((user / "contexts").absolute())
        ours = {key: value for key, value in env.items() if not key.startswith(_OURS)}
        if "BUILDX_CONFIG" not in ours and (user / "buildx").is_dir():
            ours["BUILDX_CONFIG"] = str((user / "buildx").absolute())
        yield folder, {**ours, "DOCKER_CONFIG": name}


def _entry(login: Credentials) -> dict[str, str]:
    if login.identity_token:
        return {"identitytoken": login.identity_token}
    return {"auth": base64.b64encode(f"{login.username}:{login.password}".encode()).decode()}


def asked(argv: Sequence[str], env: Mapping[str, str], *, stdin: bytes = b"", timeout: float) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a call that is short; -1 for one that did not end in time."""
    with _process(argv, env, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        try:
            out, error = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            return -1, "", f"no answer in {timeout:g} s"
        return process.returncode, out.decode("utf-8", "replace"), error.decode("utf-8", "replace")


def followed(
    argv: Sequence[str],
    env: Mapping[str, str],
    stdin: IO[bytes],
    take: Callable[[str], object],
    idle: Callable[[], object],
) -> int:
    """Run to the end, giving each line of stderr to `take`; `idle` is called while none comes.  The exit code.

    Whatever `take` and `idle` raise ends the program, as does an interruption.
    """
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    with _process(argv, env, stdout=subprocess.DEVNULL, stdin=stdin) as process:
        Thread(target=_pour, args=(process.stderr, lines), daemon=True).start()
        while True:
            try:
                line = lines.get(timeout=_LOOK)
            except Empty:
                idle()
                continue
            if line is None:
                return process.wait()
            take(line.decode("utf-8", "replace").rstrip("\r\n"))


def _pour(stream: IO[bytes] | None, lines: SimpleQueue[bytes | None]) -> None:
    with contextlib.suppress(ValueError, OSError):  # closed under its feet
        for line in stream or ():
            lines.put(line)
    lines.put(None)


@contextlib.contextmanager
def _process(
    argv: Sequence[str], env: Mapping[str, str], *, stdout: int, stdin: IO[bytes] | int
) -> Iterator[subprocess.Popen[bytes]]:
    """In a process group of its own, which does not outlive the block, nor this program."""
    try:
        process = subprocess.Popen(
            argv, env=dict(env), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise unusable_program(error, argv[0]) from error
    with _lock:
        _living.add(process)
    try:
        yield process
    finally:
        _end(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        with _lock:
            _living.discard(process)


@atexit.register
def _end_all() -> None:
    """Threads of a build end with the program, without their `finally`."""
    for process in list(_living):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, which makes BuildKit stop the steps; then SIGKILL.  Also for what it has started itself."""
    for number, seconds in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
