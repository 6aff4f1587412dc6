"""`release promote` on real git, without an image: the tag, the record, what it refuses, killed at every record.

Images are promoted in tests/docker/test_rollback.py.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import Ran, release
from tests.support.kills import JOURNAL, killed_at
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import copied, fix_line, story

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
RC1, RC2, FINAL = "v2.7.1-rc.1", "v2.7.1-rc.2", "v2.7.1"


@pytest.fixture(scope="module")
def tested_once(tmp_path_factory: pytest.TempPathFactory) -> Story:
    tale = story(tmp_path_factory.mktemp("tested") / "story")
    for version, fix in ((RC1, tale.before), (RC2, tale.fix)):
        tale.release_yaml(fix_line(fix), version=version)
        done = release("cut", version, "--yes", cwd=tale.clone.path)
        assert done.code == 0, done.err
    return tale


@pytest.fixture
def tested(tested_once: Story, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The story after two candidates of v2.7.1."""
    return copied(tested_once, tmp_path_factory.mktemp("copy") / "story")


def promote(tale: Story, *args: str, candidate: str = RC2, version: str = FINAL) -> Ran:
    return release("promote", candidate, version, "--yes", "--json", *args, cwd=tale.clone.path)


def record(tale: Story, version: str) -> dict[str, Any]:
    return dict(json.loads(tale.remote.git("cat-file", "blob", f"refs/release-records/{version}")))


def code(ran: Ran) -> str:
    return str((ran.json.get("problems") or [ran.json["error"]])[0]["code"])


def test_the_final_tag_is_on_the_very_commit_and_names_the_candidate(tested: Story) -> None:
    tip = tested.remote.rev("release/v2.7")
    dry = promote(tested, "--dry-run")
    assert (dry.code, dry.json["head"], tested.remote.git("tag", "-l", FINAL)) == (0, tip, "")
    done = promote(tested)
    assert (done.code, done.json["released"], done.json["commit_sha"]) == (0, True, tip), done.err
    assert done.json["previous_version"] == "v2.7.0"
    assert tested.remote.rev(f"{FINAL}^{{commit}}") == tested.remote.rev(f"{RC2}^{{commit}}") == tip
    assert tested.remote.rev("release/v2.7") == tip
    assert tested.remote.git("cat-file", "-t", FINAL) == "tag"
    message = tested.remote.git("cat-file", "tag", FINAL)
    assert f"\nPromoted-From: {RC2} {tested.remote.rev(f'refs/tags/{RC2}')}\n" in message
    assert [line.split()[2] for line in message.splitlines() if line.startswith("Pick: ")] == [
        tested.before,
        tested.fix,
    ]
    assert tested.remote.git("describe", FINAL) == FINAL  # git prefers the final name of the two
    found = record(tested, FINAL)
    assert found["promoted_from"]["version"] == found["promoted_from"]["version_inside"] == RC2
    assert found["promoted_from"]["record"] == tested.remote.rev(f"refs/release-records/{RC2}")
    assert (found["base"], [pick["source"] for pick in found["picks"]]) == (tested.base, [tested.before, tested.fix])
    assert f"promoted  from {RC2}" in release("show", FINAL, cwd=tested.clone.path).out
    assert FINAL in release("log", tested.before, cwd=tested.clone.path).out
    again = promote(tested)
    assert (again.code, again.json["released"]) == (0, False), again.err
    by_ci = release("publish", FINAL, "--json", cwd=tested.clone.path)
    assert (by_ci.code, by_ci.json["commit_sha"]) == (0, tip), by_ci.err
    rebuilt = release("rebuild", FINAL, "--json", cwd=tested.clone.path)
    assert (rebuilt.code, code(rebuilt)) == (2, "promoted"), rebuilt.err
    tested.release_yaml(fix_line(tested.after), version="v2.7.2")
    plan = release("plan", "--json", cwd=tested.clone.path).json
    assert (plan["version"], plan["previous"], plan["base"]) == ("v2.7.2", FINAL, tip)


def test_what_it_refuses_leaves_everything_as_it_was(tested: Story) -> None:
    refs = tested.remote.git("for-each-ref"), tested.clone.git("for-each-ref")
    for candidate, version, args, exit_code, word in (
        (RC1, FINAL, (), 4, "older-candidate"),
        ("v2.7.1-rc.9", FINAL, (), 2, "unknown-version"),
        (RC2, "v2.7.2", (), 2, "not-its-candidate"),
        (RC1, RC2, (), 2, "not-its-candidate"),
        ("v2.7.0", "v2.7.0", (), 2, "not-its-candidate"),
        (RC2, "2.7.1", (), 2, "not-its-candidate"),
        (RC2, "final", (), 2, "version-malformed"),
        (RC2, FINAL, ("--offline",), 2, "offline-promotion"),
    ):
        done = promote(tested, *args, candidate=candidate, version=version)
        assert (done.code, code(done)) == (exit_code, word), (candidate, version, done.err)
        assert "Traceback" not in done.err
    asked = release("promote", RC2, FINAL, "--json", cwd=tested.clone.path)
    assert (asked.code, code(asked)) == (4, "not-confirmed")
    assert (tested.remote.git("for-each-ref"), tested.clone.git("for-each-ref")) == refs


def test_a_yanked_candidate_and_one_without_a_record_are_refused(tested: Story) -> None:
    assert release("yank", RC2, "--reason", "bad", "-y", cwd=tested.clone.path).code == 0
    assert code(promote(tested)) == "version-yanked"
    older = promote(tested, candidate=RC1)  # the newest good one; the branch is ahead, and that is said
    assert older.code == 0, older.err
    assert tested.remote.rev(f"{FINAL}^{{commit}}") == tested.remote.rev(f"{RC1}^{{commit}}")
    assert code(promote(tested)) == "version-exists"


@pytest.mark.wide(2)
@types("release/promotion.py: release audit", "release/promotion.py: release promote {} {}")
@pytest.mark.parametrize("annotated", [True, False])
def test_an_earlier_candidate_was_tagged_by_hand(tale: Story, annotated: bool) -> None:
    """It says nothing of itself, and never will: the account of the final version begins after it, and says so."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("cherry-pick", "-x", tale.before)
    clone.git("tag", *(("-a", "-m", "first try") if annotated else ()), RC1)
    clone.git("push", "--quiet", "origin", "release/v2.7", RC1)
    clone.git("checkout", "--quiet", "main")
    by_hand = promote(tale, candidate=RC1)
    assert (by_hand.code, code(by_hand)) == (4, "not-released")
    assert "was tagged by hand" in by_hand.json["error"]["message"]
    tale.release_yaml(fix_line(tale.fix), version=RC2)
    assert release("cut", RC2, "--yes", cwd=clone.path).code == 0
    wrong = promote(tale, version="v2.7.2")
    done = works(f"{said(wrong, 'release promote')} --yes", clone.path)
    assert f"note: {RC1} was tagged by hand: nobody answers for what it brought" in done.stderr
    judged = typed(said(Ran(done.returncode, done.stdout, done.stderr), "release audit"), clone.path)
    assert ("tag-lightweight" in judged.stdout) == (not annotated) == (judged.returncode == 9), judged.stdout
    assert "forged" not in judged.stdout
    found = record(tale, FINAL)
    assert (found["previous"], [pick["source"] for pick in found["picks"]]) == (RC1, [tale.fix])
    assert release("verify", FINAL, cwd=clone.path).code == 0
    assert tale.before[:12] not in release("notes", FINAL, cwd=clone.path).out
    assert release("publish", FINAL, "--json", cwd=clone.path).json["released"] is False
    assert promote(tale).json["released"] is False


@pytest.mark.wide
@types('release/yank.py: release yank {} --reason "..."')
def test_a_promoted_candidate_is_taken_back_by_its_final_name(tested: Story) -> None:
    def yank(version: str) -> Ran:
        return release("yank", version, "--reason", "bad", "-y", "--json", cwd=tested.clone.path)

    assert promote(tested).code == 0
    refused = yank(RC2)
    assert (refused.code, code(refused)) == (4, "candidate-promoted"), refused.err
    assert tested.remote.git("for-each-ref", "refs/release-yanks") == ""
    assert yank(RC1).code == 0
    works(f"{said(refused, 'release yank')} --yes", tested.clone.path)
    assert release("yank", RC2, "--reason", "bad", "-y", cwd=tested.clone.path).code == 0


def test_a_record_that_comes_after_itself_ends(tested: Story) -> None:
    """Its tag says otherwise."""
    ref = f"refs/release-records/{RC1}"
    changed = json.dumps(record(tested, RC1) | {"previous": RC2})
    blob = tested.remote.git("hash-object", "-w", "--stdin", stdin=changed)
    tested.remote.git("update-ref", ref, blob)
    done = promote(tested)
    assert (done.code, code(done), done.json["error"]["where"]) == (9, "tag-differs", ref)


def test_a_moved_tag_and_a_missing_record_are_no_release(tested: Story) -> None:
    kept = tested.remote.rev(f"refs/tags/{RC2}")
    tested.remote.git("update-ref", f"refs/tags/{RC2}", tested.base)
    assert (promote(tested).code, code(promote(tested))) == (9, "tag-differs")
    tested.remote.git("update-ref", f"refs/tags/{RC2}", kept)
    tested.remote.git("update-ref", "-d", f"refs/release-records/{RC2}")
    assert (promote(tested).code, code(promote(tested))) == (4, "not-released")


def test_killed_then_run_again(tested: Story) -> None:
    """The journal's records: opened, then two for each of pick, tag, land, record, annotate, then closed."""
    for when, number in (("before", 3), ("after", 5), ("before", 3)):
        args = ("promote", RC2, FINAL, "--yes")
        assert killed_at(tested.clone.path, when, number, JOURNAL, *args) == -signal.SIGKILL
        assert FINAL in release("status", FINAL, cwd=tested.clone.path).out
    done = promote(tested)
    assert done.code == 0, done.err
    assert tested.remote.rev(f"{FINAL}^{{commit}}") == tested.remote.rev(f"{RC2}^{{commit}}")
    assert record(tested, FINAL)["tag"]["object"] == tested.remote.rev(f"refs/tags/{FINAL}")


def test_a_colleague_who_pushed_meanwhile_makes_a_new_plan_and_a_clone_without_the_commit_can_promote(
    tested: Story,
) -> None:
    theirs = tested.clone.path.parent / "theirs"
    tested.clone.git("clone", "--quiet", "--single-branch", "--no-tags", str(tested.remote.path), str(theirs))
    for key, value in (("user.name", "Ci"), ("user.email", "ci@example.com")):
        tested.clone.git("-C", str(theirs), "config", key, value)
    who = ("-c", "user.name=o", "-c", "user.email=o@x")
    other = tested.remote.git(*who, "commit-tree", "release/v2.7^{tree}", "-p", "release/v2.7", "-m", "other")
    tested.remote.git("update-ref", "refs/heads/release/v2.7", other)
    done = release("promote", RC2, FINAL, "--yes", "--json", cwd=theirs)
    assert done.code == 0, done.err
    assert tested.remote.rev(f"{FINAL}^{{commit}}") == tested.remote.rev(f"{RC2}^{{commit}}")
    assert tested.remote.rev("release/v2.7") == other
