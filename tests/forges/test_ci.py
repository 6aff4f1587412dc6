"""The pipelines of `release ci init`: valid by the published schemas, and their shell steps run on a sandbox."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from orchestrator.config.reader import parse
from orchestrator.core.errors import UsageError
from orchestrator.core.text import code
from orchestrator.forges.ci import PipelineWish, install_from, pipeline_of, text_of
from orchestrator.forges.pipelines.table import PIPELINES
from tests.support.cli import Ran, clean_env, program, release
from tests.support.forge_repo import ForgeRepo
from tests.support.story import Repo, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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


@pytest.mark.wide(2)
@pytest.mark.parametrize("provider", ["github", "gitlab"])
def test_valid_by_the_published_schema(tmp_path: Path, provider: str) -> None:
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[provider]
    tags = [] if provider == "github" else ["--data-transform", "gitlab-ci"]
    files = [tmp_path / f"{name}.yml" for name in ("wrong", "none", "platforms", "comment", *REGISTRIES)]
    for file in files:
        image = REGISTRIES.get(file.stem, False)
        file.write_text(made(provider, image=image, cut=bool(image), more="land: pull-request\n" if image else ""))
    files[0].write_text(files[1].read_text().replace("timeout", "timeoot"))
    files[2].write_text(made(provider, image=False, more=BOTH))
    files[3].write_text(made(provider, image=True, comment=True, more=FIXES))
    command: list[str | Path] = [BIN / "check-jsonschema", "--builtin-schema", schema, *tags, "--output-format", "json"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert {error["filename"] for error in json.loads(done.stdout)["errors"]} == {str(files[0])}, done.stdout


FIXES = "forge-release: {comment-on-fixes: true}\n"
BOTH = "image:\n  repository: registry.example.com/x\n  platforms: [linux/amd64, linux/arm64]\n"


def test_a_job_for_each_platform_on_a_machine_of_its_kind() -> None:
    hub_text, lab_text = made("github", image=False, more=BOTH), made("gitlab", image=False, more=BOTH)
    job: dict[str, Any] = yaml.safe_load(hub_text)["jobs"]["release-publish"]
    assert job["strategy"]["matrix"]["include"] == [
        {"platform": "linux/amd64", "runner": "ubuntu-24.04"},
        {"platform": "linux/arm64", "runner": "ubuntu-24.04-arm"},
    ]
    assert (job["runs-on"], job["concurrency"]["group"]) == (
        "${{ matrix.runner }}",
        "release-publish-${{ matrix.runner }}",
    )
    (publish,) = (step for step in job["steps"] if step.get("name") == "publish")
    assert publish["env"]["RELEASE_CLI_PLATFORM"] == "${{ matrix.platform }}"
    other: dict[str, Any] = yaml.safe_load(lab_text)["release-publish"]
    assert [row["RELEASE_CLI_PLATFORM"] for row in other["parallel"]["matrix"]] == ["linux/amd64", "linux/arm64"]
    assert other["resource_group"] == "release-publish-$RELEASE_RUNNER"
    for text in (hub_text, lab_text):
        assert not re.findall("@[A-Z_]+@", text)
    proposed = f"land: pull-request\n{BOTH}"
    landed: dict[str, Any] = yaml.safe_load(made("github", image=False, more=proposed))["jobs"]["release-landed"]
    assert landed["strategy"] == job["strategy"]
    assert landed["concurrency"]["group"] == "release-landed-${{ matrix.runner }}"
    (step,) = (step for step in landed["steps"] if step.get("name") == "landed")
    assert (step["env"]["RELEASE_CLI_PLATFORM"], "--landed" in step["run"]) == ("${{ matrix.platform }}", True)
    there: dict[str, Any] = yaml.safe_load(made("gitlab", image=False, more=proposed))["release-landed"]
    assert (there["parallel"], there["tags"]) == (other["parallel"], other["tags"])
    mixed = f"{BOTH}  variants: [{{name: cu126}}, {{name: cu118, platform: linux/amd64}}]\n"
    assert "matrix" not in made("github", image=False, more=mixed)
    assert "matrix" not in made("jenkins", image=False, more=mixed)
    jenkins = made("jenkins", image=False, more=BOTH)
    assert not re.findall("@[A-Z_]+@", jenkins)
    assert "values 'linux-amd64', 'linux-arm64'\n" in jenkins
    assert 'label "${RELEASE_AGENT}"' in jenkins
    publish = jenkins[jenkins.index("stage('release-publish-platform')") :]
    assert publish.index("git fetch") < publish.index("pip install") < publish.index("release publish")  # on its agent
    assert 'RELEASE_CLI_PLATFORM="$(printf %s "$RELEASE_AGENT" | tr - /)" release publish' in publish
    assert 'lock("release-publish-${RELEASE_AGENT}")' in publish
    assert "'release-*.env, release-summary-*.md, release-report.html'" in publish  # of each agent, none over another


def workflows(folder: Path) -> Path:
    """A workflow for each way to have one."""
    folder.mkdir(parents=True)
    for name, image in {"none": "", **REGISTRIES}.items():
        (folder / f"{name}.yml").write_text(made("github", image=image or False, cut=True))
    (folder / "comment.yml").write_text(made("github", image=True, comment=True, more=FIXES))
    (folder / "landed.yml").write_text(made("github", image=False, more=f"land: pull-request\n{BOTH}"))
    return folder


def test_zizmor_finds_nothing_in_the_workflows(tmp_path: Path) -> None:
    workflows(tmp_path / ".github/workflows")
    command: list[str | Path] = [BIN / "zizmor", "--offline", "--no-progress", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing_in_the_workflows(tmp_path: Path) -> None:
    """Where it is: no package that can be installed everywhere brings the program, and a test downloads nothing."""
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("NOT RUN: there is no actionlint on this machine (https://github.com/rhysd/actionlint)")
    files = [*workflows(tmp_path / "workflows").glob("*.yml"), *(ROOT / ".github/workflows").glob("*.yml")]
    newer = 'unexpected key "queue" for "concurrency"'  # rhysd/actionlint#657; the published schema has it
    command: list[str | Path] = [program, "-ignore", newer, "-shellcheck", BIN / "shellcheck", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_written_once_unchanged_after_and_never_over_an_edit(tale: Story) -> None:
    declare(tale)
    path = tale.clone.path / FILES["github"]
    assert init(tale, "github").out == init(tale, "github").out
    assert not path.exists()
    assert init(tale, "github", "--write").out == f"{FILES['github']}: written\n"
    assert init(tale, "github", "--write").out == f"{FILES['github']}: unchanged\n"
    declare(tale, image=True)  # another release.yaml: the file is ours, and follows
    assert init(tale, "github", "--write").out == f"{FILES['github']}: written\n"
    edited = path.read_text().replace("timeout-minutes: 30", "timeout-minutes: 31")
    path.write_text(edited)
    refused = init(tale, "github", "--write")
    assert (refused.code, path.read_text()) == (4, edited)
    assert "[ci-file-edited]" in refused.err
    assert init(tale, "github", "--write", "--force").code == 0


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--provider", "travis"), "bad-provider"),
        (("--provider", "github", "--file", "../x", "--write"), "bad-file"),
        (("--provider", "github", "--file", ".git/config", "--write"), "bad-file"),
        (("--provider", "github", "--file", "a\nb"), "bad-file"),
        (("--provider", "github", "--install", "a\nb"), "bad-install"),
        (("--provider", "jenkins", "--install", "'''"), "bad-install"),
    ],
)
def test_a_wrong_command_line(tale: Story, args: tuple[str, ...], code: str) -> None:
    declare(tale)
    ran = release("ci", "init", *args, cwd=tale.clone.path)
    assert (ran.code, f"[{code}]" in ran.err) == (2, True), ran.err


def test_the_project_s_own_workflow_is_what_the_command_prints() -> None:
    """Repair with the command in its first line."""
    install = 'python3 -I -m pip install "$GITHUB_WORKSPACE"'
    ran = release("ci", "init", "--provider", "github", "--install", install, cwd=ROOT)
    assert ran.out == (ROOT / FILES["github"]).read_text()


def test_the_command_in_the_first_line_makes_the_file_again(tale: Story) -> None:
    declare(tale)
    (tale.clone.path / "release.yaml").rename(tale.clone.path / "other.yaml")
    args = ("--file", "ci/my pipeline.yml", "--config", "other.yaml", "--install", "pip install 'x y'")
    text = init(tale, "gitlab", *args).out
    command = shlex.split(text.partition("`")[2].partition("`: run it again")[0])
    assert release(*command[1:], cwd=tale.clone.path).out == "ci/my pipeline.yml: written\n"
    assert (tale.clone.path / "ci/my pipeline.yml").read_text() == text


# ------------------------------------------------------------------ rights


@pytest.mark.parametrize("image", [False, True])
def test_only_the_job_that_publishes_has_a_secret_or_may_write(image: bool) -> None:
    hub: dict[str, Any] = yaml.safe_load(made("github", image=image))
    assert hub["permissions"] == {}
    for name, job in hub["jobs"].items():
        publishes = name == "release-publish"
        assert job["permissions"] == {"contents": "write" if publishes else "read"}
        assert ("secrets." in str(job)) == (publishes and image)
        assert job.get("environment") == ("release" if publishes else None)
        assert job["steps"][0]["with"] == {"fetch-depth": 0, "persist-credentials": publishes}
        assert not [step for step in job["steps"] if "${{" in step.get("run", "")]  # no text of an event in a shell
    lab: dict[str, Any] = yaml.safe_load(made("gitlab", image=image))
    assert [name for name, job in lab.items() if "RELEASE_PUSH_TOKEN" in str(job)] == ["release-publish"]
    stages = made("jenkins", image=image).split("\n    stage(")[1:]
    assert [("release-git" in stage, "release-registry" in stage) for stage in stages] == [
        (False, False), (False, False), (False, False), (True, image),
    ]  # fmt: skip
    asking = made("jenkins", image=image, environment="live").split("\n    stage(")[1:]
    assert [stage.count("input {") for stage in asking] == [0, 0, 0, 1]
    assert "beforeInput true" in asking[-1]  # else it would ask on every branch
    install = stages[0]
    assert install.index("git fetch --force") < install.index("pip install")  # what is installed runs after the fetch


def test_no_publication_is_cancelled_by_a_later_one() -> None:
    """GitHub keeps one waiting job of a group, and cancels it for the next, unless the queue is longer."""
    hub: dict[str, Any] = yaml.safe_load(made("github", image=True))
    group = {"group": "release-publish", "cancel-in-progress": False, "queue": "max"}
    assert hub["jobs"]["release-publish"]["concurrency"] == group
    assert "${{ github.ref }}" in hub["concurrency"]["group"]
    own = made("github", image=True, more="repository-url: https://github.example.com/org/image\n")
    assert "queue" not in yaml.safe_load(own)["jobs"]["release-publish"]["concurrency"]
    assert own != made("github", image=True, more="repository-url: https://github.com/org/image\n")
    lab: dict[str, Any] = yaml.safe_load(made("gitlab", image=True))
    job = lab["release-publish"]
    assert (job["resource_group"], job["interruptible"]) == ("release-publish", False)


# ------------------------------------------------------------------ the steps, run


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


# ------------------------------------------------------------------ a branch that brings programs

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
    """A Python with pip, as a runner has it: what is installed goes there."""
    home = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-I", "-m", "venv", str(home)], check=True)
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


# ------------------------------------------------------------------ Markdown


@pytest.mark.parametrize(
    "text",
    [
        "@org/team <b>bold</b> #1 [x](http://e)", "`", "``a``", "a`b", "x\n# heading", "<!-- -->", "| a | b |", "",
        "\u202emoc", "`" * 50 + "x", "end`",
    ],
)  # fmt: skip
def test_foreign_text_stays_in_its_code_span(text: str) -> None:
    """The fence is longer than any run of backticks inside, by CommonMark's rule the only thing that ends a span."""
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    assert span.endswith(fence[0])
    inside = span[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inside)
    assert "\n" not in span
    assert "\u202e" not in span
