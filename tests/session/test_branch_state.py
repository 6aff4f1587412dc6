"""The tips of branches come from the remote at plan time, whatever this clone keeps of it; offline its age is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import Repo, make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
VERSION = "v2.7.1"


def colleague(tale: Story) -> Repo:
    """Another clone, of somebody who pushes meanwhile."""
    place = tale.clone.path.parent / "colleague"
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(place))
    repo = Repo(place, minutes=tale.clone.minutes + 5)
    repo.git("config", "user.name", "Cy Colleague")
    repo.git("config", "user.email", "cy@example.com")
    return repo


def of_one_branch(tale: Story) -> Repo:
    """`git clone --single-branch`: no other branch is ever fetched."""
    place = tale.clone.path.parent / "single"
    args = ("--quiet", "--single-branch", "--branch", "release/v2.7")
    tale.clone.git("clone", *args, f"file://{tale.remote.path}", str(place))
    return named(Repo(place, minutes=tale.clone.minutes))


def with_own_refspecs(tale: Story) -> Repo:
    """A clone that keeps the remote's branches elsewhere."""
    repo = make_repo(tale.clone.path.parent / "own")
    repo.git("remote", "add", "origin", str(tale.remote.path))
    repo.git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/company/*")
    repo.git("fetch", "--quiet", "origin")
    repo.git("checkout", "--quiet", "--detach", "company/main")
    return named(repo)


def named(repo: Repo) -> Repo:
    repo.git("config", "user.name", "Mia Maintainer")
    repo.git("config", "user.email", "mia@example.com")
    return repo


def declare(tale: Story, sha: str, place: Path | None = None) -> None:
    tale.release_yaml(f"      - commit: {sha}")
    if place:
        (place / "release.yaml").write_bytes((tale.clone.path / "release.yaml").read_bytes())


def test_a_revert_that_was_pushed_a_moment_ago_is_seen(tale: Story) -> None:
    fix = tale.clone.commit("fix: once", {"once.py": "ONCE = 1\n"})
    tale.clone.git("push", "--quiet", "origin", "main")
    declare(tale, fix)
    other = colleague(tale)
    other.git("revert", "--no-edit", fix)
    other.git("push", "--quiet", "origin", "main")
    before = tale.clone.git("for-each-ref")
    seen = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert (seen.code, [each["code"] for each in seen.json["problems"]]) == (5, ["reverted-pick"])
    assert f"origin/main by {other.rev('HEAD')[:12]}" in seen.json["problems"][0]["message"]
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 5
    assert tale.clone.git("for-each-ref") == before
    offline = release("plan", VERSION, "--offline", "--json", cwd=tale.clone.path)
    assert offline.code == 0
    assert any(re.fullmatch(r"origin was not asked: what is known of it was fetched .*\d{4}-.* UTC", note)
               for note in offline.json["notes"]), offline.json["notes"]  # fmt: skip
    candidates = release("candidates", "--json", cwd=tale.clone.path).json["candidates"]
    assert {each["sha"]: each["is_reverted"] for each in candidates}[fix]


@pytest.mark.wide
@pytest.mark.parametrize("make", [of_one_branch, with_own_refspecs])
def test_a_clone_that_fetches_other_branches_or_elsewhere(tale: Story, make: object) -> None:
    """Plan, cut with a conflict, audit and what history tells: the sources are asked for where they are."""
    tale.clone.commit("refactor: steps", {"loader.py": "steps = 12\n"})
    fix = tale.clone.commit("fix: more steps", {"loader.py": "steps = 13\n"})
    tale.clone.git("push", "--quiet", "origin", "main")
    repo = make(tale)  # type: ignore[operator]  # one of the two functions above
    declare(tale, fix, repo.path)
    paused = release("cut", VERSION, "--yes", "--effort", "0", cwd=repo.path)
    assert paused.code == 3, paused.err
    place = repo.path / ".git/release" / VERSION / "worktree"
    (place / "loader.py").write_text("steps = 13\n")
    Repo(place).git("add", "loader.py")
    assert release("continue", VERSION, "--yes", cwd=repo.path).code == 0
    for command in (("audit",), ("verify", VERSION), ("log", fix)):
        ran = release(*command, cwd=repo.path)
        assert ran.code == 0, (command, ran.out, ran.err)
    assert release("duplicates", "--json", cwd=repo.path).json["duplicates"][0]["commit"] == fix


def test_without_an_answer_the_refspecs_tell_and_else_the_command_that_helps(tale: Story) -> None:
    own = with_own_refspecs(tale)
    declare(tale, tale.fix, own.path)
    assert release("plan", VERSION, "--offline", cwd=own.path).code == 0
    single = of_one_branch(tale)
    declare(tale, tale.fix, single.path)
    refused = release("plan", VERSION, "--offline", "--json", cwd=single.path)
    assert refused.code == 2
    for remedy in [each["remedy"].partition(", or ")[0] for each in refused.json["problems"]]:
        single.git("-c", "alias.run=!sh -c", "run", remedy)
    assert release("plan", VERSION, "--offline", cwd=single.path).code == 0


def test_a_source_that_left_the_remote_and_one_that_never_was(tale: Story) -> None:
    text = (
        "version: 1\nbranch: release/v2.7\nsource: [main, {}]\nreleases:\n  v2.7.1:\n    fixes:\n      - commit: {}\n"
    )
    tale.clone.git("push", "--quiet", str(tale.remote.path), ":fix/dataloader-leak")
    tale.clone.git("update-ref", "refs/remotes/origin/fix/dataloader-leak", tale.after)
    tale.clone.git("branch", "--quiet", "-D", "fix/dataloader-leak")
    tale.declare(text.format("fix/dataloader-leak", tale.fix))
    planned = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert planned.code == 0, planned.err
    assert any("'fix/dataloader-leak' is no longer on origin" in note for note in planned.json["notes"])
    tale.declare(text.format("devel", tale.fix))
    refused = release("plan", VERSION, "--json", cwd=tale.clone.path)
    assert (refused.code, refused.json["problems"][0]["code"]) == (2, "no-source")
    assert "git ls-remote --heads origin" in refused.json["problems"][0]["remedy"]


def test_a_branch_counts_before_a_tag_of_its_name(tale: Story) -> None:
    """Asked for the duplicates of main, the tool looks at the branch, also where it is not checked out."""
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.git("cherry-pick", "main")
    tale.clone.git("checkout", "--quiet", "main")
    tale.clone.git("tag", "main", "v2.7.0^{}")
    tale.clone.git("push", "--quiet", "origin", "release/v2.7", "refs/tags/main")
    declare(tale, tale.fix)
    found = release("duplicates", "main", "--json", cwd=tale.clone.path)
    assert (found.code, len(found.json["duplicates"])) == (9, 1)
    tale.clone.git("checkout", "--quiet", "--detach")
    tale.clone.git("branch", "--quiet", "-D", "main")
    found = release("duplicates", "main", "--json", cwd=tale.clone.path)
    assert (found.code, len(found.json["duplicates"])) == (9, 1)
