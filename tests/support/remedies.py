"""What the program tells people to type, typed: the commands of a remedy run verbatim in a shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

from tests.support.cli import clean_env, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Ran

TYPED: list[str] = []  # every line that was typed since somebody emptied it

_AFTER = re.compile(r"^.*?\(resolve it there, then\) +")
_BEGINS = re.compile(r"(?:^|: |`)((?:git|release|cd) [^`]*)")


def commands(remedy: str) -> list[str]:
    """The alternatives that a remedy names, each as one line for a shell; words around them are left out.

    Of a pause that is `cd WORKTREE` and what comes after the resolving, then the other ways out.
    """
    remedy = re.sub(r"\n {6,}", "   ", re.sub(r"\n +or: ", "   | ", remedy))  # as it was before it was shown
    found = []
    for way in remedy.split("   | "):
        where, after = re.match(r"cd \S+", way), _AFTER.match(way)
        if after and where:
            found.append(f"{where[0]} && {way[after.end() :]}")
        elif match := _BEGINS.search(way):
            found.append(re.split(r", then |, or |; |   \(| \(| keeps ", match[1])[0].strip())
    return found


def told(text: str) -> list[str]:
    """What the errors of a run say to do: each with all its lines."""
    return re.findall(r"^  do: (.*(?:\n(?:  or: | {6}).*)*)", text, re.MULTILINE)


def typed(command: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line as a person types it, with `release` on PATH and no terminal."""
    TYPED.append(command)
    bin_ = cwd.parent / "bin"
    if not bin_.is_dir():
        bin_.mkdir()
        (bin_ / "release").write_text(f'#!/bin/sh\nexec {program()} "$@"\n')
        (bin_ / "release").chmod(0o755)
    whole = clean_env() | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"} | (env or {})
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=whole, text=True, capture_output=True, check=False, timeout=120
    )


def said(ran: Ran, start: str) -> str:
    """The command in the output of a run that begins so, without the words behind it."""
    text = ran.out + ran.err
    if text.startswith("{"):
        text = ran.err + "\n".join(_strings(json.loads(ran.out)))
    at = text.find(start)
    assert at >= 0, f"{start!r} is not in {text}"
    line = text[at:].partition("\n")[0].partition("`")[0]
    return re.split(r", then\b|, or\b|; |   \(|   \| | \(|, and |: ", line)[0].strip().rstrip(",;")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def works(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Type it; it must succeed."""
    done = typed(command, cwd)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done
