"""The project's own GitHub Action, its steps run as shells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.cli import clean_env, release
from tests.support.story import Repo, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
INSTALL, RUN = ACTION["runs"]["steps"]


def given(step: dict[str, Any], inputs: dict[str, str]) -> dict[str, str]:
    """The step's environment, with the inputs as GitHub puts them in."""
    whole = {name: each.get("default", "") for name, each in ACTION["inputs"].items()} | inputs
    found = {}
    for name, value in step.get("env", {}).items():
        (asked,) = re.fullmatch(r"\$\{\{ inputs\.([a-z-]+) \}\}", value).groups()  # type: ignore[union-attr]
        found[name] = whole[asked]
    return found


def run(step: dict[str, Any], temp: Path, cwd: Path, env: dict[str, str], **inputs: str) -> tuple[int, str]:
    """A step as GitHub runs one with `shell: bash`."""
    whole = clean_env() | {"RUNNER_TEMP": str(temp), "GITHUB_ACTION_PATH": str(ROOT), "CI": "true"} | env
    whole |= given(step, {name.replace("_", "-"): value for name, value in inputs.items()})
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(shell, cwd=cwd, env=whole, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def shim(temp: Path, script: str) -> None:
    path = temp / "release-venv/bin/release"
    path.parent.mkdir(parents=True)
    path.write_text(script)
    path.chmod(0o755)


@pytest.mark.wide
def test_publish_by_the_action_on_a_tag(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 0
    Repo(tmp_path).git("clone", "--quiet", str(tale.remote.path), str(tmp_path / "ci"))
    shim(tmp_path / "temp", f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    outputs = tmp_path / "outputs"
    env = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v2.7.1", "GITHUB_OUTPUT": str(outputs)}
    status, log = run(RUN, tmp_path / "temp", tmp_path / "ci", env, command="publish")
    assert status == 0, log
    values = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert list(values) == list(ACTION["outputs"])
    for name, each in ACTION["outputs"].items():
        assert each["value"] == f"${{{{ steps.release.outputs.{name} }}}}"
    status, log = run(RUN, tmp_path / "temp", tmp_path / "ci", {}, command="show", version="v2.7.1")
    assert (status, "v2.7.1" in log) == (0, True)
    status, log = run(RUN, tmp_path / "temp", tmp_path / "ci", {}, command="show", version="v9.9.9")
    assert status == 2, log


def test_what_an_input_holds_is_no_shell(tmp_path: Path) -> None:
    shim(tmp_path, '#!/bin/sh\nprintf "[%s]" "$@"\ncat\n')
    status, log = run(
        RUN, tmp_path, tmp_path, {}, command="publish $(id) --quiet", version="--help; id", config="a b.yaml",
        registry_password="p'$(id)",
    )  # fmt: skip
    assert (status, log) == (
        0,
        "[publish][$(id)][--quiet][--config][a b.yaml][--password-stdin][--][--help; id]p'$(id)",
    )
    assert not [step for step in ACTION["runs"]["steps"] if "${{" in step["run"]]


def test_zizmor_finds_nothing() -> None:
    command: list[str | Path] = [BIN / "zizmor", "--offline", "--no-progress", ROOT / "action.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.wide
def test_the_installation_itself(tmp_path: Path) -> None:
    """From the package index, in a folder that brings a `pip` of its own."""
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip/__main__.py").write_text("raise SystemExit('planted')\n")
    status, log = run(INSTALL, tmp_path, tmp_path, {"PATH": os.environ["PATH"]})
    assert status == 0, log
    status, log = run(RUN, tmp_path, tmp_path, {}, command="--version")
    assert (status, log.startswith("release ")) == (0, True)
