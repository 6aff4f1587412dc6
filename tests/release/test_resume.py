"""The conflict flow: pause, status, continue, skip, abort; nothing lost, nothing public, all remaining picks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import LOADER, VERSION, Repo, Story, fix_line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def clash(tale: Story) -> Story:
    """The branch changed the very line that the fix changes; a clean pick stands before and one behind it."""
    tale.clone.git("checkout", "--quiet", "release/v2.7")
    tale.clone.commit("fix: hot", {"loader.py": LOADER.replace("return 5\n", "return 55\n")})
    tale.clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.clone.git("checkout", "--quiet", "main")
    tale.release_yaml("\n".join(fix_line(sha) for sha in (tale.before, tale.fix, tale.after)))
    return tale


def pause(clash: Story) -> tuple[Ran, Path]:
    paused = release("cut", VERSION, "--yes", cwd=clash.clone.path)
    assert paused.code == 3, paused.err
    return paused, clash.clone.path / ".git/release" / VERSION / "worktree"


def test_plan_goes_past_the_conflict(clash: Story) -> None:
    plan = release("plan", VERSION, "--json", cwd=clash.clone.path)
    assert plan.code == 3
    assert [pick["state"] for pick in plan.json["picks"]] == ["clean", "conflict", "clean"]
    assert plan.json["picks"][1]["conflicts"] == [{"path": "loader.py", "kind": "content"}]
    assert plan.json["problems"][0]["code"] == "conflict"


def test_pause_says_what_to_type_and_touches_nothing_else(clash: Story) -> None:
    before = clash.clone.snapshot()
    paused, tree = pause(clash)
    assert "release continue v2.7.1" in paused.err
    assert "<<<<<<<" in (tree / "loader.py").read_text()
    assert (tree / "trace.py").exists()  # the pick before it is there
    after = clash.clone.snapshot()
    for key in ("head", "index", "status", "config", "stash"):
        assert after[key] == before[key]
    assert clash.remote.git("tag") == "v2.7.0"
    assert "paused" in release("status", cwd=clash.clone.path).out


def test_continue_refuses_until_resolved_then_makes_all_picks(clash: Story) -> None:
    _, tree = pause(clash)
    assert "unmerged" in _continue(clash, 3).err
    clash_text = (tree / "loader.py").read_text()
    (tree / "loader.py").write_text(clash_text.replace("=======", ""))
    _git(tree, "add", "loader.py")
    assert "markers" in _continue(clash, 3).err
    (tree / "loader.py").write_text(LOADER.replace("return 5\n", "return 55  # closed\n"))
    assert "not added" in _continue(clash, 3).err
    _git(tree, "add", "loader.py")
    done = _continue(clash, 0)
    assert "v2.7.1 is released" in done.out
    text = clash.remote.git("show", "release/v2.7:loader.py")
    assert "return 55  # closed" in text
    assert "return 99" in text  # the pick behind the conflict
    assert not tree.exists()
    shown = release("show", VERSION, "--json", cwd=clash.clone.path).json
    assert [pick["state"] for pick in shown["picks"]] == ["clean", "adapted", "clean"]


def test_a_commit_made_in_the_worktree_is_taken(clash: Story) -> None:
    _, tree = pause(clash)
    (tree / "loader.py").write_text(LOADER.replace("return 5\n", "return 55  # closed\n"))
    _git(tree, "commit", "--quiet", "-a", "-m", "by habit")
    _continue(clash, 0)
    assert "return 55  # closed" in clash.remote.git("show", "release/v2.7:loader.py")


def test_plan_takes_a_resolution_as_input(clash: Story) -> None:
    _, tree = pause(clash)
    (tree / "loader.py").write_text(LOADER.replace("return 5\n", "return 55  # closed\n"))
    _git(tree, "add", "loader.py")
    moved = clash.clone.path.parent / "moved.git"
    clash.remote.path.rename(moved)  # the network goes away in the middle
    assert release("continue", cwd=clash.clone.path).code == 7
    moved.rename(clash.remote.path)
    plan = release("plan", VERSION, "--json", cwd=clash.clone.path)
    assert plan.code == 0
    assert plan.json["picks"][1]["state"] == "adapted"
    done = release("cut", VERSION, "--yes", "--json", cwd=clash.clone.path)
    assert done.json["commit_sha"] == plan.json["head"]


def test_skip_needs_a_reason_and_the_record_keeps_it(clash: Story) -> None:
    pause(clash)
    assert release("skip", cwd=clash.clone.path).code == 2
    done = release("cut", "--skip", "--reason", "not needed here", cwd=clash.clone.path)
    assert done.code == 0, done.err
    shown = release("show", VERSION, "--json", cwd=clash.clone.path).json
    assert [(each["source"], each["reason"]) for each in shown["skipped"]] == [(clash.fix, "not needed here")]
    assert "return 99" in clash.remote.git("show", "release/v2.7:loader.py")


def test_abort_restores_everything(clash: Story) -> None:
    before = clash.clone.snapshot()
    _, tree = pause(clash)
    (tree / "loader.py").write_text("half done\n")
    assert release("abort", cwd=clash.clone.path).code == 0
    assert clash.clone.snapshot() == before


def test_a_resolution_in_files_of_others_is_refused(clash: Story) -> None:
    """The command that is printed takes it back, and then all goes on."""
    _, tree = pause(clash)
    _git(tree, "checkout", "--theirs", "loader.py")
    (tree / "stray.py").write_text("x\n")
    _git(tree, "add", "loader.py", "stray.py")
    refused = _continue(clash, 5)
    assert "stray.py" in refused.err
    assert "[resolution-strays]" in refused.err
    back = next(part for part in refused.err.split(" && ") if part.startswith("git restore"))
    _git(tree, *back.split()[1:])
    assert not (tree / "stray.py").exists()
    _continue(clash, 0)


@pytest.mark.wide
@types("picks/classify.py: release abort", "picks/classify.py: release cut")
def test_one_that_strays_is_refused_at_skip_too(clash: Story) -> None:
    """What is kept of an earlier pick is looked at whenever the release goes on; what is printed leads out."""
    clone = clash.clone
    second = clone.commit("fix: words", {"README.md": "# fixed\n"})
    clone.git("push", "--quiet", "origin", "main")
    clash.release_yaml("\n".join(fix_line(sha) for sha in (clash.fix, second)))
    assert said(release("plan", VERSION, cwd=clone.path), "release cut") == "release cut"
    assert release("cut", VERSION, "--yes", cwd=clone.path).code == 3
    tree = clone.path / ".git/release" / VERSION / "worktree"
    _git(tree, "checkout", "--theirs", "loader.py")
    _git(tree, "add", "loader.py")
    assert release("continue", VERSION, "--yes", cwd=clone.path).code == 3  # the second waits now
    (kept,) = clone.git("for-each-ref", "--format=%(refname)", f"refs/release/{VERSION}/resolved").split()
    worker = Repo(tree)
    worker.git("checkout", "--quiet", "--force", "--detach", kept)
    stray = worker.commit("fix: more than that", {"stray.py": "x\n"})
    parent = clone.rev(f"{kept}^")
    clone.git("update-ref", kept, clone.git("commit-tree", f"{stray}^{{tree}}", "-p", parent, "-m", "stray"))
    refused = release("skip", VERSION, "--reason", "later", "--yes", cwd=clone.path)
    assert (refused.code, "[resolution-strays]" in refused.err, "stray.py" in refused.err) == (5, True, True), (
        refused.err
    )
    works(said(refused, "release abort"), clone.path)
    again = typed("release cut --yes", clone.path)
    assert (again.returncode, "loader.py" in again.stderr) == (3, True)


def test_empty_resolution_is_sent_to_skip(clash: Story) -> None:
    _, tree = pause(clash)
    _git(tree, "checkout", "HEAD", "--", "loader.py")
    ran = _continue(clash, 5)
    assert "release skip" in ran.err


def test_backport_is_applied_in_place_of_its_source(clash: Story) -> None:
    clash.clone.git("checkout", "--quiet", "-b", "hand", "origin/release/v2.7")
    hand = clash.clone.commit(
        "fix(loader): close, by hand", {"loader.py": LOADER.replace("return 5\n", "return 5  # hand\n")}
    )
    clash.clone.git("checkout", "--quiet", "main")
    clash.release_yaml(fix_line(clash.fix) + f"\n        backport: {hand}")
    plan = release("plan", VERSION, "--json", cwd=clash.clone.path)
    assert plan.code == 0
    assert plan.json["picks"][0]["state"] == "adapted"
    assert release("cut", VERSION, "--yes", cwd=clash.clone.path).code == 0
    assert "# hand" in clash.remote.git("show", "release/v2.7:loader.py")
    assert f"(cherry picked from commit {clash.fix})" in clash.remote.git("log", "-1", "--format=%B", "release/v2.7^")


def test_publish_accepts_an_adapted_pick(clash: Story, tmp_path: Path) -> None:
    _, tree = pause(clash)
    (tree / "loader.py").write_text(LOADER.replace("return 5\n", "return 55  # closed\n"))
    _git(tree, "add", "loader.py")
    _continue(clash, 0)
    clash.clone.git("clone", "--quiet", str(clash.remote.path), str(tmp_path / "ci"))
    done = release("publish", VERSION, cwd=tmp_path / "ci")
    assert done.code == 0, done.err


def _continue(clash: Story, code: int) -> Ran:
    ran = release("continue", cwd=clash.clone.path)
    assert ran.code == code, ran.err
    return ran


def _git(tree: Path, *args: str) -> None:
    from tests.support.story import Repo

    Repo(tree, env={"GIT_EDITOR": "true"}).git(*args)
