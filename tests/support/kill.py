"""Run the command line and SIGKILL it at one journal record: `kill.py before|after NUMBER ARGS...`.

The kill is put in from outside, so that the tool itself has no switch for it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from orchestrator.__main__ import main
from orchestrator.session import journal


def arm(when: str, number: int) -> None:
    """Replace Journal.append by one that dies at its `number`-th call of this process."""
    append = journal.Journal.append
    calls = 0

    def deadly(self: journal.Journal, kind: str, task: str = "", **body: Any) -> journal.Record:
        nonlocal calls
        calls += 1
        if calls == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        record = append(self, kind, task, **body)
        if calls == number and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    journal.Journal.append = deadly  # type: ignore[method-assign]  # this is the point


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    main()
