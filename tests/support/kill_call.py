"""Run the command line and SIGKILL it at a call: `kill_call.py before|after NUMBER MODULE:NAME[,MODULE:NAME] ARGS...`.

Calls of all the named functions are counted together.  The kill is put in from outside, as in tests/support/kill.py.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

calls = 0


def killed_at(cwd: Path, env: dict[str, str], when: str, number: int, names: str, *args: str) -> int:
    """Exit status of `release ARGS` that dies there; 0 or an exit code when it never came so far."""
    command = [sys.executable, str(Path(__file__)), when, str(number), names, *args]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False, timeout=120).returncode


def arm(when: str, number: int, name: str) -> None:
    """Replace a function, or a method (`module:Class.method`), by one that dies at that call."""
    module, _, path = name.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, leaf = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    setattr(owner, leaf, _deadly(getattr(owner, leaf), when, number))


def _deadly(function: Callable[..., Any], when: str, number: int) -> Callable[..., Any]:
    def deadly(*args: Any, **kwargs: Any) -> Any:
        global calls  # one count for all of them, in a process made for it
        calls += 1
        mine = calls == number
        if mine and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if mine and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return deadly


if __name__ == "__main__":
    for each in sys.argv[3].split(","):
        arm(sys.argv[1], int(sys.argv[2]), each)
    sys.argv[1:] = sys.argv[4:]
    from orchestrator.__main__ import main

    main()
