"""`release` on a pseudo-terminal, and somebody who types."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from typing import TYPE_CHECKING

from tests.support.cli import Forked, clean_env

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 60.0  # seconds for the next word
CTRL_D = "\x04"


class Terminal:
    """A running `release ARGS` whose three streams are a terminal.  `seen` is all that it showed."""

    def __init__(self, *args: str, cwd: Path, env: dict[str, str] | None = None) -> None:
        self._ours, theirs = pty.openpty()
        whole = clean_env() | {"NO_COLOR": "1", "LINES": "40", "COLUMNS": "120"} | (env or {})
        streams = (theirs, os.dup(theirs), os.dup(theirs))
        self._process = Forked(args, cwd=cwd, env=whole, streams=streams, session=True)
        self.seen = ""
        self._answered = 0

    def answer(self, question: str, line: str) -> None:
        """Wait until the question stands there, newer than the last one, then type the line; nothing for ""."""
        deadline = time.monotonic() + _PATIENCE
        while (at := self.seen.find(question, self._answered)) < 0:
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"never asked {question!r}:\n{self.seen}")
        self._answered = at + len(question)
        os.write(self._ours, (line if line in ("", CTRL_D) else f"{line}\n").encode("utf-8", "surrogateescape"))

    def interrupt(self, question: str) -> None:
        """ctrl-C at a question."""
        self.answer(question, "")
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the end; the exit status."""
        deadline = time.monotonic() + _PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.seen
        os.close(self._ours)
        return self._process.wait()

    def _read(self) -> bool:
        """Take what is shown by now; False at the end."""
        if select.select([self._ours], [], [], 0.2)[0]:
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # how Linux tells that nobody holds the other side any more
                return False
            self.seen += data.decode(errors="replace").replace("\r\n", "\n")
            return bool(data)
        return True
