"""One place builds: CI from the tag, where release.yaml says so; or the cut, and CI waits for that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.release.status import Standing
from tests.scenarios.test_every_state import OUT, walk
from tests.support.cli import release
from tests.support.imaged import VERSION, Imaged, imaged
from tests.support.kills import killed_at
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.lab import Lab

pytestmark = pytest.mark.docker
NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock"}


@pytest.fixture
def told(tmp_path: Path, lab: Lab) -> Imaged:
    return imaged(tmp_path / "story", lab)


def pipeline(told: Imaged) -> Repo:
    """The clone of a job."""
    place = told.story.clone.path.parent / "job"
    told.story.clone.git("clone", "--quiet", str(told.story.remote.path), str(place))
    repo = Repo(place)
    repo.git("config", "user.name", "The Pipeline")
    repo.git("config", "user.email", "ci@forge.example")
    return repo


def test_ci_builds_from_the_tag(told: Imaged) -> None:
    """Cut without an engine, killed in the middle of CI's job, finished by it; then the first clone knows."""
    told.declare(image="  built-by: ci\n")
    yaml = told.story.clone.path / "release.yaml"
    yaml.write_text(f"{yaml.read_text()}records: branch release-records\n")  # which holds for the job too
    cut = told.release("cut", VERSION, "--yes", "--json", env=NO_ENGINE)
    assert (cut.code, cut.json["built_by"]) == (0, "ci"), cut.err
    assert told.registry.head(VERSION) is None
    job = pipeline(told)
    job.git("checkout", "--quiet", VERSION)
    journal = "orchestrator.session.journal:Journal.append"
    assert killed_at(job.path, "before", 7, journal, "publish", VERSION, "-q", env=told.lab.env) == -9
    done = release("publish", VERSION, "--json", cwd=job.path, env=told.lab.env)
    assert (done.code, done.json["released"]) == (0, True), done.err
    for clone in (job, told.story.clone):
        for command in (("audit",), ("verify", VERSION)):
            judged = release(*command, cwd=clone.path, env=told.lab.env)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)
    anywhere = ("verify", "--image", f"{told.repository}:{VERSION}", "--remote", str(told.story.remote.path))
    alone = release(*anywhere, cwd=told.story.clone.path.parent, env=told.lab.env)
    assert alone.code == 0, alone.out + alone.err
    assert not told.story.remote.git("for-each-ref", "refs/release-records", "refs/notes")
    status = told.release("status", VERSION, "--json", env=NO_ENGINE).json["releases"][0]
    assert status["said"] == "released and complete, finished elsewhere"
    again = told.release("cut", VERSION, "--yes", "--json", env=NO_ENGINE)
    assert (again.code, again.json["digest"]) == (0, done.json["digest"]), again.err


def test_by_hand_in_the_clone_that_cut(told: Imaged) -> None:
    """What `status` prints, where no pipeline comes."""
    cut = told.release("cut", VERSION, "--yes", "--no-image", "--json", env=NO_ENGINE)
    assert (cut.code, cut.json["built_by"]) == (0, "later"), cut.err
    assert walk(told.story.clone.path, OUT, told.lab.env) == [Standing.TAGGED, Standing.RELEASED]
    assert told.registry.head(VERSION) is not None
    assert told.release("verify", VERSION).code == 0


@pytest.mark.wide
def test_the_job_waits_for_the_cut(told: Imaged) -> None:
    """Between push and promotion a job that starts builds nothing; it ends when the cut has."""
    told.declare(image="  built-by: cut\n")
    landed = "orchestrator.release.steps.land:_landed"
    assert killed_at(told.story.clone.path, "after", 1, landed, "cut", VERSION, "--yes", "-q", env=told.lab.env) == -9
    job = pipeline(told)
    env = told.lab.env | NO_ENGINE
    early = release("publish", VERSION, "--no-build", cwd=job.path, env=env)
    assert (early.code, "[not-built]" in early.err) == (10, True), early.err
    with ThreadPoolExecutor(max_workers=1) as threads:
        waiting = threads.submit(
            release, "publish", VERSION, "--no-build", "--wait", "600", "--json", cwd=job.path, env=env
        )
        assert told.release("cut", VERSION, "--yes").code == 0
        done = waiting.result()
    assert (done.code, done.json["released"]) == (0, False), done.err
    assert done.json["digest"]
