"""What a release was picked from outlives its branches: kept beside the record, and had wherever it is needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import Repo

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.history
VERSION = "v2.7.1"
KEPT = f"refs/release-sources/{VERSION}"


def cut(tale: Story) -> None:
    ran = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err


def forget(repo: Repo) -> None:
    """As a server does some day: what no ref names is gone."""
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")


def fresh(tale: Story) -> Repo:
    """A new clone, on the released tag."""
    place = tale.clone.path.parent / "fresh"
    tale.clone.git("clone", "--quiet", f"file://{tale.remote.path}", str(place))
    clone = Repo(place, minutes=tale.clone.minutes)
    clone.git("config", "user.name", "Robot")
    clone.git("config", "user.email", "robot@example.com")
    clone.git("checkout", "--quiet", "--detach", VERSION)
    return clone


def lacks(repo: Repo, sha: str) -> bool:
    return repo.attempt("cat-file", "-e", sha).returncode != 0


def all_agree(clone: Repo, sha: str) -> None:
    """Every command that looks back at the release, in a clone that never saw where the fix came from."""
    assert lacks(clone, sha)
    for command in (("publish", VERSION), ("audit",), ("verify", VERSION), ("notes", VERSION), ("show", VERSION)):
        ran = release(*command, cwd=clone.path)
        assert ran.code == 0, (command, ran.out, ran.err)
    told = release("log", sha, "--json", cwd=clone.path)
    assert told.code == 0, told.err
    assert [(each["version"], each["undone_by"]) for each in told.json["releases"]] == [(VERSION, "")]


@pytest.mark.wide
def test_a_topic_branch_is_squashed_and_deleted(tale: Story) -> None:
    tale.release_yaml(f"      - commit: {tale.fix}")
    cut(tale)
    tale.clone.git("merge", "--quiet", "--squash", "fix/dataloader-leak")
    tale.clone.commit("fix(loader): close the workers (#12)", {})
    tale.clone.git("push", "--quiet", "origin", "main", ":fix/dataloader-leak")
    forget(tale.remote)
    kept = tale.remote.git("log", "-1", "--format=%P %an <%ae> %cn %ct", KEPT)
    head = tale.remote.git("log", "-1", "--format=%an <%ae> %cn %ct", VERSION)
    assert kept == f"{tale.fix} {head}"
    assert tale.remote.git("ls-tree", KEPT) == ""
    all_agree(fresh(tale), tale.fix)


def test_the_head_of_a_fork(tale: Story) -> None:
    """The remote has it under refs/pull alone, and drops that; the clone that cut does not collect it either."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "--detach", "v2.7.0")
    sha = clone.commit("fix: from a fork", {"fork.py": "FORK = 1\n"})
    clone.git("push", "--quiet", "origin", "HEAD:refs/pull/7/head")
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(f"      - commit: {sha}")
    cut(tale)
    tale.remote.git("update-ref", "-d", "refs/pull/7/head")
    forget(tale.remote)
    forget(clone)
    assert not lacks(clone, sha)
    assert release("audit", cwd=clone.path).code == 0
    all_agree(fresh(tale), sha)


@pytest.mark.wide
def test_all_that_release_yaml_names_is_kept(tale: Story) -> None:
    """A backport, a fix that was skipped at its conflict, and both ends of a range."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "-b", "topic", "v2.7.0")
    first = clone.commit("fix: one", {"a.py": "1\n"})
    second = clone.commit("fix: two", {"b.py": "2\n"})
    clone.git("checkout", "--quiet", "-b", "other", "main")
    third = clone.commit("fix: readme", {"README.md": "# another\n\nmore\n"})
    clone.git("checkout", "--quiet", "-b", "by-hand", "v2.7.0")
    by_hand = clone.commit("fix: readme", {"README.md": "# another\n"})
    clone.git("checkout", "--quiet", "main")
    clone.git("push", "--quiet", "origin", "topic", "other", "by-hand")
    tale.release_yaml(
        f"      - range: {tale.base}..{second}\n"
        f"      - commit: {third}\n        backport: {by_hand}\n"
        f"      - commit: {tale.clone.rev('main')}\n        allow: [empty]"
    )
    ran = release("cut", VERSION, "--yes", cwd=clone.path)
    if ran.code == 3:
        ran = release("skip", VERSION, "--reason", "not here", "--yes", cwd=clone.path)
    assert ran.code == 0, ran.err
    parents = tale.remote.git("log", "-1", "--format=%P", KEPT).split(" ")
    assert parents == [first, tale.base, second, third, by_hand, tale.clone.rev("main")]
    clone.git("push", "--quiet", "origin", ":topic", ":other", ":by-hand", ":fix/dataloader-leak")
    forget(tale.remote)
    new = fresh(tale)
    assert all(lacks(new, sha) for sha in (first, second, third, by_hand))
    ran = release("publish", VERSION, cwd=new.path)
    assert ran.code == 0, ran.err
    assert release("audit", cwd=new.path).code == 0


@pytest.mark.wide
def test_a_killed_cut_keeps_them_when_it_goes_on(tale: Story) -> None:
    """Killed once the release is public and its record is not; the topic branch is gone before the cut goes on."""
    hook = tale.remote.path / "hooks/update"
    hook.write_text("#!/bin/sh\ncase $1 in refs/release-*) exit 1;; esac\n")
    hook.chmod(0o755)
    tale.release_yaml(f"      - commit: {tale.fix}")
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code != 0
    assert tale.remote.rev(f"refs/tags/{VERSION}")
    hook.unlink()
    tale.clone.git("push", "--quiet", "origin", ":fix/dataloader-leak")
    tale.clone.git("branch", "--quiet", "-D", "fix/dataloader-leak")
    forget(tale.remote)
    forget(tale.clone)
    cut(tale)
    all_agree(fresh(tale), tale.fix)
    before = tale.remote.git("for-each-ref")
    cut(tale)
    assert tale.remote.git("for-each-ref") == before


def test_publish_asks_the_remote_for_what_no_branch_names(tale: Story) -> None:
    """The tag is pushed, its record is not yet: a server gives a commit by its id while it has it."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "--detach", "v2.7.0")
    sha = clone.commit("fix: from a fork", {"fork.py": "FORK = 1\n"})
    clone.git("push", "--quiet", "origin", "HEAD:refs/pull/7/head")
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(f"      - commit: {sha}")
    cut(tale)
    for ref in (KEPT, f"refs/release-records/{VERSION}"):
        tale.remote.git("update-ref", "-d", ref)
    new = fresh(tale)
    assert lacks(new, sha)
    ran = release("publish", VERSION, cwd=new.path)
    assert ran.code == 0, ran.err
    assert tale.remote.git("log", "-1", "--format=%P", KEPT) == sha


def test_a_promoted_version_keeps_what_its_candidates_keep(tale: Story) -> None:
    tale.release_yaml(f"      - commit: {tale.fix}", version="v2.7.1-rc.1")
    assert release("cut", "v2.7.1-rc.1", "--yes", cwd=tale.clone.path).code == 0
    assert release("promote", "v2.7.1-rc.1", VERSION, "--yes", cwd=tale.clone.path).code == 0
    assert tale.remote.git("log", "-1", "--format=%P", KEPT) == tale.remote.rev("refs/release-sources/v2.7.1-rc.1")
    for name in ("tags", "release-sources", "release-records"):
        tale.remote.git("update-ref", "-d", f"refs/{name}/v2.7.1-rc.1")
    tale.clone.git("push", "--quiet", "origin", ":fix/dataloader-leak")
    forget(tale.remote)
    new = fresh(tale)
    told = release("log", tale.fix, "--json", cwd=new.path)
    assert told.code == 0, told.err
    assert VERSION in {each["version"] for each in told.json["releases"]}


def test_the_plan_says_what_is_kept_and_the_id_holds_it(tale: Story) -> None:
    tale.release_yaml(f"      - commit: {tale.fix}")
    plan = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert plan["sources"] == [tale.fix]
    cut(tale)
    journal = (tale.clone.path / ".git/release" / VERSION / "journal.jsonl").read_text().splitlines()
    done = [json.loads(line) for line in journal]
    recorded = next(
        each["outcome"] for each in done if each.get("key", each.get("task")) == "record" and "outcome" in each
    )
    assert recorded["sources"] == tale.remote.rev(KEPT)
