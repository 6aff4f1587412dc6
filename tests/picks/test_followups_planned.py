"""What a plan says of follow-ups: refused, told, or no part of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.picks.test_followups import empty
from tests.support.cli import Ran, release
from tests.support.story import LOADER, VERSION, fix_line

if TYPE_CHECKING:
    from tests.support.story import Repo, Story

pytestmark = pytest.mark.history


def plan(tale: Story, entries: str) -> Ran:
    tale.release_yaml(entries)
    return release("plan", VERSION, "--json", cwd=tale.clone.path)


def codes(ran: Ran) -> list[str]:
    return [problem["code"] for problem in ran.json["problems"]]


@pytest.mark.wide
def test_a_reverted_fix_is_refused_until_the_entry_says_why(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    repo.git("revert", "--no-edit", fix)
    revert = repo.rev("HEAD")
    refused = plan(tale, fix_line(fix))
    assert refused.code == 5
    assert codes(refused) == ["reverted-pick"]
    cut = release("cut", VERSION, "--yes", cwd=repo.path)
    assert cut.code == 5
    assert f"was reverted on main by {revert[:12]}" in cut.err
    assert "release.yaml:8:9" in cut.err
    unexplained = plan(tale, fix_line(fix) + "\n        allow: [reverted]")
    assert unexplained.code == 2
    assert unexplained.json["error"]["where"] == "release.yaml:9:16"
    allowed = plan(tale, fix_line(fix) + "\n        allow: [reverted]\n        reason: main has another loader")
    assert allowed.code == 0, allowed.err
    assert allowed.json["picks"][0]["followups"][0]["sha"] == revert
    repo.git("revert", "--no-edit", revert)
    fine = plan(tale, fix_line(fix))
    assert fine.code == 0, fine.err
    assert [each["stands"] for each in fine.json["picks"][0]["followups"]] == [False, True]


@pytest.mark.wide
def test_a_fix_of_the_fix_is_told_with_the_edit(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    closed = (repo.path / "loader.py").read_text()
    more = repo.commit(f"fix: more\n\nFixes: {fix}", {"loader.py": closed.replace("return 2\n", "return 22\n")})
    most = empty(repo, f"fix: most\n\nFixes: {more}")
    taken_back = empty(repo, f"fix: wrong\n\nFixes: {fix}")
    empty(repo, f"undo\n\nThis reverts commit {taken_back}.")
    before = plan(tale, fix_line(fix))
    notes = [note for note in before.json["notes"] if "to take it along" in note]
    assert [note.split(" ", 1)[0] for note in notes] == [more[:12], most[:12]]
    assert f"fixes {fix[:12]}" in notes[0]
    assert f"- commit: {more[:12]}" in notes[0]
    shown = release("plan", VERSION, cwd=repo.path)
    assert f"fixes: {more[:12]} fix: more" in shown.out
    assert f"fixes of {more[:12]}: {most[:12]} fix: most" in shown.out
    declared = plan(tale, f"{fix_line(fix)}\n{fix_line(more)}\n{fix_line(most)}\n        allow: [empty]")
    assert declared.code == 0, declared.err
    assert not [note for note in declared.json["notes"] if "to take it along" in note]


def test_a_fix_of_the_fix_that_is_on_the_branch_is_not_asked_for(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    readme = (repo.path / "README.md").read_text()
    more = repo.commit(f"docs: more\n\nFixes: {fix}", {"WORDS.md": readme})
    repo.git("checkout", "--quiet", "release/v2.7")
    repo.git("cherry-pick", more)
    repo.git("push", "--quiet", "origin", "release/v2.7")
    repo.git("checkout", "--quiet", "main")
    assert not [note for note in plan(tale, fix_line(fix)).json["notes"] if "to take it along" in note]


def test_what_the_source_says_is_no_part_of_the_plan_id(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    before = plan(tale, fix_line(fix)).json
    empty(repo, f"docs: about {fix}")
    after = plan(tale, fix_line(fix)).json
    assert before["picks"] != after["picks"]
    assert before["plan_id"] == after["plan_id"]


@pytest.mark.wide
def test_where_a_fix_lives_is_said_and_kept(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    planned = release("plan", VERSION, "--json", cwd=tale.clone.path).json
    assert planned["picks"][0]["lives_on"] == "origin/fix/dataloader-leak"
    assert "is not on origin/main yet; it lives on origin/fix/dataloader-leak" in planned["notes"][0]
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    shown = release("show", VERSION, cwd=tale.clone.path)
    assert "(from origin/fix/dataloader-leak)" in shown.out
    record = json.loads(tale.remote.git("cat-file", "blob", f"refs/release-records/{VERSION}"))
    assert record["picks"][0]["lives_on"] == "origin/fix/dataloader-leak"


def test_a_fix_on_no_branch_is_said_aloud(tale: Story) -> None:
    repo = tale.clone
    repo.git("checkout", "--quiet", "--detach", "main")
    loose = repo.commit("fix: loose", {"loader.py": LOADER.replace("return 3\n", "return 33\n")})
    repo.git("checkout", "--quiet", "main")
    planned = plan(tale, fix_line(loose)).json
    assert planned["picks"][0]["lives_on"] == ""
    assert "no branch here holds it" in planned["notes"][0]


def test_a_branch_that_has_the_revert_of_a_fix_elsewhere_refuses_it(tale: Story) -> None:
    repo = tale.clone
    repo.git("checkout", "--quiet", "fix/dataloader-leak")
    repo.git("revert", "--no-edit", tale.fix)
    revert = repo.rev("HEAD")
    repo.git("checkout", "--quiet", "main")
    assert codes(plan(tale, fix_line(tale.fix))) == []  # origin's branch does not have it yet
    repo.git("push", "--quiet", "origin", "fix/dataloader-leak")
    refused = plan(tale, fix_line(tale.fix))
    assert refused.code == 5
    assert f"was reverted on origin/fix/dataloader-leak by {revert[:12]}" in refused.json["problems"][0]["message"]


def test_a_revert_after_the_tag_does_not_stop_its_publication(tale: Story, repo: Repo) -> None:
    fix = repo.rev("HEAD")
    tale.release_yaml(fix_line(fix))
    assert release("cut", VERSION, "--yes", cwd=repo.path).code == 0
    repo.git("revert", "--no-edit", fix)
    repo.git("push", "--quiet", "origin", "main")
    assert release("publish", VERSION, cwd=repo.path).code == 0


@pytest.mark.wide
def test_a_fix_merged_under_another_id_is_known_when_its_branch_is_gone(tale: Story) -> None:
    """The commit on the release branch has the same change, so the old objects are not needed."""
    repo = tale.clone
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=repo.path).code == 0
    picked = tale.remote.rev("release/v2.7^")
    repo.git("cherry-pick", tale.fix)
    merged = repo.rev("HEAD")
    repo.git("push", "--quiet", "origin", "main", ":fix/dataloader-leak")
    repo.git("branch", "-D", "fix/dataloader-leak")
    for ref in ("notes/release", f"release-sources/{VERSION}", f"release/{VERSION}/sources"):
        repo.git("update-ref", "-d", f"refs/{ref}")
    repo.git("fetch", "--quiet", "origin")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "--quiet", "--prune=now")
    assert repo.attempt("cat-file", "-e", tale.fix).returncode
    found = release("duplicates", "main", "--json", cwd=repo.path)
    assert found.code == 9, found.err
    assert [(each["commit"], each["duplicate_of"]) for each in found.json["duplicates"]] == [(merged, picked)]


def test_many_homes_are_counted(tale: Story) -> None:
    for name in ("a", "b", "c"):
        tale.clone.git("branch", name, tale.fix)
    planned = plan(tale, fix_line(tale.fix)).json
    assert planned["picks"][0]["lives_on"] == "a, b, c and 1 more"
