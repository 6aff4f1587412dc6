"""A cut that leaves its image to CI: the tag, and nothing that needs an engine.  What CI makes of it: tests/docker."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import kills
from tests.support.cli import Ran, release
from tests.support.registry_process import running_registry
from tests.support.story import VERSION, Repo, Story, fix_line, story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.hostile
RECORDS = 10  # opened, four tasks started and finished, closed
TAG = f"refs/tags/{VERSION}"
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that takes no push without a login: who cuts may have none."""
    with running_registry(tmp_path_factory.mktemp("registry"), users={}) as running:
        yield running.host


def declare(tale: Story, registry: str, more: str = "  built-by: ci\n") -> None:
    tale.release_yaml(fix_line(tale.fix), extra=f"image:\n  repository: {registry}/team/image\n{more}")


def run(tale: Story, *args: str, cwd: Path | None = None) -> Ran:
    return release(*args, cwd=cwd or tale.clone.path, env=NO_ENGINE)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, registry: str) -> tuple[str, str]:
    tale = story(tmp_path_factory.mktemp("undisturbed"))
    declare(tale, registry)
    done = run(tale, "cut", VERSION, "--yes", "--json")
    journal = tale.clone.path / ".git/release" / VERSION / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == RECORDS
    return done.json["commit_sha"], done.json["tag_object"]


@pytest.mark.wide(12)
@pytest.mark.parametrize("number", range(1, RECORDS + 1))
def test_killed_before_a_record_then_run_again(
    tale: Story, registry: str, undisturbed: tuple[str, str], number: int
) -> None:
    declare(tale, registry)
    assert kills.killed_cut(tale.clone.path, "before", number, VERSION, env=NO_ENGINE) == -signal.SIGKILL
    again = run(tale, "cut", VERSION, "--yes", "--json")
    assert again.code == 0, again.err
    assert (again.json["built_by"], again.json["released"]) == ("ci", False)
    assert (tale.remote.rev("release/v2.7"), tale.remote.rev(TAG)) == undisturbed
    assert tale.remote.git("for-each-ref", f"refs/release-sources/{VERSION}")
    status = run(tale, "status", VERSION, "--json").json["releases"][0]
    assert (status["state"], status["missing"]) == ("tagged", [])


@pytest.mark.wide
def test_everybody_says_that_the_image_is_to_come(tale: Story, registry: str) -> None:
    """In the clone that cut and in another one: no judge accuses, and each says what leads on."""
    declare(tale, registry)
    plan = run(tale, "plan", VERSION)
    assert "built by        CI, from the tag" in plan.out
    assert run(tale, "cut", VERSION, "--yes").code == 0
    again = run(tale, "cut", VERSION, "--yes")
    assert f"{VERSION} is tagged already; CI builds its image from the tag" in again.out
    assert f"release publish {VERSION}\n           (builds it here)\n" in run(tale, "status", VERSION).out
    refused = run(tale, "abort", VERSION)
    assert (refused.code, f"finish it: release publish {VERSION}" in refused.err) == (4, True), refused.err
    assert "[not-declared]" in run(tale, "cut", "--yes").err, "without a version it is the next one's turn"
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(tale.clone.path.parent / "fresh"))
    for clone in (tale.clone, Repo(tale.clone.path.parent / "fresh")):
        (clone.path / "release.yaml").write_bytes((tale.clone.path / "release.yaml").read_bytes())
        audit = run(tale, "audit", cwd=clone.path)
        assert (audit.code, "1 could not be checked" in audit.out) == (0, True), audit.out
        verify = run(tale, "verify", VERSION, cwd=clone.path)
        assert (verify.code, "its images are built from the tag" in verify.out) == (6, True), verify.out
        show = run(tale, "show", VERSION, cwd=clone.path)
        assert f"or build them here: release publish {VERSION}" in show.err
        assert "close the workers" in run(tale, "notes", VERSION, cwd=clone.path).out
    assert not tale.remote.git("for-each-ref", "refs/release-records")


def test_once_without_the_image(tale: Story, registry: str) -> None:
    """`--no-image` holds through a pause; what is printed goes on with it."""
    clone = tale.clone
    clone.commit("feat: words", {"words.txt": "one\n"})
    conflicting = clone.commit("fix: words", {"words.txt": "two\n"})
    clone.git("push", "--quiet", "origin", "main")
    tale.release_yaml(fix_line(conflicting), extra=f"image:\n  repository: {registry}/team/image\n")
    assert run(tale, "cut", VERSION, "--yes", "--no-image").code == 3
    tree = Repo(clone.path / f".git/release/{VERSION}/worktree")
    tree.write("words.txt", "two\n")
    tree.git("add", "words.txt")
    ran = run(tale, "continue", VERSION, "--yes", "--json")
    assert (ran.code, ran.json["built_by"]) == (0, "later"), ran.err
    tale.release_yaml(fix_line(tale.fix))
    nothing = run(tale, "cut", "v2.7.2", "--no-image")
    assert (nothing.code, "[no-image]" in nothing.err) == (2, True), nothing.err


def test_it_lands_by_a_pull_request_too(tale: Story, registry: str, tmp_path: Path) -> None:
    from tests.support.forge_repo import ForgeRepo

    declare(tale, registry)
    tale.declare((tale.clone.path / "release.yaml").read_text() + "land: pull-request\n")
    assert run(tale, "cut", VERSION, "--yes").code == 10
    ForgeRepo.of(tale, tmp_path / "forge").merge(f"release-candidate/{VERSION}", "squash")
    done = run(tale, "cut", VERSION, "--yes", "--json")
    assert (done.code, done.json["built_by"]) == (0, "ci"), done.err
    assert "Images: built from this tag" in tale.remote.git("cat-file", "tag", TAG)


PUBLISHES = "jobs:\n  a:\n    steps:\n      # release publish, as the docs say\n      - run: release publish{}\n"


@pytest.mark.parametrize(
    ("built_by", "pipeline", "said"),
    [
        ("ci", "", "no pipeline in this repository runs `release publish`"),
        ("ci", PUBLISHES.format(""), ""),
        ("cut", PUBLISHES.format(""), "a pipeline builds from the tag: .github/workflows/mine.yml"),
        ("cut", PUBLISHES.format(" --no-build"), ""),
        ("cut", "jobs:\n  a:\n    steps:\n      - with: {command: publish}\n", "a pipeline builds from the tag"),
    ],
)
def test_pipelines_that_say_otherwise(tale: Story, registry: str, built_by: str, pipeline: str, said: str) -> None:
    declare(tale, registry, f"  built-by: {built_by}\n")
    if pipeline:
        tale.clone.write(".github/workflows/mine.yml", pipeline)
    checked = run(tale, "check")
    assert checked.code == 0, checked.err
    assert (said in checked.err) if said else "built" not in checked.err, checked.err
    checks = {each["name"]: each for each in run(tale, "doctor", "--json").json["checks"]}
    expected = "passed" if not said else "skipped" if built_by == "ci" else "failed"
    assert checks["who-builds"]["state"] == expected, checks["who-builds"]


@pytest.mark.parametrize("provider", ["github", "gitlab", "jenkins"])
def test_the_job_that_fits_is_written(tale: Story, registry: str, provider: str) -> None:
    """Where the cut builds no job does; where CI builds, the job that cuts builds before anything is public."""
    texts = {}
    for built_by in ("cut", "ci"):
        declare(tale, registry, f"  built-by: {built_by}\n  platforms: [linux/amd64, linux/arm64]\n")
        made = run(tale, "ci", "init", "--provider", provider, "--cut", "--install", "pip install release==1")
        assert made.code == 0, made.err
        texts[built_by] = made.out
    publishes, cuts = "release publish --no-build --wait 900", "release cut --yes --image"
    assert (publishes in texts["cut"], publishes in texts["ci"]) == (True, False)
    assert (cuts in texts["cut"], cuts in texts["ci"]) == (False, True)
    assert ("matrix" in texts["cut"], "matrix" in texts["ci"]) == (False, True)
