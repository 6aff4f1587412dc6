"""A request that somebody opened by hand, of commits that no plan proposed, and what the forge made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenarios.test_landing import unprotect
from tests.support.cli import release
from tests.support.forge_repo import BRANCH, ForgeRepo, protect
from tests.support.remedies import said, typed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history


@pytest.mark.wide(2)
@pytest.mark.parametrize("how", ["squash", "rebase"])
def test_what_a_forge_made_of_commits_that_no_plan_proposed(tale: Story, tmp_path: Path, how: str) -> None:
    """The push was refused, somebody opened a request by hand, and the forge squashed it: the same command goes on."""
    tale.release_yaml(f"      - commit: {tale.fix}")
    protect(tale.remote)
    refused = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert "[push-rejected]" in refused.err, refused.err
    planned = tale.clone.rev("refs/release/v2.7.1/candidate")
    tale.clone.git("push", "--quiet", "origin", f"{planned}:refs/heads/by-hand")
    ForgeRepo.of(tale, tmp_path / "forge").merge("by-hand", how)
    again = said(release("status", "v2.7.1", cwd=tale.clone.path), "release cut")
    assert typed(f"{again} --yes", tale.clone.path).returncode == 0
    tale.remote.git("update-ref", "-d", "refs/heads/by-hand")
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(tmp_path / "fresh"))
    unprotect(tale.remote)
    for clone in (tale.clone.path, tmp_path / "fresh"):
        for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
            judged = release(*command, cwd=clone)
            assert judged.code == 0, (clone.name, command, judged.out, judged.err)
    assert tale.remote.rev("v2.7.1^{commit}") == tale.remote.rev(BRANCH)
