"""The pipelines of `release ci init`: valid by the published schemas, and with no more rights than they need."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.core.text import code
from tests.forges.pipeline_runs import BOTH, FILES, FIXES, REGISTRIES, declare, init, made
from tests.support.cli import release

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


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
    jenkins = made("jenkins", image=False, more=proposed)
    landed_stage = jenkins[jenkins.index("stage('release-landed')") :]
    assert landed_stage.index("values 'linux-amd64', 'linux-arm64'\n") < landed_stage.index("pip install")
    assert 'RELEASE_CLI_PLATFORM="$(printf %s "$RELEASE_AGENT" | tr - /)" release publish --landed' in landed_stage
    assert not re.findall("@[A-Z_]+@", jenkins)


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
