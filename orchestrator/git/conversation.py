"""A git that talks to a remote: heard until it ends, and ended when nothing has been heard for too long.

Without a terminal git gets a session of its own, so that what it starts (ssh, remote helpers, hooks, and for a remote
on this machine the server's side) can be ended with it.  With one it stays in ours: ssh asks for passwords there.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import time
from dataclasses import field
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.core.text import word

if TYPE_CHECKING:
    from collections.abc import Callable

_GRACE = 3.0  # seconds that a git gets to clean up after itself
_LAST_WORDS = 3.0  # seconds that a push gets to come to its end when the release is interrupted
_DRAIN = 0.2  # seconds: a helper that stays (ssh's ControlMaster) may keep the pipes of a git that has ended
_STEP = 0.05
# The lines of git's progress: an answer is what is left without them.
_PROGRESS = re.compile(
    r"(?:remote: )?(?:(?:Enumerating|Counting|Compressing|Receiving|Writing|Unpacking|Filtering) (?:objects|content)"
    r"|Resolving deltas|Checking connectivity|Updating files|Finding sources|Delta compression using"
    r"|Total \d+ \(delta|Auto packing)"
)


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a git command ended.  `stdout` is exact bytes; `stderr` is for people."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    def lines(self) -> list[str]:
        return self.text.splitlines()

    def fields(self) -> list[str]:
        """NUL separated answers, without the empty one at the end."""
        return [part.decode("utf-8", "surrogateescape") for part in self.stdout.split(b"\0")[:-1]]


@dataclass(frozen=True, kw_only=True)
class Silence:
    """How many seconds a remote may say nothing, on a push (where a hook of it may be at work) and else; and who
    hears, before that, that it does.
    """

    limit: float = 120.0
    push_limit: float = 300.0
    tell: Callable[[str], object] = field(default=lambda _: None)

    def of(self, command: str) -> float:
        return self.push_limit if command == "push" else self.limit


class Conversation:
    """One git process that talks to `remote`, a name fit to be shown."""

    def __init__(self, process: Any, remote: str, command: str, silence: Silence) -> None:
        self._process = process.proc  # GitPython's wrapper ends it when it is forgotten
        self._wrapper = process
        self._remote = remote
        self._command = command
        self._silence = silence
        self._own = os.getpgid(self._process.pid) == self._process.pid != os.getpgrp()
        self._said = {self._process.stdout.fileno(): bytearray(), self._process.stderr.fileno(): bytearray()}

    def to_its_end(self) -> Output:
        """How it ended.  Raises RemoteError when it says nothing for too long; it is ended then."""
        try:
            self._listen()
        except KeyboardInterrupt:
            if self._command == "push" and any(self._said.values()):  # it may have begun to send: better to know
                self._wait(_LAST_WORDS)
            self._end()
            raise
        except BaseException:
            self._end()
            raise
        finally:
            self._process.stdout.close()
            self._process.stderr.close()
        stdout, stderr = self._said.values()
        return Output(status=self._process.wait(), stdout=bytes(stdout), stderr=_without_progress(bytes(stderr)))

    def _listen(self) -> None:
        limit = self._silence.of(self._command)
        heard, told = time.monotonic(), False
        with selectors.DefaultSelector() as pipes:
            for pipe in self._said:
                pipes.register(pipe, selectors.EVENT_READ)
            while pipes.get_map():
                if self._read(pipes, _DRAIN):
                    heard, told = time.monotonic(), False
                    continue
                silent = time.monotonic() - heard
                if self._process.poll() is not None and silent >= _DRAIN:
                    return
                if silent >= limit:
                    raise self._stalled(limit)
                if silent >= min(15.0, limit / 3) and not told:
                    self._silence.tell(
                        f"waiting for {self._remote}: no word for {silent:.0f} s (given up after {limit:g} s)"
                    )
                    told = True

    def _read(self, pipes: selectors.BaseSelector, timeout: float) -> bool:
        """Whether anything was there, be it the end."""
        ready = pipes.select(timeout)
        for key, _ in ready:
            if data := os.read(key.fd, 65536):
                self._said[key.fd] += data
            else:
                pipes.unregister(key.fd)
        return bool(ready)

    def _stalled(self, limit: float) -> RemoteError:
        is_push = self._command == "push"
        return RemoteError(
            f"git {self._command}: {self._remote} has said nothing for {limit:g} s",
            remedy=f"does it answer? git ls-remote {word(self._remote)}; then run the same command again, "
            f"--{'push' if is_push else 'remote'}-stall SECONDS waits longer",
            code="push-stalled" if is_push else "remote-stalled",
            state="the push was begun: it may be public, or may still arrive" if is_push else "",
        )

    # -------------------------------------------------------------- its end

    def _end(self) -> None:
        """End git, and all that it started where it has a session of its own."""
        self._send(signal.SIGTERM)  # git removes its lock files
        self._wait(_GRACE)
        self._send(signal.SIGKILL)
        self._process.wait()

    def _wait(self, seconds: float) -> None:
        """Until it has ended; it is not reaped, so that its id stays that of its group."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ChildProcessError):
            while os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if time.monotonic() >= deadline:
                    return
                time.sleep(_STEP)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._own:
                os.killpg(self._process.pid, number)
            elif self._process.returncode is None:
                os.kill(self._process.pid, number)


def has_terminal() -> bool:
    """Whether somebody can be asked by what git starts."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _without_progress(said: bytes) -> str:
    lines = (line.rpartition("\r")[2] for line in said.decode("utf-8", "replace").split("\n"))
    return "\n".join(line for line in lines if not _PROGRESS.match(line))
