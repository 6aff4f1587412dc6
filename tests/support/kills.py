"""The command line, killed with SIGKILL at a call of its own functions.

The kill is put in from outside, so that the tool itself has no switch for it.
"""

from __future__ import annotations

import importlib
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.cli import release

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JOURNAL = "orchestrator.session.journal:Journal.append"

calls = 0


def killed_at(cwd: Path, when: str, number: int, names: str, *args: str, env: dict[str, str] | None = None) -> int:
    """Exit status of `release ARGS` that dies `before` or `after` a call; another one when it never comes so far.

    `names` are `MODULE:NAME[,MODULE:NAME]`; calls of all of them are counted together, from 1.
    """
    return release(*args, cwd=cwd, env=env, arm=(f"{__name__}:arm", when, str(number), names)).code


def killed_cut(cwd: Path, when: str, number: int, version: str, env: dict[str, str] | None = None) -> int:
    """Exit status of a cut that dies before or after it has written a record of its journal."""
    return killed_at(cwd, when, number, JOURNAL, "cut", version, "--yes", "-q", env=env)


def arm(when: str, number: str, names: str) -> None:
    """Replace functions, or methods (`module:Class.method`), by those that die at that call."""
    for name in names.split(","):
        module, _, path = name.partition(":")
        owner: Any = importlib.import_module(module)
        *classes, leaf = path.split(".")
        for each in classes:
            owner = getattr(owner, each)
        setattr(owner, leaf, _deadly(getattr(owner, leaf), when, int(number)))


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


def refuse(key: str) -> None:
    """One task of a release, by its key, says no."""
    from orchestrator.core.errors import RemoteError
    from orchestrator.release import steps

    tasks = steps.tasks

    def one_refuses(plan: Any) -> Any:
        def no(_: Any) -> Any:
            raise RemoteError("it is out of order", remedy="run the same command again", code="push-failed")

        return tuple(replace(each, run=no) if each.key == key else each for each in tasks(plan))

    steps.tasks = one_refuses


def impatient() -> None:
    """Registries are waited for a second, not for minutes."""
    from orchestrator.registry.retry import RetryPolicy

    defaults: dict[str, Any] = RetryPolicy.__init__.__kwdefaults__ or {}
    defaults.update(tries=1, read_timeout=1.0, exchange_timeout=1.0)
