"""Merges that are picked or taken back as a whole: what is there is what came to the parent that was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import lines

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.history


@pytest.mark.wide(2)
@pytest.mark.parametrize(("mainline", "adapted"), [(2, True), (2, False), (1, False)])
def test_what_came_to_the_parent_that_was_kept(tale: Story, mainline: int, adapted: bool) -> None:
    """Both sides change the same file; one pick of the merge is by hand and in other words."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: data", {"data.txt": lines(40)})
    clone.git("tag", "-f", "-a", "-m", "again", "v2.7.0")
    clone.git("push", "--quiet", "--force", "origin", "release/v2.7", "v2.7.0")
    clone.git("checkout", "--quiet", "-b", "work", "release/v2.7")
    theirs = clone.commit("fix: theirs", {"data.txt": lines(40, l9="theirs", l10="more")})
    clone.git("checkout", "--quiet", "-b", "ours", "release/v2.7")
    ours = clone.commit("fix: ours", {"data.txt": lines(40, l30="ours", l31="more")})
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge work", "work")
    merge = clone.rev("HEAD")
    clone.git("push", "--quiet", "origin", "ours:main", "--force")
    there, away = (theirs, ours) if mainline == 1 else (ours, theirs)
    if adapted:
        clone.git("checkout", "--quiet", "release/v2.7")
        message = f"Merge work\n\n(cherry picked from commit {merge})"
        clone.commit(message, {"data.txt": lines(40, l30="in our words", l31="more")})
        clone.git("tag", "-a", "-m", "by hand", "v2.7.1")
        clone.git("push", "--quiet", "origin", "release/v2.7", "v2.7.1")
        tale.declare("version: 1\nbranch: release/v2.7\nsource: main\n")
    else:
        tale.release_yaml(f"      - commit: {merge}\n        mainline: {mainline}")
        cut = release("cut", "v2.7.1", "--yes", cwd=clone.path)
        assert cut.code == 0, cut.err
    for sha, versions in ((there, ["v2.7.1"]), (away, []), (merge, ["v2.7.1"])):
        told = release("log", sha, "--json", cwd=clone.path).json["releases"]
        assert [each["version"] for each in told] == versions, sha
    found = release("duplicates", "--json", cwd=clone.path).json["duplicates"]
    assert [each["commit"] for each in found] == [there]
    asked = release("candidates", "--json", cwd=clone.path).json["candidates"]
    assert {each["sha"] for each in asked} & {ours, theirs} == {away}
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "--detach", "origin/release/v2.7")
    clone.git("revert", "--no-edit", "HEAD" if adapted else "HEAD~1")
    clone.git("push", "--quiet", "origin", "HEAD:release/v2.7")
    assert release("duplicates", "--json", cwd=clone.path).json["duplicates"] == []
