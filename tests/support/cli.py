"""Run the command line as a user does: a process of its own, its own environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ran:
    """How a run of `release` ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


def release(*args: str, cwd: Path, env: dict[str, str] | None = None, stdin: str | None = None) -> Ran:
    """`release ARGS` in `cwd`, without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *args],
        cwd=cwd,
        env=clean_env() | (env or {}),
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        timeout=300,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


def clean_env() -> dict[str, str]:
    """The environment of a user who has configured nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELEASE_", "GIT_", "GITHUB_"))}
    kept.pop("CI", None)
    root = str(Path(__file__).parents[2])
    return kept | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "PYTHONPATH": root}
