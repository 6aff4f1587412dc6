"""What a command loads: each library only where it is used, and of our own modules only those that it needs.

Modules are counted, not seconds.  GitPython starts every git of ours, so whatever asks git loads it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import clean_env
from tests.support.story import fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

LIBRARIES = {
    "docker", "git", "gitdb", "github", "gitlab", "requests", "urllib3", "yaml", "rich", "semver", "sqlite3",
}  # fmt: skip
IMAGE = "image:\n  repository: registry.example.com/x\n"

# Command, the libraries that it may load, and how many of our modules; a little room is left above what it is today.
LOADS = [
    (("--version",), "", 1),
    (("--help",), "", 30),
    (("schema",), "semver", 58),
    (("check",), "git gitdb semver sqlite3 yaml", 121),
    (("duplicates",), "git gitdb semver sqlite3 yaml", 89),
    (("log", "main"), "git gitdb semver sqlite3 yaml", 104),
    (("status",), "git gitdb semver yaml", 144),
    (("plan", "v2.7.1"), "git gitdb semver sqlite3 yaml", 195),
]


def loaded(cwd: Path, *command: str) -> set[str]:
    """Every module that a command imports, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orchestrator", *command],
        cwd=cwd, env=clean_env(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    rows = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert done.returncode == 0, [line for line in done.stderr.splitlines() if line not in rows]
    return {row.rpartition("|")[2].strip() for row in rows}


@pytest.mark.wide(8)
@pytest.mark.parametrize(("command", "libraries", "most"), LOADS, ids=[" ".join(row[0]) for row in LOADS])
def test_a_command_loads_what_it_uses(tale: Story, command: tuple[str, ...], libraries: str, most: int) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=IMAGE)
    modules = loaded(tale.clone.path, *command)
    assert "orchestrator" in modules, "the listing is what we think it is"
    assert {name.partition(".")[0] for name in modules} & LIBRARIES <= set(libraries.split())
    own = sorted(name for name in modules if name.partition(".")[0] == "orchestrator")
    assert len(own) <= most, own


def test_a_plan_loads_no_engine_and_no_registry(tale: Story) -> None:
    """It says what would be built, and asks neither."""
    tale.release_yaml(fix_line(tale.fix), extra=IMAGE)
    modules = loaded(tale.clone.path, "plan", "v2.7.1")
    unused = {"engines.docker_engine", "registry.client", "release.declare", "image.smoke", "git.checkout"}
    assert not modules & {*(f"orchestrator.{name}" for name in unused), "ssl", "http.client"}
