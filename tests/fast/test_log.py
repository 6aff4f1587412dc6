"""Notes on source commits, and the question they answer: in which releases is this fix?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.git import notes
from orchestrator.git.repository import Repository

if TYPE_CHECKING:
    from tests.support.story import Repo, Story

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
    publish(tale.clone, {sha: "in v2.7.0" for sha in (tale.fix, tale.before, tale.after)})
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
    publish(tale.clone, {sha: "in v1" for sha in (*many, *spread)})
    publish(tale.clone, {tale.fix: "in v2.7.1"})
    assert any("/" in line for line in tale.remote.git("ls-tree", "-r", "--name-only", notes.REF).splitlines())
    assert note(tale.remote, tale.fix) == "in v2.7.1\n"
    assert len(tale.remote.git("notes", "--ref=release", "list").splitlines()) == len({*many, *spread}) + 1
