"""What the lab says (stderr), and how it runs short commands."""

from __future__ import annotations

import subprocess
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TAIL = 30  # lines of a log shown with a failure


class LabError(Exception):
    """An expected failure; the text is what the user reads."""


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


def output(argv: Sequence[str], *, stdin: str = "", timeout: float = 120) -> str:
    """The command's stdout, stripped.  Raises LabError with its stderr when it fails."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise LabError(f"`{' '.join(argv[:3])} …` failed: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()


def succeeds(argv: Sequence[str], *, timeout: float = 60) -> bool:
    """Whether the command exits 0 in time; its output is nobody's."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def logged(
    argv: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, unbroken: bool = False
) -> None:
    """Run a long command with its output appended to `log`.  Raises LabError with the log's tail.

    When the lab is interrupted the command is killed, or, if `unbroken`, waited for.
    """
    with log.open("ab") as file, _start(argv, file, environment) as process:
        try:
            process.wait()
        except BaseException:
            if not unbroken:
                process.kill()
            raise  # `with` waits for its end
    if process.returncode != 0:
        raise LabError(f"`{' '.join(argv[:2])} …` failed with {process.returncode}; end of {log}:\n{tail(log)}")


def _start(argv: Sequence[str], log: IO[bytes], environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,  # ctrl-C reaches the lab alone, which then decides
    )


def tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line}" for line in lines[-TAIL:])
