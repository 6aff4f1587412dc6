"""A release that lands by a pull request, killed between its proposal, its merge and its tag; and in two clones."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import kills
from tests.support.cli import Ran, release
from tests.support.forge_repo import ForgeRepo, protect
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import VERSION, Repo, Story, fix_line

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.hostile
CANDIDATE, TAG = f"release-candidate/{VERSION}", f"refs/tags/{VERSION}"
PROPOSING, LANDING = 8, 11  # records of the journal until the request is there, and from the merge to the end


@pytest.fixture
def told(tale: Story) -> Story:
    """Declared, on main too; nobody may push to the release branch."""
    tale.release_yaml(fix_line(tale.fix), extra="land: pull-request\n")
    tale.clone.commit("chore: declare it", {"release.yaml": (tale.clone.path / "release.yaml").read_bytes()})
    tale.clone.git("push", "--quiet", "origin", "main")
    protect(tale.remote)
    return tale


def cut(clone: Repo) -> Ran:
    return release("cut", VERSION, "--yes", cwd=clone.path)


def second(tale: Story) -> Repo:
    place = tale.clone.path.parent / "second"
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(place))
    repo = Repo(place)
    repo.git("config", "user.name", "Tom")
    repo.git("config", "user.email", "tom@example.com")
    return repo


def judged(tale: Story, clone: Repo) -> None:
    """Released, once, and everybody calls it right."""
    assert tale.remote.git("for-each-ref", TAG, f"refs/release-records/{VERSION}").count("\n") == 1
    clone.git("fetch", "--quiet", "--tags", "origin")
    for command in (("audit",), ("verify", VERSION), ("publish", VERSION)):
        ran = release(*command, cwd=clone.path)
        assert ran.code == 0, (command, ran.out, ran.err)


@pytest.mark.wide(9)
@pytest.mark.parametrize("number", range(1, PROPOSING))
def test_killed_before_it_is_proposed(told: Story, tmp_path: Path, number: int) -> None:
    assert kills.killed_cut(told.clone.path, "before", number, VERSION) == -signal.SIGKILL
    assert cut(told.clone).code == 10
    head = told.remote.rev(CANDIDATE)
    assert told.remote.git("log", "--format=%s", f"{told.base}..{head}").splitlines()[0] == f"chore(release): {VERSION}"
    ForgeRepo.of(told, tmp_path / "forge").merge(CANDIDATE, "squash")
    assert cut(told.clone).code == 0
    judged(told, told.clone)


@pytest.mark.wide(21)
@pytest.mark.parametrize("how", ["squash", "merge"])
@pytest.mark.parametrize("number", range(1, LANDING))
def test_killed_between_the_merge_and_the_end(told: Story, tmp_path: Path, how: str, number: int) -> None:
    assert cut(told.clone).code == 10
    ForgeRepo.of(told, tmp_path / "forge").merge(CANDIDATE, how)
    assert kills.killed_cut(told.clone.path, "before", number, VERSION) == -signal.SIGKILL
    again = cut(told.clone)
    assert again.code == 0, again.err
    judged(told, told.clone)


def test_the_pipeline_goes_on_where_the_clone_was_killed(told: Story, tmp_path: Path) -> None:
    """The tag is public, the record is not: another clone finishes it, and the first one sees that."""
    assert cut(told.clone).code == 10
    ForgeRepo.of(told, tmp_path / "forge").merge(CANDIDATE, "rebase")
    after_tag = "orchestrator.release.steps.record:_written"
    killed = kills.killed_at(told.clone.path, "before", 1, after_tag, "cut", VERSION, "--yes", "-q")
    assert (killed, bool(told.remote.git("for-each-ref", TAG))) == (-signal.SIGKILL, True)
    job = second(told)
    done = release("publish", "--landed", "--json", cwd=job.path)
    assert (done.code, done.json["released"]) == (0, True), done.err
    judged(told, job)
    assert cut(told.clone).code == 0
    assert release("status", VERSION, "--json", cwd=told.clone.path).json["releases"][0]["state"] == "released"


@pytest.mark.wide
@types("release/modes/landing.py: release publish {}", "release/modes/landing.py: git push {} :refs/heads/{}")
def test_a_second_clone_over_an_open_proposal(told: Story, tmp_path: Path) -> None:
    """Who cuts the same again proposes nothing over it, and goes on from there; or takes it back, and proposes."""
    assert cut(told.clone).code == 10
    head = told.remote.rev(CANDIDATE)
    other = second(told)
    again = cut(other)
    assert (again.code, "[proposed-already]" in again.err) == (10, True), again.err
    assert told.remote.rev(CANDIDATE) == head
    assert typed(said(again, "release publish"), other.path).returncode == 10
    works(said(again, "git push"), other.path)
    assert cut(other).code == 10
    assert told.remote.rev(CANDIDATE) != head
    ForgeRepo.of(told, tmp_path / "forge").merge(CANDIDATE, "fast-forward")
    works(said(again, "release publish"), other.path)
    judged(told, other)


@types("git/push.py: release cut {} --pull-request")
def test_a_hook_refuses_and_the_release_is_proposed(told: Story, tmp_path: Path) -> None:
    """What no dry run shows: the push itself is refused, and the same release goes the other way."""
    told.release_yaml(fix_line(told.fix))
    refused = cut(told.clone)
    assert (refused.code, "[push-rejected]" in refused.err) == (7, True), refused.err
    proposed = typed(f"{said(refused, f'release cut {VERSION} --pull')} --yes", told.clone.path)
    assert proposed.returncode == 10, proposed.stderr
    ForgeRepo.of(told, tmp_path / "forge").merge(CANDIDATE, "squash")
    assert cut(told.clone).code == 0
    judged(told, told.clone)
