"""A page of the docs as a reader follows it: its blocks of commands, run in order by one shell."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from tests.support.cli import ROOT, SECONDS, clean_env, program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def blocks(page: str) -> list[str]:
    """What a reader types, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def followed(script: str, place: Path, env: Mapping[str, str]) -> str:
    """What is seen when it is typed in an empty folder, by somebody who has a name; the first failure ends it."""
    home, bin_, work = (place / name for name in ("home", "bin", "work"))
    for folder in (home, bin_, work):
        folder.mkdir(exist_ok=True)
    (home / "gitconfig").write_text("[user]\nname = Mia Maintainer\nemail = mia@example.com\n")
    (bin_ / "release").write_text(f'#!/bin/sh\nexec {program()} "$@"\n')
    (bin_ / "release").chmod(0o755)
    whole = clean_env() | {
        "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=work, env={**whole, **env}, text=True, check=False, timeout=2 * SECONDS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout
