"""`release init` writes what is there: the remote's default branch, and a release branch that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.git.repository import Repository
from orchestrator.release.setup.init import starter_facts
from tests.support.cli import release
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.story import fix_line, make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.config.template import StarterFacts
    from tests.support.story import Repo, Story


def facts(clone: Repo, *, offline: bool = False) -> StarterFacts:
    repository = Repository.discover(clone.path)
    try:
        return starter_facts(repository, offline=offline)
    finally:
        repository.close()


@pytest.fixture
def develop(tale: Story) -> Story:
    """The remote's default branch is develop, its release branch r2.7, and here is a topic branch like a line."""
    tale.clone.git("push", "--quiet", "origin", "main:refs/heads/develop", f"{tale.base}:refs/heads/r2.7")
    tale.remote.git("symbolic-ref", "HEAD", "refs/heads/develop")
    tale.clone.git("push", "--quiet", "origin", ":release/v2.7", ":main")
    tale.clone.git("branch", "topic/v3.0")
    return tale


def test_a_clone_that_never_heard_of_it_asks_the_remote(develop: Story) -> None:
    found = facts(develop.clone)
    assert (found.default_branch, "r2.7" in found.branches, "topic/v3.0" in found.branches) == ("develop", True, False)


def test_what_init_writes_can_be_used_at_once(develop: Story, tmp_path: Path) -> None:
    fresh = make_repo(tmp_path / "parent").path / "fresh"
    develop.clone.git("clone", "--quiet", str(develop.remote.path), str(fresh))
    assert release("init", cwd=fresh).code == 0
    text = (fresh / "release.yaml").read_text()
    assert "\nbranch: r2.7\n" in text
    assert "\nsource: develop\n" in text
    entry = f"releases:\n  v2.7.1:\n    fixes:\n      - commit: {develop.fix}\n"
    (fresh / "release.yaml").write_text(text.replace("releases:\n", entry))
    identity = {"GIT_COMMITTER_NAME": "Mia", "GIT_COMMITTER_EMAIL": "mia@example.com"}
    done = release("plan", "v2.7.1", cwd=fresh, env=identity)
    assert done.code == 0, done.err


def test_offline_the_last_fetch_counts(develop: Story) -> None:
    develop.clone.git("fetch", "--quiet", "--prune", "origin")
    develop.clone.git("remote", "set-head", "origin", "develop")
    develop.remote.git("branch", "-D", "r2.7")
    found = facts(develop.clone, offline=True)
    assert (found.default_branch, "r2.7" in found.branches, "HEAD" in found.branches) == ("develop", True, False)
    assert "r2.7" not in facts(develop.clone).branches


def test_a_remote_that_does_not_answer_and_none_at_all(tale: Story) -> None:
    tale.clone.git("fetch", "--quiet", "origin")
    tale.clone.git("remote", "set-url", "origin", str(tale.clone.path / "nowhere"))
    assert "release/v2.7" in facts(tale.clone).branches
    tale.clone.git("remote", "remove", "origin")
    assert "release/v2.7" in facts(tale.clone).branches


def test_a_release_branch_that_is_not_there_is_made_by_the_command_that_is_told(tale: Story) -> None:
    tale.clone.git("push", "--quiet", "origin", ":release/v2.7")
    done = release("init", cwd=tale.clone.path)
    assert done.code == 0
    works(said(done, "git push "), tale.clone.path)
    assert tale.remote.rev("release/v2.7") == tale.base
    assert "branch: release/v2.7\n" in (tale.clone.path / "release.yaml").read_text()


@types("cli/config.py: rm {} && release init --branch {}")
def test_of_several_lines_it_says_which_it_chose_and_how_to_choose(tale: Story) -> None:
    more = ("release/v2.10", "release/v2.8", "release/v2.9")
    tale.clone.git("push", "--quiet", "origin", *(f"main:refs/heads/{name}" for name in more))
    done = release("init", cwd=tale.clone.path)
    assert "note: it is for release/v2.10, the newest line; there are also " in done.err
    assert [name for name in (*more, "release/v2.7") if name in done.err] == [*more, "release/v2.7"]
    assert "\nbranch: release/v2.10\n" in (tale.clone.path / "release.yaml").read_text()
    told = works(said(done, "rm "), tale.clone.path)
    assert "\nbranch: release/v2.9\n" in (tale.clone.path / "release.yaml").read_text()
    assert "the newest line" not in told.stderr


def test_what_check_will_say_of_the_dockerfile_is_said_at_once(tale: Story) -> None:
    assert release("init", "--json", cwd=tale.clone.path).json["problems"] == []
    tale.clone.write("Dockerfile", "FROM scratch\nCOPY --chmod x y\nNONSENSE\n")
    (tale.clone.path / "release.yaml").unlink()
    said = release("init", "--json", cwd=tale.clone.path)
    assert said.code == 0
    tale.release_yaml(fix_line(tale.fix), extra="image:\n  repository: registry.example.com/x\n")
    checked = release("check", "--json", cwd=tale.clone.path).json["problems"]
    assert checked
    assert said.json["problems"] == checked
    assert all(each["message"] in said.err for each in checked)
