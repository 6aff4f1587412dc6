"""What the program tells people to type, typed: the commands of a remedy run verbatim in a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.cli import clean_env

if TYPE_CHECKING:
    from pathlib import Path

_AFTER = re.compile(r"^.*?\(resolve, then\) +")
_BEGINS = re.compile(r"(?:^|: |`)((?:git|release|cd) [^`]*)")


def commands(remedy: str) -> list[str]:
    """The alternatives that a remedy names, each as one line for a shell; words around them are left out.

    Of a pause that is `cd WORKTREE` and what comes after the resolving, then the other ways out.
    """
    found = []
    for way in remedy.split("   | "):
        where, after = re.match(r"cd \S+", way), _AFTER.match(way)
        if after and where:
            found.append(f"{where[0]} && {way[after.end() :]}")
        elif match := _BEGINS.search(way):
            found.append(re.split(r", then |, or |; |   \(| \(| keeps ", match[1])[0].strip())
    return found


def typed(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as a person types it, with `release` on PATH and no terminal."""
    bin_ = cwd.parent / "bin"
    if not bin_.is_dir():
        bin_.mkdir()
        (bin_ / "release").write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
        (bin_ / "release").chmod(0o755)
    env = clean_env() | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=env, text=True, capture_output=True, check=False, timeout=120
    )
