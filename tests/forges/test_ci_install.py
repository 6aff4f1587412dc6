"""How a job of the pipelines gets the tool, and that nothing which a branch brings is run."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pip
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from orchestrator.core.errors import UsageError
from orchestrator.forges.ci import install_from
from orchestrator.forges.pipelines.table import PIPELINES
from tests.forges.pipeline_runs import FILES, checkout, declare, init, made, scripts
from tests.forges.test_ci import ROOT
from tests.support.cli import clean_env, release

if TYPE_CHECKING:
    from tests.support.story import Repo, Story

pytestmark = pytest.mark.hostile
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


MODULES = (
    "pip", "venv", "ensurepip", "setuptools", "site", "sitecustomize", "usercustomize", "json", "typing", "subprocess",
    "probe", "orchestrator", "typer",
)  # fmt: skip


PROBE = "import pathlib, sys\ndef main():\n    pathlib.Path(LOG).open('a').write(' '.join(sys.argv[1:]) + '\\n')\n"


def plant(repo: Repo, log: Path) -> None:
    """Everything that a Python or a shell, started there without care, would run; each writes that it ran."""
    cry = f"import pathlib; pathlib.Path({str(log)!r}).open('a').write('planted: ' + __file__ + '\\n')\n"
    files: dict[str, str | bytes | None] = {f"{name}/__init__.py": cry for name in MODULES}
    files |= {f"{name}/__main__.py": cry for name in MODULES}
    for name in ("git", "python3", "pip", "release", "bin/git", "bin/python3", "bin/release"):
        path = name if "/" in name else f"tools/{name}"
        files[path] = f"#!/bin/sh\necho planted: {name} >>{log}\n"
    files["pyvenv.cfg"] = "home = /nowhere\n"
    repo.commit("chore: harmless", files)


def wheel(folder: Path, log: Path) -> Path:
    """A package with the command `release`, which notes what it was asked."""
    info = "probe-1.0.dist-info"
    members = {
        "probe.py": PROBE.replace("LOG", repr(str(log))),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nrelease = probe:main\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    path = folder / "probe-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as out:
        for name, text in members.items():
            out.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with pip, as a runner has it: what is installed goes there.  The pip is a copy of this Python's."""
    home = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(home)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    shutil.copytree(Path(pip.__file__).parent, packages / "pip")
    return home / "bin"


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", FILES)
def test_nothing_that_a_branch_brings_is_run(tale: Story, tmp_path: Path, provider: str, fresh_python: Path) -> None:
    """The installation and the plan job, whole, on the checkout of a pull request that brings a folder `pip`."""
    declare(tale)
    log = tmp_path / "log"
    options = "--quiet --no-index --disable-pip-version-check --force-reinstall"
    install = f"python3 -I -m pip install {options} {wheel(tmp_path, log)}"
    text = init(tale, provider, "--install", install).out
    tale.clone.git("checkout", "--quiet", "-b", "harmless")
    plant(tale.clone, log)
    tale.clone.git("push", "--quiet", "origin", "harmless")
    ci = checkout(tale, tmp_path / "ci", "origin/harmless")
    for name in ("runner", "ci@tmp"):
        (tmp_path / name).mkdir()
    path = f"{fresh_python}{os.pathsep}{os.environ['PATH']}"
    env = {
        **clean_env(), "RUNNER_TEMP": str(tmp_path / "runner"), "CI_PROJECT_DIR": str(ci.path),
        "WORKSPACE": str(ci.path), "WORKSPACE_TMP": str(tmp_path / "ci@tmp"), "PATH": path,
        "BASE": ci.rev("origin/main"), "CI_MERGE_REQUEST_DIFF_BASE_SHA": ci.rev("origin/main"), "CHANGE_TARGET": "main",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }  # fmt: skip
    env.pop("PYTHONPATH")
    if provider == "jenkins":
        env["PATH"] = f"{ci.path}/.git/release-venv/bin:{path}"
    for script in scripts(provider, text, "release-plan", install=True):
        done = subprocess.run(["bash", "-c", script], cwd=ci.path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_text().splitlines()[0] == "check"
    assert "planted" not in log.read_text()
    careless = ["bash", "-c", "python3 -m pip --version"]  # the trap is one
    subprocess.run(careless, cwd=ci.path, env=env, capture_output=True, check=False)
    assert "planted" in log.read_text()


def test_every_python_of_a_pipeline_is_alone_and_outside_of_the_checkout() -> None:
    for provider in FILES:
        text = made(provider, image=True)
        started = [
            line.strip() for line in text.splitlines() if "python3 " in line and not line.startswith(("#", "//"))
        ]
        assert started
        assert all(line.count("python3 ") == line.count("python3 -I ") for line in started), started


@pytest.mark.parametrize(
    ("direct_url", "expected"),
    [
        ({"url": "https://git.example.com/a/release.git", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}},
         f"https://git.example.com/a/release.git@{'a' * 40}"),
        ({"url": "https://me:secret@git.example.com/a", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}},
         f"https://git.example.com/a@{'a' * 40}"),
        ({"url": "file:///home/me/release", "dir_info": {"editable": True}}, ""),
        ({"url": "file:///home/me/release", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}, ""),
        ({"url": "https://git.example.com/a", "vcs_info": {"vcs": "git", "commit_id": "main"}}, ""),
        ({"url": "https://git.example.com/'; id", "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}, ""),
        ({"url": 7, "vcs_info": 7}, ""),
        ([], ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_job_installs_the_commit_that_this_copy_comes_from(direct_url: object, expected: str) -> None:
    """PEP 610.  A name on a package index is never taken: whoever registers it would run with the job's rights."""
    source = json.dumps(direct_url) if direct_url != "" else ""
    if expected:
        for module in PIPELINES.values():
            *python, requirement = shlex.split(install_from(source, module.EXTRAS))
            wanted = Requirement(requirement)
            assert (python, wanted.url) == (["python3", "-I", "-m", "pip", "install"], f"git+{expected}")
            assert canonicalize_name(wanted.name) == canonicalize_name(PROJECT["name"])
            assert wanted.extras == set(module.EXTRAS) <= set(PROJECT["optional-dependencies"])
        return
    with pytest.raises(UsageError) as refused:
        install_from(source, ["github"])
    assert (refused.value.code, "--install" in refused.value.remedy) == ("no-install", True)


def test_without_a_commit_to_install_the_command_asks_for_one(tale: Story) -> None:
    declare(tale)
    ran = release("ci", "init", "--provider", "github", "--write", cwd=tale.clone.path)  # this copy is a work tree
    assert (ran.code, "[no-install]" in ran.err) == (2, True), ran.err
    assert not (tale.clone.path / FILES["github"]).exists()
