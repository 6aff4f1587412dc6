"""`release yank` on real git, without an image: the mark, who is told of it, and what it refuses.

Floating tags are moved in tests/docker/test_rollback.py.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.versions import names_other_line
from orchestrator.session.yanks import Move, Yank, read, render
from tests.support.cli import release
from tests.support.kills import killed_at
from tests.support.story import VERSION, copied, fix_line, story

if TYPE_CHECKING:
    from tests.support.cli import Ran
    from tests.support.story import Story

hostile = pytest.mark.hostile
REF = f"refs/release-yanks/{VERSION}"
WHY = "loses the last batch of an epoch"
PUSH = "orchestrator.git.push:push_new_refs"


@pytest.fixture(scope="module")
def released_once(tmp_path_factory: pytest.TempPathFactory) -> Story:
    tale = story(tmp_path_factory.mktemp("released") / "story")
    tale.release_yaml(fix_line(tale.fix))
    done = release("cut", VERSION, "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    return tale


@pytest.fixture
def shipped(released_once: Story, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The story after v2.7.1 was released."""
    return copied(released_once, tmp_path_factory.mktemp("shipped") / "story")


def yank(tale: Story, *args: str) -> Ran:
    return release("yank", VERSION, "--reason", WHY, "--yes", *args, cwd=tale.clone.path)


def mark(tale: Story) -> dict[str, object]:
    return dict(json.loads(tale.remote.git("cat-file", "blob", REF)))


@hostile
def test_the_mark_is_all_that_is_new_and_everybody_tells_of_it(shipped: Story) -> None:
    before = shipped.remote.git("for-each-ref")
    done = yank(shipped, "--json")
    assert done.code == 0, done.err
    assert (done.json["yanked"], done.json["moves"], done.json["back_to"]) == (True, [], "")
    added = set(shipped.remote.git("for-each-ref").splitlines()) ^ set(before.splitlines())
    assert [line.split("\t")[1] for line in added] == [REF]
    found = mark(shipped)
    assert found["reason"] == WHY
    assert found["by"] == "Mia Maintainer <mia@example.com>"
    assert found["commit"] == shipped.remote.rev(f"{VERSION}^{{commit}}")
    assert WHY in release("show", VERSION, cwd=shipped.clone.path).out
    assert release("show", VERSION, "--json", cwd=shipped.clone.path).json["yanked"]["reason"] == WHY
    assert WHY in release("status", VERSION, cwd=shipped.clone.path).out
    assert WHY in release("log", shipped.fix, cwd=shipped.clone.path).out
    again = yank(shipped, "--json")
    assert (again.code, again.json["yanked"]) == (0, False)
    assert mark(shipped) == found


@pytest.mark.wide
@hostile
def test_a_colleague_hears_of_it_without_a_fetch(shipped: Story) -> None:
    assert yank(shipped).code == 0
    theirs = shipped.clone.path.parent / "theirs"
    shipped.clone.git("clone", "--quiet", str(shipped.remote.path), str(theirs))
    assert WHY in release("show", VERSION, cwd=theirs).out
    assert WHY in release("log", f"{VERSION}~1", cwd=theirs).out
    assert shipped.clone.attempt("-C", str(theirs), "rev-parse", "-q", "--verify", REF).returncode


@pytest.mark.wide
@hostile
def test_the_next_release_says_what_it_is_built_on_and_the_number_is_gone(shipped: Story) -> None:
    assert yank(shipped).code == 0
    shipped.release_yaml(fix_line(shipped.before), version="v2.7.2")
    plan = release("plan", "--json", cwd=shipped.clone.path)
    assert (plan.code, plan.json["version"]) == (0, "v2.7.2"), plan.err
    assert plan.json["base"] == shipped.remote.rev("release/v2.7")
    assert [note for note in plan.json["notes"] if WHY in note and note.startswith(VERSION)]
    shipped.release_yaml(fix_line(shipped.before))
    for where in (shipped.clone, shipped.remote):
        where.git("tag", "-d", VERSION)
    refused = release("plan", VERSION, "--json", cwd=shipped.clone.path)
    assert (refused.code, [each["code"] for each in refused.json["problems"]]) == (4, ["version-yanked"])
    offline = release("plan", VERSION, "--json", "--offline", cwd=shipped.clone.path)
    assert "version-yanked" in [each["code"] for each in offline.json["problems"]]


@hostile
def test_what_it_refuses_leaves_everything_as_it_was(shipped: Story) -> None:
    refs = shipped.remote.git("for-each-ref"), shipped.clone.git("for-each-ref")
    for args, code, word in (
        (("v2.7.9", "--reason", WHY, "-y"), 2, "unknown-version"),
        (("next", "--reason", WHY, "-y"), 2, "version-malformed"),
        (("v2.7.0", "--reason", WHY, "-y"), 4, "not-released"),  # a tag from before this tool: no record
        ((VERSION, "-y"), 2, "no-reason"),
        ((VERSION, "--reason", " \n ", "-y"), 2, "no-reason"),
        ((VERSION, "--reason", "x" * 501, "-y"), 2, "bad-reason"),
        ((VERSION, "--reason", WHY), 4, "not-confirmed"),
        ((VERSION, "--reason", WHY, "-y", "--offline"), 2, "offline-yank"),
        ((VERSION, "--reason", WHY, "-y", "--floating-to", "v2.7.9"), 2, "unknown-version"),
        ((VERSION, "--reason", WHY, "-y", "--floating-to", VERSION), 4, "no-good-predecessor"),
    ):
        done = release("yank", *args, "--json", cwd=shipped.clone.path)
        assert (done.code, done.json["error"]["code"]) == (code, word), (args, done.err)
        assert "Traceback" not in done.err
    dry = yank(shipped, "--dry-run")
    assert (dry.code, "would be yanked" in dry.out) == (0, True)
    assert (shipped.remote.git("for-each-ref"), shipped.clone.git("for-each-ref")) == refs


@hostile
def test_another_reason_is_refused_and_says_the_first_one(shipped: Story) -> None:
    assert yank(shipped).code == 0
    other = release("yank", VERSION, "--reason", "other", "-y", "--json", cwd=shipped.clone.path)
    assert (other.code, other.json["error"]["code"]) == (4, "already-yanked")
    assert WHY in other.json["error"]["message"]


@pytest.mark.wide(2)
@hostile
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_push_then_run_again(shipped: Story, when: str) -> None:
    args = ("yank", VERSION, "--reason", WHY, "--yes")
    assert killed_at(shipped.clone.path, when, 1, PUSH, *args) == -signal.SIGKILL
    public = shipped.remote.git("for-each-ref", REF) != ""
    assert public == (when == "after")
    status = release("status", VERSION, "--json", cwd=shipped.clone.path).json["releases"][0]
    assert status["state"] == "yanking"
    assert status["next"] == [f"release yank {VERSION} --reason '{WHY}'"]
    first = mark(shipped) if public else None
    assert yank(shipped).code == 0
    assert first in (None, mark(shipped))
    assert release("status", VERSION, "--json", cwd=shipped.clone.path).json["releases"][0]["state"] == "released"
    assert shipped.clone.git("for-each-ref", f"refs/release/{VERSION}/yank") == ""


@hostile
def test_of_two_who_yank_at_once_the_first_is_kept(shipped: Story) -> None:
    """The remote's hook is the other person: it makes the mark between our look and our push."""
    theirs = render(Yank(version=VERSION, reason="theirs", by="Tom <t@x>")).decode()
    blob = shipped.remote.git("hash-object", "-w", "--stdin", stdin=theirs)
    hook = shipped.remote.path / "hooks/update"
    hook.write_text(f"#!/bin/sh\nexec env -u GIT_QUARANTINE_PATH git update-ref {REF} {blob}\n")
    hook.chmod(0o755)
    done = yank(shipped, "--json")
    assert (done.code, done.json["error"]["code"]) == (4, "already-yanked"), done.err
    assert mark(shipped)["reason"] == "theirs"
    assert "theirs" in release("status", VERSION, cwd=shipped.clone.path).out


@hostile
def test_a_mark_that_nobody_can_read_is_still_a_mark(shipped: Story) -> None:
    shipped.remote.git("update-ref", REF, shipped.base)  # a commit
    shown = release("show", VERSION, cwd=shipped.clone.path)
    assert (shown.code, "no account" in shown.out) == (0, True), shown.err
    shipped.release_yaml(fix_line(shipped.before), version="v2.7.2")
    plan = release("plan", "v2.7.2", cwd=shipped.clone.path)
    assert (plan.code, "no account" in plan.out) == (0, True), plan.err
    assert yank(shipped).code == 4


def test_a_yank_is_read_back_as_it_was_written() -> None:
    made = Yank(
        version="v2.7.1",
        reason="ü",
        by="a <b>",
        at="2026-01-01",
        commit="c",
        back_to="v2.7.0",
        digests=("d",),
        moves=(Move(repository="r", tag="v2.7", old="d", new="e"),),
        left=("x",),
    )
    assert read("v2.7.1", render(made)) == made


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"schema_version": 2}',
        b"null",
        render(Yank(version="v1.0.0", reason="r")).replace(b'"moves": []', b'"moves": [{}]'),
    ],
)
def test_what_is_no_account_is_a_yank_without_details(data: bytes) -> None:
    found = read("v1.0.0", data)
    assert (found.moves, found.digests) == ((), ())
    assert "refs/release-yanks/v1.0.0" in found.reason


@pytest.mark.parametrize(
    ("tag", "version", "other"),
    [
        ("v2.7", "v2.7.0", False),
        ("v2.7-cpu", "v2.7.0", False),
        ("2.7", "v2.7.0", False),
        ("v2", "v2.6.9", False),
        ("latest", "v1.0.0", False),
        ("cu126", "v2.7.0", False),
        ("v2.8", "v2.7.5", True),
        ("v2.8-cpu", "v2.7.5", True),
        ("v3", "v2.7.5", True),
    ],
)
def test_a_floating_tag_that_names_a_line_stays_in_it(tag: str, version: str, other: bool) -> None:
    assert names_other_line(tag, version) is other
