"""The shell steps of the pipelines of `release ci init`, run on a sandbox."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.forges.pipeline_runs import FILES, KEYS, REGISTRIES, checkout, declare, init, made, run_job, scripts
from tests.forges.test_ci import BIN
from tests.support.cli import release
from tests.support.forge_repo import ForgeRepo
from tests.support.story import fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", FILES)
def test_the_plan_job_on_a_pull_request(tale: Story, tmp_path: Path, provider: str) -> None:
    declare(tale)
    text = init(tale, provider).out
    tale.clone.git("checkout", "--quiet", "-b", "declare")
    tale.clone.commit("chore: declare v2.7.1", {"release.yaml": (tale.clone.path / "release.yaml").read_text()})
    tale.clone.git("push", "--quiet", "origin", "declare")
    ci = checkout(tale, tmp_path / "ci", "origin/declare")
    base, page = ci.rev("origin/main"), tmp_path / "summary.md"
    env = {
        "GITHUB_STEP_SUMMARY": str(page), "GITHUB_ACTIONS": "true" if provider == "github" else "",
        "BASE": base, "CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "CHANGE_TARGET": "main",
        "GIT_COMMITTER_NAME": "release-plan", "GIT_COMMITTER_EMAIL": "release-plan@localhost",
    }  # fmt: skip
    status, log = run_job(provider, text, "release-plan", ci.path, env)
    assert status == 0, log
    made = (page if provider == "github" else ci.path / "release-plan.md").read_text()
    assert "it can be cut" in made
    assert "`fix(loader): close the workers`" in made
    ci.write("release.yaml", (ci.path / "release.yaml").read_text().replace(tale.fix, "0" * 40))
    status, log = run_job(provider, text, "release-plan", ci.path, env)
    assert status != 0
    assert ("::error file=release.yaml,line=" in log) == (provider == "github")


@pytest.mark.wide(3)
@pytest.mark.parametrize("provider", FILES)
def test_the_publish_job_on_a_tag(tale: Story, tmp_path: Path, provider: str) -> None:
    declare(tale)
    text = init(tale, provider).out
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 0
    ci = checkout(tale, tmp_path / "ci", "v2.7.1")
    ci.git("update-ref", "refs/tags/v2.7.1", ci.rev("v2.7.1^{commit}"))  # peeled, as actions/checkout leaves it
    if provider == "jenkins":
        ci.git("fetch", "--force", "origin", "+refs/tags/*:refs/tags/*")
    outputs, page = tmp_path / "outputs", tmp_path / "summary.md"
    env = {
        "GITHUB_REF_TYPE": "tag" if provider == "github" else "", "GITHUB_REF_NAME": "v2.7.1",
        "GITHUB_OUTPUT": str(outputs) if provider == "github" else "", "GITHUB_STEP_SUMMARY": "",
        "CI_COMMIT_TAG": "v2.7.1", "TAG_NAME": "v2.7.1",
        "CI_SERVER_URL": f"file://{tale.remote.path.parent}", "CI_PROJECT_PATH": "remote", "RELEASE_PUSH_TOKEN": "t",
        "TAG": "v2.7.1",
    }  # fmt: skip
    if provider == "github":
        env["GITHUB_STEP_SUMMARY"] = str(page)
    status, log = run_job(provider, text, "release-publish", ci.path, env)
    assert status == 0, log
    if provider != "github":
        outputs, page = ci.path / "release.env", ci.path / "release-summary.md"
    values = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert tuple(values) == KEYS
    assert (values["tag"], values["previous_version"]) == ("v2.7.1", "v2.7.0")
    assert values["commit_sha"] == tale.remote.rev("release/v2.7")
    assert "`fix(loader): close the workers`" in page.read_text()
    assert "ok       tag: annotated" in log  # the job proves what it found, also where the cut has made all
    assert "fix(loader): close the workers" in (ci.path / "release-report.html").read_text()


@pytest.mark.wide
@pytest.mark.parametrize("provider", FILES)
def test_the_job_of_what_landed_tags_and_publishes_it(tale: Story, tmp_path: Path, provider: str) -> None:
    """On each push to a release branch; where nothing waits for it, there is nothing to do."""
    tale.release_yaml(fix_line(tale.fix), extra="land: pull-request\n")
    text = init(tale, provider).out
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 10
    ci = checkout(tale, tmp_path / "ci", "origin/release/v2.7")
    (ci.path / "release.yaml").write_bytes((tale.clone.path / "release.yaml").read_bytes())
    env = {
        "GIT_COMMITTER_NAME": "CI", "GIT_COMMITTER_EMAIL": "ci@example.com", "RELEASE_PUSH_TOKEN": "t",
        "CI_SERVER_URL": f"file://{tale.remote.path.parent}", "CI_PROJECT_PATH": "remote",
    }  # fmt: skip
    status, log = run_job(provider, text, "release-landed", ci.path, env)
    assert (status, "nothing to publish" in log) == (0, True), log
    ForgeRepo.of(tale, tmp_path / "forge").merge("release-candidate/v2.7.1", "squash")
    for said in ("v2.7.1 is released", "nothing to publish"):
        status, log = run_job(provider, text, "release-landed", ci.path, env)
        assert (status, said in log) == (0, True), log
    assert tale.remote.rev("v2.7.1^{commit}") == tale.remote.rev("release/v2.7")
    assert "release-landed" not in made(provider, image=True)
    for more in ("", "  platforms: [linux/amd64]\n"):
        text = f"land: pull-request\nimage:\n  repository: registry.example.com/x\n  built-by: cut\n{more}"
        assert "release-landed" not in made(provider, image=False, more=text)


@pytest.mark.wide
@pytest.mark.parametrize("provider", FILES)
def test_the_audit_job_on_a_release_branch(tale: Story, tmp_path: Path, provider: str) -> None:
    declare(tale)
    text = init(tale, provider).out
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 0
    ci = checkout(tale, tmp_path / "ci", "origin/release/v2.7")
    status, log = run_job(provider, text, "release-audit", ci.path, {})
    assert status == 0, log


@pytest.mark.parametrize("provider", FILES)
def test_shellcheck_finds_nothing_in_the_steps(tmp_path: Path, provider: str) -> None:
    files = []
    asked: dict[str, Any] = {} if provider == "jenkins" else {"comment": True}
    for image in ("", *REGISTRIES.values()):
        text = made(provider, image=image or False, cut=True, more="land: pull-request\n", **asked)
        for job in ("plan", "audit", "publish", "landed", "cut", *asked):
            for number, script in enumerate(scripts(provider, text, f"release-{job}")):
                files.append(tmp_path / f"{image}-{job}-{number}.sh")
                files[-1].write_text(script)
    assert len(files) >= 6
    # SC2016: the credential helper's text is for git's shell to expand
    mute = ["--exclude=SC2016"] if provider != "github" else []
    command: list[str | Path] = [BIN / "shellcheck", "--shell=bash", *mute, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
