"""What a clone calls its remote is its own affair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


def test_a_remote_of_another_name_is_looked_at_without_release_yaml(tale: Story, tmp_path: Path) -> None:
    """As `git clone -o upstream` names it; with a second one beside it, `origin` goes first."""
    copy = tmp_path / "copy"
    tale.clone.git("clone", "--quiet", "-o", "upstream", str(tale.remote.path), str(copy))
    audited = release("audit", cwd=copy)
    assert (audited.code, "release/v2.7: " in audited.out) == (0, True), audited.err
    tale.clone.git("-C", str(copy), "remote", "add", "origin", str(tmp_path / "nowhere"))
    assert release("audit", cwd=copy).code == 2  # which has no release branch
