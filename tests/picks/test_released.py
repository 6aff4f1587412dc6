"""Notes on source commits, and the question they answer: in which releases is this fix?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.git import notes
from orchestrator.git.repository import Repository
from tests.support.cli import release

if TYPE_CHECKING:
    from tests.support.story import Repo, Story

pytestmark = pytest.mark.history

COMMITTER = "Mia Maintainer <mia@example.com>"


def publish(repo: Repo, lines: dict[str, str]) -> None:
    repository = Repository.discover(repo.path)
    try:
        notes.publish(repository, remote="origin", lines=lines, committer=COMMITTER)
    finally:
        repository.close()


def note(repo: Repo, sha: str) -> str:
    return repo.attempt("cat-file", "blob", repo.git("notes", "--ref=release", "list", sha)).stdout


def colleague(tale: Story) -> Repo:
    """A second clone, with the notes of the remote where there are any."""
    path = tale.clone.path.parent / "colleague"
    tale.remote.git("clone", "--quiet", str(tale.remote.path), str(path))
    other = type(tale.clone)(path)
    other.git("config", "user.name", "Col")
    other.git("config", "user.email", "col@example.com")
    other.git("fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*")
    return other


PROSE = "Second thoughts:\n\n  z. it leaks\n  a. it leaks\n\nand it leaks\n  a. it leaks\n"


def test_a_text_of_somebody_else_survives_where_both_sides_wrote(tale: Story) -> None:
    """`git notes merge` would sort its lines, drop the blank ones, and the repeated one."""
    publish(tale.clone, {tale.fix: "in v2.7.0 as 0 on x"})
    other = colleague(tale)
    other.git("notes", "--ref=release", "add", "-f", "-F", "-", tale.fix, stdin="in v2.7.0 as 0 on x\n" + PROSE)
    other.git("push", "--quiet", "origin", "refs/notes/release")
    tale.clone.git("notes", "--ref=release", "append", "-m", "mine, not pushed yet", tale.fix)
    publish(tale.clone, {tale.fix: "in v2.7.1 as 1 on x"})
    for repo in (tale.clone, tale.remote):
        text = note(repo, tale.fix)
        assert text.startswith("in v2.7.0 as 0 on x\n" + PROSE)
        assert text.endswith("mine, not pushed yet\nin v2.7.1 as 1 on x\n")
        assert text.count("in v2.7.0") == 1
    assert tale.clone.git("for-each-ref", "refs/notes").count("\n") == 0  # nothing of the work is left


def test_what_one_side_alone_changed_is_taken_over(tale: Story) -> None:
    publish(tale.clone, dict.fromkeys((tale.fix, tale.before, tale.after), "in v2.7.0"))
    other = colleague(tale)
    other.git("notes", "--ref=release", "remove", tale.before)
    other.git("notes", "--ref=release", "add", "-f", "-m", "theirs", tale.after)
    other.git("notes", "--ref=release", "add", "-m", "new", tale.base)
    other.git("push", "--quiet", "origin", "refs/notes/release")
    tale.clone.git("notes", "--ref=release", "append", "-m", "mine", tale.fix)
    publish(tale.clone, {tale.fix: "in v2.7.1"})
    assert tale.before not in tale.remote.git("notes", "--ref=release", "list")
    assert note(tale.remote, tale.after) == "theirs\n"
    assert note(tale.remote, tale.base) == "new\n"
    assert note(tale.remote, tale.fix) == "in v2.7.0\n\nmine\nin v2.7.1\n"


def test_writing_a_line_again_makes_no_commit(tale: Story) -> None:
    publish(tale.clone, {tale.fix: "in v2.7.1"})
    before = tale.remote.rev(notes.REF)
    publish(tale.clone, {tale.fix: "in v2.7.1"})
    assert tale.remote.rev(notes.REF) == before


def test_many_notes_are_laid_out_as_git_does(tale: Story) -> None:
    """Beyond a few hundred, git spreads notes over directories; whoever writes must keep to it."""
    many = [f"{number:040x}" for number in range(1 << 128, (1 << 128) + 40)]
    spread = [f"{number * 7919:040x}"[::-1] for number in range(1, 600)]
    publish(tale.clone, dict.fromkeys((*many, *spread), "in v1"))
    publish(tale.clone, {tale.fix: "in v2.7.1"})
    assert any("/" in line for line in tale.remote.git("ls-tree", "-r", "--name-only", notes.REF).splitlines())
    assert note(tale.remote, tale.fix) == "in v2.7.1\n"
    assert len(tale.remote.git("notes", "--ref=release", "list").splitlines()) == len({*many, *spread}) + 1


# ------------------------------------------------------------------ release log


def cut(tale: Story, version: str, *fixes: str) -> str:
    """Release these; returns the commit of the last pick."""
    tale.release_yaml("\n".join(f"      - commit: {sha}" for sha in fixes), version=version)
    done = release("cut", version, "--yes", "--json", cwd=tale.clone.path)
    assert done.code == 0, done.err
    return tale.remote.rev(f"{version}^")


def log(tale: Story, sha: str, *args: str) -> dict[str, Any]:
    done = release("log", sha, "--json", *args, cwd=tale.clone.path)
    assert done.code == 0, done.err
    return done.json


def rows(found: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each["version"], each["sha"], tuple(each["signals"])) for each in found["releases"]]


@pytest.mark.wide
def test_log_says_which_release_has_a_fix_and_who_says_so(tale: Story) -> None:
    nowhere = release("log", tale.fix, cwd=tale.clone.path)
    assert nowhere.code == 0
    assert "in no release" in nowhere.out
    pick = cut(tale, "v2.7.1", tale.fix)
    cut(tale, "v2.7.2", tale.before)
    before = tale.clone.snapshot()
    shown = release("log", tale.fix[:9], cwd=tale.clone.path).out
    assert f"v2.7.1  as {pick[:12]} on release/v2.7  (note, trailer)" in shown
    assert f"v2.7.2  as {pick[:12]} on release/v2.7  (trailer)" in shown
    assert "v2.7.0" not in shown
    asked = log(tale, pick)  # the pick stands for its source
    assert asked["source"] == tale.fix
    assert rows(asked) == rows(log(tale, tale.fix))
    assert log(tale, tale.after)["releases"] == []
    assert tale.clone.snapshot() == before


def test_log_knows_what_only_the_remote_has(tale: Story) -> None:
    """A clone made before the release: tags and notes are looked at where they are, and stay there."""
    other = colleague(tale)
    pick = cut(tale, "v2.7.1", tale.fix)
    own = other.git("for-each-ref")
    found = release("log", tale.fix, "--json", cwd=other.path)
    assert rows(found.json) == [("v2.7.1", pick, ("note", "trailer"))]
    assert other.git("for-each-ref") == own
    assert release("log", tale.fix, "--json", "--offline", cwd=other.path).json["releases"] == []
    other.git("remote", "set-url", "origin", str(tale.remote.path) + "-gone")
    gone = release("log", tale.fix, "--json", cwd=other.path)
    assert gone.code == 0
    assert gone.json["releases"] == []
    assert "only this clone was checked" in gone.err


def test_log_follows_picks_of_picks_patches_and_the_commit_itself(tale: Story) -> None:
    clone = tale.clone
    pick = cut(tale, "v2.7.1", tale.fix)
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "-b", "release/v2.6", tale.base)
    clone.git("cherry-pick", "-x", pick)
    clone.git("commit", "--quiet", "--amend", "-m", f"fix\n\n(cherry picked from commit {pick})")
    clone.git("tag", "v2.6.9")
    clone.git("checkout", "--quiet", "-b", "release/v2.5", tale.base)
    clone.git("cherry-pick", tale.fix)
    clone.git("commit", "--quiet", "--amend", "-m", "the same, by hand")
    clone.git("tag", "v2.5.9")
    clone.git("tag", "v2.8.0", tale.after)
    clone.git("tag", "nightly", tale.after)
    found = log(tale, tale.fix)
    assert rows(found) == [
        ("v2.5.9", clone.rev("v2.5.9"), ("patch-id",)),
        ("v2.6.9", clone.rev("v2.6.9"), ("trailer",)),
        ("v2.7.1", pick, ("note", "trailer")),
        ("v2.8.0", tale.fix, ("itself",)),
    ]
    assert log(tale, clone.rev("v2.6.9"))["source"] == tale.fix


@pytest.mark.wide
def test_log_says_when_a_release_took_the_fix_back(tale: Story) -> None:
    clone = tale.clone
    pick = cut(tale, "v2.7.1", tale.fix)
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "--detach", "v2.7.1")
    for version in ("v2.7.2", "v2.7.3"):  # a revert, then a revert of the revert
        clone.minutes += 1
        clone.git("revert", "--no-edit", pick if version == "v2.7.2" else "HEAD")
        clone.git("tag", version)
    undone = {each["version"]: each["undone_by"] for each in log(tale, tale.fix)["releases"]}
    assert undone == {"v2.7.1": "", "v2.7.2": clone.rev("v2.7.2"), "v2.7.3": ""}
    assert f"taken back by {clone.rev('v2.7.2')[:12]}" in release("log", tale.fix, cwd=clone.path).out


def test_log_refuses_what_is_no_commit(tale: Story) -> None:
    for revision in ("0123abcd", "nowhere", "--all", f"{tale.fix}:loader.py", ""):
        refused = release("log", "--", revision, cwd=tale.clone.path)
        assert refused.code == 2, revision
        assert "[unknown-revision]" in refused.err
