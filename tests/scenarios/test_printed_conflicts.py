"""What is printed while a release is paused on a conflict, typed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.scenarios.test_printed_commands import cut
from tests.support.cli import Ran, release
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import VERSION, Repo, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


def paused(tale: Story) -> Path:
    """The worktree of a conflict in a file of both."""
    tale.clone.commit("refactor: words", {"README.md": "# other\n"})
    fix = tale.clone.commit("fix: words", {"README.md": "# fixed\n"})
    tale.clone.git("push", "--quiet", "--all")
    tale.release_yaml(fix_line(fix))
    assert cut(tale.clone.path).code == 3
    return tale.clone.path / f".git/release/{VERSION}/worktree"


def go_on(tale: Story) -> Ran:
    return release("continue", VERSION, "--yes", cwd=tale.clone.path)


@pytest.mark.wide(3)
@types("git/worktree.py: git add -- {}", "git/worktree.py: cd {}")
@pytest.mark.parametrize("left", ["markers", "edited", "unmerged"])
def test_a_resolution_that_is_not_finished(tale: Story, left: str) -> None:
    tree = paused(tale)
    if left == "markers":
        Repo(tree).git("add", "README.md")
    elif left == "edited":
        (tree / "README.md").write_text("# one\n")
        Repo(tree).git("add", "README.md")
    refused = go_on(tale) if left != "edited" else None
    (tree / "README.md").write_text("# fixed here\n")
    refused = refused or go_on(tale)
    assert refused.code == 3, refused.err
    works(said(refused, "cd "), tale.clone.path)
    assert tale.remote.git("show", f"{VERSION}:README.md") == "# fixed here"


@types("git/worktree.py: git reset --soft {}")
def test_commits_in_the_worktree(tale: Story) -> None:
    tree = paused(tale)
    for text in ("# one\n", "# fixed here\n"):
        (tree / "README.md").write_text(text)
        Repo(tree).git("commit", "--quiet", "--all", "-m", "mine")
    works(said(go_on(tale), "cd "), tale.clone.path)
    assert tale.remote.git("show", f"{VERSION}:README.md") == "# fixed here"


@types("release/resume.py: git restore --source={} --staged --worktree -- {}", "release/resume.py: release continue {}",
       "release/resume.py: cd {}")  # fmt: skip
def test_a_resolution_that_strays(tale: Story) -> None:
    tree = paused(tale)
    (tree / "README.md").write_text("# fixed here\n")
    (tree / "loader.py").write_text("mine\n")
    Repo(tree).git("add", "--all")
    works(said(go_on(tale), "cd "), tale.clone.path)
    assert tale.remote.git("show", f"{VERSION}:README.md") == "# fixed here"


@types('release/resume.py: release skip --reason "..."')
def test_a_skip_without_a_reason(tale: Story) -> None:
    paused(tale)
    works(f"{said(release('skip', VERSION, cwd=tale.clone.path), 'release skip')} --yes", tale.clone.path)
    assert is_out(tale)


@pytest.mark.wide(3)
@types('release/modes/paused.py: release skip {} --reason "..."', 'release/status.py: release skip {} --reason "..."')
@pytest.mark.parametrize("where", ["pause", "status", "empty"])
def test_a_pick_that_is_left_out(tale: Story, where: str) -> None:
    """`skip`, as the pause, `status`, and a resolution that changes nothing print it."""
    tree = paused(tale)
    if where == "empty":
        Repo(tree).git("checkout", "--quiet", "HEAD", "--", "README.md")
    told = {
        "pause": lambda: cut(tale.clone.path), "empty": lambda: go_on(tale),
        "status": lambda: release("status", VERSION, cwd=tale.clone.path),
    }[where]()  # fmt: skip
    works(f"{said(told, 'release skip')} --yes", tale.clone.path)
    assert is_out(tale)


def is_out(tale: Story) -> bool:
    return tale.remote.attempt("rev-parse", "--verify", "--quiet", f"refs/tags/{VERSION}").returncode == 0


@pytest.mark.wide(2)
@types("release/resume.py: release cut {}", "release/status.py: release cut {}", "release/status.py: release abort {}")
@pytest.mark.parametrize("way", ["continue", "status"])
def test_a_worktree_that_somebody_removed(tale: Story, way: str) -> None:
    tree = paused(tale)
    shutil.rmtree(tree)
    told = go_on(tale) if way == "continue" else release("status", VERSION, cwd=tale.clone.path)
    again = typed(said(told, f"release cut {VERSION}"), tale.clone.path)
    assert (again.returncode, tree.exists()) == (3, True)
    shutil.rmtree(tree)
    works(said(release("status", VERSION, cwd=tale.clone.path), "release abort"), tale.clone.path)


@types("release/resume.py: release status", "release/resume.py: release plan", "release/resume.py: release cut")
def test_nothing_is_in_progress(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    works(said(release("abort", VERSION, cwd=tale.clone.path), "release status"), tale.clone.path)
    told = release("abort", cwd=tale.clone.path)
    works(said(told, "release plan"), tale.clone.path)
    works(f"{said(told, 'release cut')} --yes", tale.clone.path)
    assert is_out(tale)
