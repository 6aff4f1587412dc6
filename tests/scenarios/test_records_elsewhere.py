"""A server that takes branches and tags alone: what is kept of a release is on a branch, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import kills
from tests.support.cli import Ran, release
from tests.support.forge_repo import ForgeRepo
from tests.support.guarded import install
from tests.support.plain_server import only_heads_and_tags, other_refs
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.story import VERSION, Repo, Story, fix_line

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.hostile
KEPT = "release-records"
ON_BRANCH, NONE = f"records: branch {KEPT}\n", "records: none\n"
TAG = f"refs/tags/{VERSION}"


def declare(tale: Story, extra: str) -> None:
    tale.release_yaml(fix_line(tale.fix), extra=extra)


def run(tale: Story, *args: str, cwd: Path | None = None) -> Ran:
    return release(*args, cwd=cwd or tale.clone.path)


def fresh(tale: Story, name: str = "fresh") -> Repo:
    """Another clone, on main without a release.yaml, when the topic branch is gone and the server has collected what
    nothing names."""
    tale.remote.git("update-ref", "-d", "refs/heads/fix/dataloader-leak")
    tale.remote.git("gc", "--quiet", "--prune=now")
    place = tale.clone.path.parent / name
    tale.clone.git("clone", "--quiet", f"file://{tale.remote.path}", str(place))
    repo = Repo(place)
    repo.git("config", "user.name", "Tom")
    repo.git("config", "user.email", "tom@example.com")
    return repo


def kept(tale: Story) -> set[str]:
    return set(tale.remote.git("ls-tree", "-r", "--name-only", KEPT).split())


WAYS = [(ON_BRANCH, {"release-records", "release-sources", "notes"}), (NONE, set())]


@pytest.mark.wide(2)
@pytest.mark.parametrize(("more", "state"), WAYS)
def test_a_refusal_names_the_way_and_the_same_command_goes_on(tale: Story, more: str, state: set[str]) -> None:
    """Branch and tag are public by then, and the plan is stored: what is said of records counts all the same."""
    only_heads_and_tags(tale.remote)
    declare(tale, "")
    checks = {each["name"]: each for each in run(tale, "doctor", "--json").json["checks"]}
    assert (checks["push"]["state"], checks["records"]["state"]) == ("passed", "skipped")
    refused = run(tale, "cut", VERSION, "--yes")
    assert (refused.code, "records: branch NAME" in refused.err) == (7, True), refused.err
    declare(tale, more)
    assert run(tale, "cut", VERSION, "--yes").code == 0
    assert not other_refs(tale.remote)
    assert {each.partition("/")[0] for each in (kept(tale) if state else ())} == state
    assert run(tale, "audit").code == 0
    checks = {each["name"]: each for each in run(tale, "doctor", "--json").json["checks"]}
    assert checks["records"]["state"] == "passed"


def test_everybody_reads_them_from_the_branch(tale: Story) -> None:
    only_heads_and_tags(tale.remote)
    declare(tale, ON_BRANCH)
    plan = run(tale, "plan", VERSION)
    assert f"records         on {KEPT} of origin" in plan.out
    done = run(tale, "cut", VERSION, "--yes", "--json")
    assert (done.code, done.json["released"]) == (0, True), done.err
    assert kept(tale) == {f"release-records/{VERSION}", f"release-sources/{VERSION}", "notes/release"}
    other = fresh(tale)
    for clone in (tale.clone, other):
        for command in (("audit",), ("verify", VERSION), ("publish", VERSION), ("show", VERSION), ("notes", VERSION)):
            judged = run(tale, *command, cwd=clone.path)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)
        log = run(tale, "log", tale.fix, cwd=clone.path)
        assert "on release/v2.7 (note" in log.out.replace("  ", " "), log.out
    assert run(tale, "log", tale.fix, "--offline", cwd=other.path).code == 0
    tale.remote.git("config", "uploadpack.allowFilter", "true")
    tale.clone.git("clone", "--quiet", "--depth=1", f"--branch={VERSION}", f"file://{tale.remote.path}", "../job")
    job = run(tale, "publish", VERSION, cwd=tale.clone.path.parent / "job")  # its history came without the records
    assert job.code == 0, job.err
    offline = run(tale, "audit", "--offline", cwd=fresh(tale, "offline").path)
    assert (offline.code, "no record here" in offline.out) == (0, False), offline.out
    yanked = run(tale, "yank", VERSION, "--reason", "loses a batch", "--yes", cwd=other.path)
    assert yanked.code == 0, yanked.err
    assert "yanked" in run(tale, "status", VERSION).out
    assert f"release-yanks/{VERSION}" in kept(tale)
    assert not other_refs(tale.remote)


@pytest.mark.wide
def test_a_candidate_is_promoted_with_what_the_branch_keeps(tale: Story) -> None:
    only_heads_and_tags(tale.remote)
    tale.release_yaml(fix_line(tale.fix), version="v2.7.1-rc.1", extra=ON_BRANCH)
    assert run(tale, "cut", "v2.7.1-rc.1", "--yes").code == 0
    other = fresh(tale)
    promoted = run(tale, "promote", "v2.7.1-rc.1", VERSION, "--yes", cwd=other.path)
    assert promoted.code == 0, promoted.err
    for clone in (tale.clone, other):
        clone.git("fetch", "--quiet", "--tags", "origin")
        for command in (("audit",), ("verify", VERSION)):
            judged = run(tale, *command, cwd=clone.path)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)


@pytest.mark.wide
def test_what_is_proposed_is_kept_there_too(tale: Story, tmp_path: Path) -> None:
    only_heads_and_tags(tale.remote)
    declare(tale, f"{ON_BRANCH}land: pull-request\n")
    assert run(tale, "cut", VERSION, "--yes").code == 10
    assert kept(tale) == {f"release-candidates/{VERSION}", f"release-candidates/{VERSION}.sources"}
    ForgeRepo.of(tale, tmp_path / "forge").merge(f"release-candidate/{VERSION}", "squash")
    tale.remote.git("update-ref", "-d", f"refs/heads/release-candidate/{VERSION}")
    place = tmp_path / "job"
    tale.clone.git("clone", "--quiet", f"file://{tale.remote.path}", str(place))
    landed = run(tale, "publish", "--landed", cwd=place)
    assert landed.code == 0, landed.err
    assert run(tale, "cut", VERSION, "--yes").code == 0
    for clone in (tale.clone, fresh(tale, "third")):
        for command in (("audit",), ("verify", VERSION)):
            judged = run(tale, *command, cwd=clone.path)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)
    assert not other_refs(tale.remote)


def test_what_refs_kept_before_a_branch_took_over_counts_on(tale: Story) -> None:
    """Of a guarded server, and in a clone that never fetched those refs."""
    candidate = f"{VERSION}-rc.1"
    tale.release_yaml(fix_line(tale.fix), version=candidate)
    assert run(tale, "cut", candidate, "--yes").code == 0
    tale.release_yaml(fix_line(tale.fix), version=candidate, extra=ON_BRANCH)
    tale.clone.commit(
        "chore: keep records on a branch", {"release.yaml": (tale.clone.path / "release.yaml").read_bytes()}
    )
    tale.clone.git("push", "--quiet", "origin", "main")
    install(tale.remote)
    other = fresh(tale)
    promoted = run(tale, "promote", candidate, VERSION, "--yes", cwd=other.path)
    assert promoted.code == 0, promoted.err
    assert kept(tale) == {f"release-records/{VERSION}", f"release-sources/{VERSION}", "notes/release"}
    for clone in (tale.clone, other, fresh(tale, "third")):
        for command in (("audit",), ("verify", candidate), ("verify", VERSION), ("show", candidate)):
            judged = run(tale, *command, cwd=clone.path)
            assert judged.code == 0, (clone.path.name, command, judged.out, judged.err)
    log = run(tale, "log", tale.fix, cwd=other.path).out.replace("  ", " ")
    assert log.count("(note") == 2, log


def test_a_server_that_hides_what_it_took_is_named(tale: Story) -> None:
    tale.remote.git("config", "uploadpack.hideRefs", "refs/release-records")
    declare(tale, "")
    hidden = run(tale, "cut", VERSION, "--yes", "--json")
    assert (hidden.code, hidden.json["error"]["code"]) == (7, "push-not-visible"), hidden.err
    assert "records: branch NAME" in hidden.err
    declare(tale, ON_BRANCH)
    assert run(tale, "cut", VERSION, "--yes").code == 0
    assert run(tale, "verify", VERSION).code == 0


@pytest.mark.wide
def test_none_are_kept(tale: Story) -> None:
    only_heads_and_tags(tale.remote)
    declare(tale, NONE)
    plan = run(tale, "plan", VERSION, "--json").json
    assert plan["tasks"] == ["pick", "tag", "land"]
    done = run(tale, "cut", VERSION, "--yes", "--json")
    assert (done.code, done.json["released"]) == (0, True), done.err
    again = run(tale, "cut", VERSION, "--yes", "--json")
    assert (again.code, again.json["released"]) == (0, False), again.err
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(tale.clone.path.parent / "second"))
    second = tale.clone.path.parent / "second"
    (second / "release.yaml").write_bytes((tale.clone.path / "release.yaml").read_bytes())
    for clone in (tale.clone.path, second):
        for command in (("audit",), ("verify", VERSION), ("notes", VERSION), ("log", tale.fix)):
            judged = run(tale, *command, cwd=clone)
            assert judged.code == 0, (clone.name, command, judged.out, judged.err)
    shown = run(tale, "show", VERSION)
    assert (shown.code, f"release verify {VERSION}" in shown.err) == (2, True), shown.err
    yanked = run(tale, "yank", VERSION, "--reason", "loses a batch", "--yes")
    assert (yanked.code, "`records: none` keeps none" in yanked.err) == (4, True), yanked.err
    assert f"release verify {VERSION}" in run(tale, "status", VERSION).out
    assert not other_refs(tale.remote)


@types("release/promotion.py: release cut {}")
def test_a_candidate_without_a_record_becomes_final_by_a_cut(tale: Story) -> None:
    candidate, fix = f"{VERSION}-rc.1", fix_line(tale.fix)
    tale.release_yaml(fix, version=candidate, extra=NONE)
    assert run(tale, "cut", candidate, "--yes").code == 0
    refused = run(tale, "promote", candidate, VERSION, "--yes")
    assert (refused.code, "`allow: [duplicate]`" in refused.err) == (4, True), refused.err
    tale.release_yaml(f"{fix}\n        allow: [duplicate]", extra=NONE)
    works(f"{said(refused, 'release cut')} --yes", tale.clone.path)
    for command in (("audit",), ("verify", VERSION), ("notes", VERSION)):
        assert run(tale, *command).code == 0, command


_RACE = """#!/bin/sh
[ "$1" = refs/heads/release-records ] && [ ! -e raced ] || exit 0
touch raced
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
made=$(GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a \\
  git commit-tree -m words "$(git mktree </dev/null)") && git update-ref "$1" "$made"
"""


@pytest.mark.wide
def test_somebody_else_is_faster_once(tale: Story) -> None:
    """The hook moves the branch while the push waits: what is kept is put on top of that."""
    hook = tale.remote.path / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_RACE)
    hook.chmod(0o755)
    declare(tale, ON_BRANCH)
    done = run(tale, "cut", VERSION, "--yes")
    assert done.code == 0, done.err
    assert "words" in tale.remote.git("log", "--format=%s", KEPT)
    assert f"release-records/{VERSION}" in kept(tale)


@pytest.mark.wide(6)
@pytest.mark.parametrize("number", range(7, 13))
def test_killed_after_the_push_then_run_again(tale: Story, number: int) -> None:
    only_heads_and_tags(tale.remote)
    declare(tale, ON_BRANCH)
    assert kills.killed_cut(tale.clone.path, "before", number, VERSION) == -9
    assert run(tale, "cut", VERSION, "--yes").code == 0
    assert kept(tale) >= {f"release-records/{VERSION}", f"release-sources/{VERSION}"}
    for command in (("audit",), ("verify", VERSION)):
        assert run(tale, *command, cwd=fresh(tale, command[0]).path).code == 0
