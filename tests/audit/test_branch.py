"""`release audit` and `release verify` as a user runs them: a clean release, then one fault after another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.results import Problem
from orchestrator.report.audit import sarif
from tests.audit.audited import at_release, audit, codes, push
from tests.support.cli import release
from tests.support.story import fix_line, processes, traced

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile


def test_a_clean_release_gives_no_alarm(cut: Story) -> None:
    ran = audit(cut, "--json")
    assert (ran.code, codes(ran)) == (0, [])
    commits = ran.json["lines"][0]["commits"]
    assert [(each["kind"], each["identical"], each["version"]) for each in commits] == [
        ("proved", True, "v2.7.1"), ("release", True, "v2.7.1"),
    ]  # fmt: skip
    assert ran.json["lines"][0]["unchecked"] == ran.json["unchecked"] == []
    text = audit(cut)
    assert text.code == 0
    assert text.out.endswith("nothing wrong was found\n")
    for wanted in ("release/v2.7", "v2.7.0", "v2.7.0.."):
        assert audit(cut, wanted).code == 0, wanted
    offline = audit(cut, "--offline")
    assert offline.code == 0
    assert "could not be checked" in offline.out


def test_the_number_of_release_branches_costs_no_process(cut: Story, tmp_path: Path) -> None:
    """Where each left the source branches is asked at once, and nothing where nothing was committed since."""
    assert audit(cut).code == 0, "what was proved once is known"
    took = []
    for first, number in ((0, 2), (2, 9)):
        rows = "".join(f"create refs/heads/release/v3.{at} {cut.base}\n" for at in range(first, first + number))
        cut.remote.git("update-ref", "--stdin", stdin=rows)
        trace = tmp_path / str(first)
        ran = release("audit", "--json", cwd=cut.clone.path, env=traced(trace))
        assert (ran.code, len(ran.json["lines"])) == (0, 1 + first + number), ran.err
        took.append(processes(trace))
    assert took[0] == took[1]


def test_a_branch_that_began_above_its_last_version_is_proved_by_both(tale: Story) -> None:
    """What the source branches had where the branch left them is its beginning, though a version is below that."""
    tale.remote.git("update-ref", "refs/heads/release/v2.7", "main")
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 0
    for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
        ran = release(*command, cwd=tale.clone.path)
        assert ran.code == 0, (command, ran.out, ran.err)


def test_verify_a_clean_release(cut: Story) -> None:
    ran = release("verify", "v2.7.1", "--json", cwd=cut.clone.path)
    assert ran.code == 0, ran.out
    assert ran.json["result"] == "verified"
    assert {each["state"] for each in ran.json["checks"]} == {"passed"}
    names = {each["name"] for each in ran.json["checks"]}
    assert {"tag", "tag: remote", "branch", "release.yaml", "commits", "record: commit", "record: picks"} <= names
    offline = release("verify", "v2.7.1", "--offline", cwd=cut.clone.path)
    assert offline.code == 6
    assert "not verified: 1 of" in offline.out
    assert release("verify", "v2.7.1", "--offline", "--allow-unchecked", cwd=cut.clone.path).code == 0


def test_commits_pushed_past_the_tool(cut: Story) -> None:
    at_release(cut)
    cut.clone.git("cherry-pick", "-x", cut.before)  # a true pick, and nobody declared it
    cut.clone.commit("chore: by the way", {"extra.py": "print('hello there')\n"})
    cut.clone.commit(f"fix: it\n\n(cherry picked from commit {cut.after})\n", {"other.py": "quite another thing\n"})
    push(cut, "work:release/v2.7")
    assert codes(audit(cut, "--json")) == ["foreign", "forged", "undeclared"]
    assert codes(audit(cut, "v2.7.1", "--json")) == ["foreign", "forged", "undeclared"]
    assert audit(cut, "v2.7.0..v2.7.1").code == 0


@pytest.mark.wide
def test_a_later_version_answers_for_what_was_released_before_anybody_declared_it(tale: Story) -> None:
    """No tag is changed: the next one, by the printed lines, lists it.  What none lists stays what it was."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "-B", "work", "release/v2.7")
    named = f"fix(loader): close the workers\n\nIn other words.\n\n(cherry picked from commit {tale.fix})\n"
    honest = clone.commit(named, {"workers.py": "def close_all(pool):\n    pool.shutdown(wait=True)\n"})
    own = clone.commit("chore: by the way", {"extra.py": "print('hello there')\n"})
    forged = clone.commit(
        f"fix: it\n\n(cherry picked from commit {tale.after})\n", {"other.py": "quite another thing\n"}
    )
    clone.git("push", "--quiet", "origin", "work:release/v2.7")
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(fix_line(tale.before))
    assert release("cut", "v2.7.1", "--yes", cwd=clone.path).code == 0
    found = audit(tale, "--json")
    assert (found.code, codes(found)) == (9, ["foreign", "forged", "forged"])
    told = {each["sha"]: each["remedy"] for line in found.json["lines"] for each in line["commits"]}
    shown = audit(tale).out
    lines = "".join(f"      - {{commit: {sha}, allow: [duplicate]}}\n" for sha in (honest, own))
    for sha in (honest, own, forged):
        assert f"- {{commit: {sha}, allow: [duplicate]}}" in told[sha]
        assert told[sha] in shown
    tale.release_yaml(f"{lines}{fix_line(tale.fix)}", version="v2.7.2")
    assert release("cut", "v2.7.2", "--yes", cwd=clone.path).code == 0
    ran = audit(tale, "--json")
    kinds = {each["sha"]: (each["kind"], each["accepted"]) for line in ran.json["lines"] for each in line["commits"]}
    assert (ran.code, codes(ran)) == (9, ["forged"])
    assert kinds[honest] == kinds[own] == ("proved", "tag v2.7.2")
    assert kinds[forged][0] == "forged"
    verified = release("verify", "v2.7.1", "--json", cwd=clone.path)
    wrong = [each["name"] for each in verified.json["checks"] if each["state"] == "failed"]
    assert (verified.code, wrong) == (9, [f"commit {forged[:12]}"])
    assert release("verify", "v2.7.2", cwd=clone.path).code == 0


def _amend_pick(tale: Story) -> None:
    """The pick with a line more, the release commit on it, the tag on that, as somebody with push rights can."""
    at_release(tale)
    tale.clone.git("checkout", "--quiet", "HEAD^")
    tale.clone.commit("x", {"trace.py": "import os  # opened a door\n"})
    tale.clone.git("reset", "--quiet", "--soft", "HEAD^")
    tale.clone.git("commit", "--quiet", "--amend", "--no-edit")
    tale.clone.git("cherry-pick", "origin/release/v2.7")
    tale.clone.git("checkout", "--quiet", "--force", "-B", "work")


def test_an_amended_pick(cut: Story) -> None:
    _amend_pick(cut)
    message = cut.clone.git("cat-file", "tag", "v2.7.1").partition("\n\n")[2]
    cut.clone.git("tag", "-f", "-a", "-m", message, "v2.7.1")
    push(cut, "work:release/v2.7", "v2.7.1")
    ran = audit(cut, "--json")
    assert ran.code == 9
    assert set(codes(ran)) == {"adapted", "record-differs", "sources-differ", "tag-differs"}
    adapted = next(each for each in ran.json["lines"][0]["commits"] if each["kind"] == "adapted")
    assert any("opened a door" in line for line in adapted["range_diff"])
    verify = release("verify", "v2.7.1", cwd=cut.clone.path)
    assert verify.code == 9
    assert "WRONG    record: commit" in verify.out


def test_a_fix_that_was_reverted_since(cut: Story) -> None:
    cut.clone.git("checkout", "--quiet", "main")
    cut.clone.git("merge", "--quiet", "--no-edit", "fix/dataloader-leak")
    cut.clone.git("revert", "--no-edit", cut.fix)
    revert = cut.clone.rev("HEAD")
    push(cut, "main")
    ran = audit(cut, "--json")
    assert codes(ran) == ["reverted-upstream"]
    assert f"v2.7.1 carries {cut.fix[:12]}" in ran.json["lines"][0]["problems"][0]["message"]
    assert revert[:12] in ran.json["lines"][0]["problems"][0]["message"]


@pytest.mark.wide
def test_a_fix_that_was_wanted_in_spite_of_its_revert(tale: Story) -> None:
    """Of that revert it is said; the next one is a finding."""
    clone = tale.clone
    clone.git("merge", "--quiet", "--no-edit", "fix/dataloader-leak")
    clone.git("revert", "--no-edit", tale.fix)
    push(tale, "main")
    tale.release_yaml(f"{fix_line(tale.fix)}\n        allow: [reverted]\n        reason: main has another loader")
    assert release("cut", "v2.7.1", "--yes", cwd=clone.path).code == 0
    ran = audit(tale, "--json")
    assert (ran.code, codes(ran)) == (0, [])
    assert "which" in (said := " ".join(ran.json["lines"][0]["notes"])), said
    assert "by `allow: [reverted]`" in said
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("revert", "--no-edit", tale.fix)
    push(tale, "main")
    assert codes(audit(tale, "--json")) == ["reverted-upstream"]


def test_a_dropped_pick(cut: Story) -> None:
    """The tag's release.yaml declares what no commit carries, and the record says nothing of a reason."""
    at_release(cut)
    cut.clone.git("rebase", "--quiet", "--onto", cut.base, "HEAD^", "work")
    cut.clone.git("tag", "-f", "-a", "-m", "v2.7.1", "v2.7.1")
    push(cut, "work:release/v2.7", "v2.7.1")
    assert "dropped" in codes(audit(cut, "--json"))


def test_a_branch_that_this_tool_never_made(tale: Story) -> None:
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.git("cherry-pick", "-x", tale.fix)
    tale.clone.git("tag", "-a", "-m", "v2.7.1", "v2.7.1")
    push(tale, "release/v2.7", "v2.7.1")
    ran = audit(tale, "--json", "--source", "main", "--source", "fix/dataloader-leak")
    assert (ran.code, codes(ran)) == (0, [])
    assert ran.json["lines"][0]["commits"][0]["declared"] is None
    assert codes(audit(tale, "--json", "--require-signed")) == ["tag-unsigned"]


def test_a_range_that_ends_before_a_later_version_gives_no_alarm(cut: Story) -> None:
    at_release(cut)
    cut.clone.git("commit", "--quiet", "--allow-empty", "-m", "fix: later")
    cut.clone.git("tag", "--annotate", "-m", "v2.7.2", "v2.7.2")
    push(cut, "HEAD:refs/heads/release/v2.7", "v2.7.2")
    assert audit(cut, "v2.7.0..v2.7.1").code == 0
    assert audit(cut, "v2.7.0..v2.7.2").code == 9


def test_an_empty_range_examines_nothing_and_says_so(cut: Story) -> None:
    ran = audit(cut, "v2.7.1..v2.7.1")
    assert ran.code == 0
    assert "nothing was examined" in ran.out.splitlines()[-1]
    assert "nothing wrong" not in ran.out
    assert audit(cut, "v2.7.1..v2.7.1", "--json").json["examined"] == 0
    assert audit(cut, "--json").json["examined"] == 2


def _crafted(tale: Story, text: str) -> None:
    """Put a commit with these bytes on the release branch."""
    sha = tale.clone.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text)
    push(tale, f"{sha}:refs/heads/release/v2.7")


def test_a_commit_with_two_trees_is_what_git_takes_it_for(cut: Story) -> None:
    """It ends with the tree of the very pick; checked out is the first one."""
    pick = cut.clone.rev("origin/release/v2.7~1")
    text = cut.clone.attempt("cat-file", "commit", pick).stdout
    good, evil = text.split("\n")[0], cut.clone.rev("origin/main^{tree}")
    _crafted(cut, text.replace(good, f"tree {evil}", 1).replace("\n\n", f"\n{good}\n\n", 1))
    ran = audit(cut, "--json")
    assert ran.code == 9
    assert "proved" not in ran.json["lines"][0]["counts"]


def test_a_tag_that_names_two_commits_is_on_the_first(cut: Story) -> None:
    text = cut.clone.attempt("cat-file", "tag", "v2.7.1").stdout
    good = text.split("\n")[0]
    evil = text.replace(good, f"object {cut.clone.rev('origin/main')}", 1).replace("\n\n", f"\n{good}\n\n", 1)
    sha = cut.clone.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", stdin=evil)
    push(cut, f"{sha}:refs/tags/v2.7.1")
    ran = audit(cut, "--json")
    assert ran.code == 9
    assert "tag-not-on-branch" in codes(ran)


def test_a_malformed_commit_is_one_line(cut: Story) -> None:
    tip = cut.clone.rev("origin/release/v2.7")
    _crafted(cut, f"tree {cut.clone.rev(tip + '^{tree}')}\nparent {tip}\nauthor x\ncommitter y\n\nfix: x\n")
    ran = audit(cut)
    assert ran.code == 9
    assert "[malformed-commit]" in ran.err


def test_sarif_and_annotations(cut: Story, tmp_path: Path) -> None:
    at_release(cut)
    sha = cut.clone.commit("chore: by the way", {"extra.py": "print('hello there')\n"})
    push(cut, "work:release/v2.7")
    ran = release("audit", "--sarif", "-", cwd=cut.clone.path, env={"GITHUB_ACTIONS": "true"})
    assert ran.code == 9
    document = ran.json
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    (result,) = run["results"]
    assert result["ruleId"] == run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "foreign"
    assert (result["level"], sha[:12] in result["message"]["text"]) == ("error", True)
    (place,) = result["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "release.yaml"
    assert place["logicalLocations"][0]["fullyQualifiedName"] == f"release/v2.7@{sha}"
    assert f"::error title=foreign::{sha[:12]}" in ran.err
    clean = release("audit", "v2.7.0..v2.7.1", "--sarif", str(tmp_path / "out.sarif"), cwd=cut.clone.path)
    assert clean.code == 0
    assert json.loads((tmp_path / "out.sarif").read_text())["runs"][0]["results"] == []


def test_a_place_in_sarif_is_a_uri() -> None:
    problem = Problem(code="tag-differs", message="x", exit_code=9)
    (result,) = sarif([], [problem], "deploy/my 100%.yaml")["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "deploy/my%20100%25.yaml"


@pytest.mark.wide(7)
@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (("audit", "nonsense"), 2, "unknown-revision"),
        (("audit", "main...release/v2.7"), 2, "bad-range"),
        (("audit", "v9.9.9.."), 2, "unknown-revision"),
        (("audit", "--source", "nowhere"), 2, "no-source"),
        (("audit", "--json", "--sarif", "-"), 2, "two-documents"),
        (("audit", "--sarif", "no/such/directory/x"), 2, "cannot be written"),
        (("audit", "-c", "none.yaml"), 2, "none.yaml"),
        (("verify",), 2, "what-to-verify"),
        (("verify", "v2.7.1", "--image", "x"), 2, "what-to-verify"),
        (("verify", "v2.7.1", "--remote", "x"), 2, "what-to-verify"),
        (("verify", "v2.7.1", "--key", "x"), 2, "what-to-verify"),
        (("verify", "v9.9.9"), 2, "no-tag"),
        (("verify", "-x"), 2, "No such option"),
        (("verify", "--image", "not a reference"), 2, "reference"),
        (("verify", "--image", "127.0.0.1:9/none:v2.7.1"), 7, "127.0.0.1:9"),
    ],
)
def test_bad_input(cut: Story, args: tuple[str, ...], code: int, word: str) -> None:
    ran = release(*args, cwd=cut.clone.path)
    assert (ran.code, word in ran.err) == (code, True), ran.err
    assert "Traceback" not in ran.err


def test_a_topic_branch_named_like_the_line_is_no_second_release_branch(cut: Story) -> None:
    for name in ("hotfix/2.7.9", "v2.7.1"):
        cut.clone.git("push", "--quiet", "origin", f"main:refs/heads/{name}")
    ran = audit(cut, "--json")
    assert (ran.code, codes(ran)) == (0, []), ran.err
    assert [line["branch"] for line in ran.json["lines"]] == ["release/v2.7"]


def test_a_branch_of_the_line_counts_where_release_yaml_names_none_or_it_has_a_version_more(cut: Story) -> None:
    cut.clone.commit("chore: foreign", {"odd": "x\n"})
    cut.clone.git("push", "--quiet", "origin", "v2.7.1^{commit}:refs/heads/hotfix/2.7.9")
    cut.clone.git("tag", "-a", "-m", "v2.7.9", "v2.7.9", "main")
    cut.clone.git("push", "--quiet", "origin", "v2.7.9", "main:refs/heads/release/2.7")
    assert {line["branch"] for line in audit(cut, "--json").json["lines"]} == {"release/v2.7", "release/2.7"}
    text = (cut.clone.path / "release.yaml").read_text()
    cut.clone.write("release.yaml", text.replace("branch: release/v2.7", "branch: releases/2.7"))  # not there
    assert "release/v2.7" in {line["branch"] for line in audit(cut, "--json").json["lines"]}


@pytest.mark.wide
def test_a_promoted_candidate(tale: Story) -> None:
    """Two versions on one commit: the second one's history is the candidate's."""
    tale.release_yaml(f"      - commit: {tale.fix}\n", version="v2.7.1-rc.1")
    assert release("cut", "v2.7.1-rc.1", "--yes", cwd=tale.clone.path).code == 0
    done = release("promote", "v2.7.1-rc.1", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    ran = audit(tale, "--json")
    assert (ran.code, codes(ran)) == (0, [])
    verified = release("verify", "v2.7.1", "--json", cwd=tale.clone.path)
    assert (verified.code, verified.json["result"]) == (0, "verified"), verified.out
    assert "its candidate v2.7.1-rc.1" in verified.out


@pytest.mark.wide
def test_the_first_version_of_a_line(tale: Story) -> None:
    """Nothing is below it but what the source branches have: its picks are its own."""
    tale.clone.git("push", "--quiet", "origin", "main:refs/heads/release/v2.8")
    yaml = "version: 1\nbranch: release/v2.8\nsource: main\nreleases:\n  v2.8.0:\n    fixes:\n"
    tale.declare(f"{yaml}      - commit: {tale.fix}\n")
    assert release("cut", "v2.8.0", "--yes", cwd=tale.clone.path).code == 0
    assert audit(tale, "--json").code == 0
    verified = release("verify", "v2.8.0", "--json", cwd=tale.clone.path)
    assert (verified.code, verified.json["result"]) == (0, "verified"), verified.out
    (said,) = (each["message"] for each in verified.json["checks"] if each["name"] == "commits")
    assert said.startswith("all 2 since")
