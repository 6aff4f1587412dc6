"""A release that landed and was never tagged: every commit of it is called what it is, and none of them foreign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import LOADER, Repo

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile

BY_HAND = LOADER.replace("def step_5():\n", 'def step_5():\n    """Closes what was opened."""\n')


def with_entries_by_hand(tale: Story) -> list[str]:
    """A list with a fix in other words (`backport:`), one that conflicts, a clean one, one that is left out."""
    clone = tale.clone
    worded = clone.commit("docs: the words of it", {"README.md": "# image\n\nless\n"})
    clean = clone.commit("fix: a file of its own", {"own.txt": "x\n"})
    left = clone.commit("docs: fewer words", {"README.md": "# image\n\nleast\n"})
    clone.git("checkout", "--quiet", "-b", "by-hand", "release/v2.7")
    hand = clone.commit("fix(loader): close the workers here", {"loader.py": BY_HAND})
    clone.git("checkout", "--quiet", "main")
    clone.git("push", "--quiet", "origin", "main", "by-hand")
    entries = [f"{{commit: {tale.fix}, backport: {hand}}}", *(f"{{commit: {sha}}}" for sha in (worded, clean, left))]
    tale.release_yaml("\n".join(f"      - {each}" for each in entries))
    return [tale.fix, worded, clean, left]


def resolved(tale: Story) -> None:
    """Cut v2.7.1: the first conflict is resolved, the second left out."""
    place = tale.clone.path
    assert release("cut", "v2.7.1", "--yes", cwd=place).code == 3
    tree = Repo(place / ".git/release/v2.7.1/worktree")
    tree.write("README.md", "# image, in other words\n")
    tree.git("add", "README.md")
    assert release("continue", "v2.7.1", "--yes", cwd=place).code == 3
    done = release("skip", "v2.7.1", "--reason", "not here", "--yes", cwd=place)
    assert done.code == 0, done.err


def untag(tale: Story) -> None:
    """As after an abort of what had landed: the branch has the commits, and nothing else tells of the release."""
    for repo in (tale.clone, tale.remote):
        gone = repo.git("for-each-ref", "--format=%(refname)", "refs/tags/v2.7.1", "refs/release-*").split()
        for ref in gone:
            repo.git("update-ref", "-d", ref)


def kinds(tale: Story) -> dict[str, str]:
    """Subject -> kind, of all commits of the branch."""
    ran = release("audit", "--json", cwd=tale.clone.path)
    assert ran.code == 9  # nobody answers for what was made by hand, until it is declared and tagged
    return {each["subject"]: each["kind"] for line in ran.json["lines"] for each in line["commits"]}


@pytest.mark.wide
def test_an_untagged_release_accuses_nobody(tale: Story) -> None:
    """A fix in other words (`backport:`), a resolved conflict, a clean pick and one left out; then its tag is gone."""
    with_entries_by_hand(tale)
    resolved(tale)
    untag(tale)
    assert kinds(tale) == {
        "fix(loader): close the workers here": "adapted",
        "docs: the words of it": "adapted",
        "fix: a file of its own": "proved",
        "chore(release): v2.7.1": "release",
    }
    clone = tale.clone
    clone.git("checkout", "--quiet", "--force", "-B", "work", "origin/release/v2.7")
    text = (clone.path / "CHANGELOG.md").read_text()
    clone.write("CHANGELOG.md", text.replace("the words of it", "no word of it"))
    clone.git("commit", "--quiet", "--amend", "--no-edit", "CHANGELOG.md")
    clone.git("push", "--quiet", "--force", "origin", "HEAD:release/v2.7")
    assert kinds(tale) == {
        "fix(loader): close the workers here": "forged",  # its source can be picked there
        "docs: the words of it": "unproved",
        "fix: a file of its own": "proved",
        "chore(release): v2.7.1": "foreign",
    }  # a release commit that is none answers for nothing
