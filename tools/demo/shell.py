"""Commands of the demo: echoed as a person would type them, or quiet."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class DemoError(Exception):
    """The story did not go as it should; the text is what the user reads."""


def heading(text: str) -> None:
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def note(text: str) -> None:
    print(f"   {text}", flush=True)


@dataclass
class Shell:
    """A folder and an environment to run commands in.  `seconds` collects what the summary shows."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def show(self, *argv: str) -> float:
        """Echo the command, run it with its output in sight; the answer is its seconds."""
        print(f"$ {' '.join(argv)}", flush=True)
        started = time.monotonic()
        try:
            done = subprocess.run(argv, cwd=self.folder, env=os.environ | dict(self.environment), check=False)
        except FileNotFoundError as error:
            raise DemoError(f"{argv[0]} is not installed") from error
        if done.returncode != 0:
            raise DemoError(f"`{' '.join(argv)}` exited {done.returncode}")
        return time.monotonic() - started

    def quiet(self, *argv: str, stdin: bytes = b"", more: Mapping[str, str] | None = None) -> str:
        """Run the command; its stdout.  On failure DemoError has the end of what it said."""
        environment = os.environ | dict(self.environment) | dict(more or {})
        done = subprocess.run(argv, cwd=self.folder, env=environment, input=stdin, capture_output=True, check=False)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()[-3000:]
            raise DemoError(f"`{' '.join(argv[:3])} …` exited {done.returncode}:\n{said}")
        return done.stdout.decode(errors="replace").strip()
