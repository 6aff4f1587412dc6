"""`release` alone: where the repository stands, and commands that work, whatever is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import release
from tests.support.remedies import typed
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


def first_command(cwd: Path) -> str:
    """The first that it names, after it said how things stand."""
    shown = release(cwd=cwd)
    assert (shown.code, shown.err) == (0, "")
    return shown.out.partition("\n\n  ")[2].partition("   ")[0]


def test_from_nothing_to_a_release_by_its_first_command_alone(tale: Story) -> None:
    clone = tale.clone.path
    assert first_command(clone) == "release init"
    assert typed("release init", clone).returncode == 0
    assert VERSION not in release(cwd=clone).out
    tale.release_yaml(fix_line(tale.fix))
    assert first_command(clone) == f"release plan {VERSION}"
    assert typed(f"release plan {VERSION}", clone).returncode == 0
    assert f"release cut {VERSION}" in release(cwd=clone).out
    assert release("cut", VERSION, "--yes", cwd=clone).code == 0
    shown = release(cwd=clone)
    assert f"the newest version here is {VERSION}" in shown.out
    assert typed(f"release show {VERSION}", clone).returncode == 0
    assert first_command(clone) == "release candidates"


def test_a_release_in_progress_comes_first(tale: Story) -> None:
    tale.clone.commit("feat: new", {"new.py": "1\n"})
    fix = tale.clone.commit("fix: one", {"new.py": "2\n", "loader.py": "# fixed\n"})
    tale.clone.git("push", "--quiet", "--all")
    tale.release_yaml(fix_line(fix))
    assert release("cut", VERSION, "--yes", "--effort", "0", cwd=tale.clone.path).code == 3
    shown = release(cwd=tale.clone.path)
    assert shown.code == 0
    assert f"{VERSION}: paused on a conflict" in shown.out
    assert f"release continue {VERSION}" in release("--json", cwd=tale.clone.path).json["next"][1]


def test_where_nothing_can_be_told_it_says_why(tale: Story, tmp_path: Path) -> None:
    assert "not in a git repository" in release(cwd=tmp_path).out
    (tale.clone.path / "release.yaml").write_text("version: 9\n")
    assert first_command(tale.clone.path) == "release check"
