"""What the tests of pipelines share: a project, the file that `ci init` writes for it, and its jobs, run."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from orchestrator.config.reader import parse
from orchestrator.forges.ci import PipelineWish, pipeline_of, text_of
from tests.support.cli import Ran, clean_env, program, release
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

FILES = {"github": ".github/workflows/release.yml", "gitlab": ".gitlab-ci.yml", "jenkins": "Jenkinsfile"}
IMAGE = "image:\n  repository: registry.example.com/x\n"
INSTALL = "python3 -I -m pip install 'git+https://git.example.com/release@COMMIT'"
REGISTRIES = {
    "password": "registry.example.com",
    "job": "ghcr.io",
    "aws": "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "gcp": "europe-docker.pkg.dev",
    "azure": "acme.azurecr.io",
}


KEYS = ("released", "version", "tag", "commit_sha", "previous_version", "image", "digest")


def declare(tale: Story, *, image: bool = False) -> None:
    fix = f"      - commit: {tale.fix}\n        reason: leak"
    tale.release_yaml(fix, extra=IMAGE if image else "")


def init(tale: Story, provider: str, *args: str) -> Ran:
    given = () if "--install" in args else ("--install", INSTALL)
    return release("ci", "init", "--provider", provider, *given, *args, cwd=tale.clone.path)


def made(provider: str, *, image: bool | str, more: str = "", **asked: Any) -> str:
    """The file, without a process; `image` may be the registry that it is in."""
    text = "version: 1\nbranch: release/v2.7\nsource: main\nreleases: {}\n" + (IMAGE if image else "") + more
    text = text.replace("registry.example.com", image) if isinstance(image, str) else text
    config = parse(text.encode(), "release.yaml")
    wish = PipelineWish(provider=provider, install="" if "tool_image" in asked else INSTALL, **asked)
    pipeline = pipeline_of(config, wish, config_path="deploy/release.yaml", branches="release/*", tags=["v2.7.0"])
    return text_of(pipeline, wish)


FIXES = "forge-release: {comment-on-fixes: true}\n"
BOTH = "image:\n  repository: registry.example.com/x\n  platforms: [linux/amd64, linux/arm64]\n"


def scripts(provider: str, text: str, job: str, *, install: bool = False) -> list[str]:
    """The shell of one job, as its runner would start it; the installation of the tool only where it is wanted."""
    if provider == "jenkins":
        found = stage_scripts(text, "install") if install else []
        return [f"set -e\n{each}" for each in [*found, *stage_scripts(text, job)]]
    jobs: dict[str, Any] = yaml.safe_load(text)
    if provider == "github":
        steps = [
            step for step in jobs["jobs"][job]["steps"] if "run" in step and (install or step["name"] != "install")
        ]
        place = "cd ${{ runner.temp }}\n".replace("${{ runner.temp }}", '"$RUNNER_TEMP"')
        return [f"set -eo pipefail\n{place if 'working-directory' in step else ''}{step['run']}" for step in steps]
    lines = jobs[".release"]["before_script"][0 if install else 1 :] + jobs[job]["script"]
    return ["set -eo pipefail\n" + "\n".join(lines)]


def stage_scripts(text: str, stage: str) -> list[str]:
    part = text[text.index(f"stage('{stage}')") :].partition("\n    stage(")[0]
    return [a or b for a, b in re.findall(r"sh (?:'''(.*?)'''|'([^'\n]*)')", part, re.DOTALL)]


def run_job(provider: str, text: str, job: str, cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run a job's steps with `release` on PATH, until one fails."""
    shims = cwd.parent / "bin"
    shims.mkdir(exist_ok=True)
    (shims / "release").write_text(f'#!/bin/sh\nexec {program()} "$@"\n')
    (shims / "release").chmod(0o755)
    whole = clean_env() | {"PATH": f"{shims}:{os.environ['PATH']}", "CI": "true"} | env
    log = ""
    for script in scripts(provider, text, job):
        done = subprocess.run(["bash", "-c", script], cwd=cwd, env=whole, capture_output=True, text=True, check=False)
        log += done.stdout + done.stderr
        if done.returncode:
            return done.returncode, log
    return 0, log


def checkout(tale: Story, path: Path, ref: str) -> Repo:
    """A clone as a CI has it."""
    Repo(path.parent).git("clone", "--quiet", str(tale.remote.path), str(path))
    repo = Repo(path)
    repo.git("checkout", "--quiet", "--detach", ref)
    return repo
