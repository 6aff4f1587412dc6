"""`release publish` of a tag that is another one here than on the remote: both are named, and a way out that works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history


def cut(tale: Story, version: str = "v2.7.1", fix: str = "") -> str:
    tale.release_yaml(f"      - commit: {fix or tale.fix}", version=version)
    ran = release("cut", version, "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    return tale.remote.rev(f"refs/tags/{version}")


def other_clone(tale: Story, place: Path) -> Repo:
    tale.clone.git("clone", "--quiet", str(tale.remote.path), str(place))
    clone = Repo(place)
    clone.git("config", "user.name", "Col")
    clone.git("config", "user.email", "col@example.com")
    return clone


@types("session/published.py: git fetch --force {} refs/tags/{}:refs/tags/{}")
@pytest.mark.wide(4)
@pytest.mark.parametrize("where", ["main", "v2.7.1^{commit}", "v2.7.0"])
def test_another_tag_here(tale: Story, tmp_path: Path, where: str) -> None:
    """On a commit with a release.yaml, and on one without."""
    there = cut(tale)
    clone = other_clone(tale, tmp_path / "col")
    clone.git("tag", "--force", "-a", "-m", "mine", "v2.7.1", "origin/main" if where == "main" else where)
    here = clone.rev("refs/tags/v2.7.1")
    ran = release("publish", "v2.7.1", cwd=clone.path)
    assert (ran.code, f"tag v2.7.1 is {here} here and {there} on origin [tag-differs]" in ran.err) == (9, True), ran.err
    judged = release("verify", "v2.7.1", cwd=clone.path)
    assert (judged.code, f"the tag here is {here}, origin says {there}" in judged.out) == (9, True), judged.out
    works(said(ran, "git fetch"), clone.path)
    assert release("publish", "v2.7.1", cwd=clone.path).code == 0


@pytest.mark.wide
@types("session/published.py: git push {} refs/tags/{}", "session/published.py: git tag -d {}")
def test_a_tag_that_the_remote_lost(tale: Story) -> None:
    there = cut(tale)
    tale.remote.git("update-ref", "-d", "refs/tags/v2.7.1")
    ran = release("publish", "v2.7.1", cwd=tale.clone.path)
    assert (ran.code, f"is {there} here and not there on origin" in ran.err) == (9, True), ran.err
    works(said(ran, "git push"), tale.clone.path)
    assert release("publish", "v2.7.1", cwd=tale.clone.path).code == 0
    works(said(ran, "git tag -d"), tale.clone.path)


@pytest.mark.wide
def test_a_promoted_tag(tale: Story, tmp_path: Path) -> None:
    cut(tale, "v2.7.1-rc.1")
    promoted = release("promote", "v2.7.1-rc.1", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert promoted.code == 0, promoted.err
    final = tale.remote.rev("refs/tags/v2.7.1")
    tale.remote.git("update-ref", "-d", "refs/tags/v2.7.1")
    lost = release("publish", "v2.7.1", cwd=tale.clone.path)
    assert (lost.code, final in lost.err) == (9, True), lost.err
    works(said(lost, "git push"), tale.clone.path)
    clone = other_clone(tale, tmp_path / "col")
    clone.git("update-ref", "refs/tags/v2.7.1", clone.rev("refs/tags/v2.7.0"))
    works(said(release("publish", "v2.7.1", cwd=clone.path), "git fetch"), clone.path)
    for key in ("user.name", "user.email"):
        clone.git("config", "--unset", key)
    clone.git("config", "user.useConfigOnly", "true")
    assert "[no-identity]" in release("yank", "v2.7.1", "--reason", "x", "--yes", cwd=clone.path).err
    for _ in range(2):  # it writes nothing that needs a name
        done = release("publish", "v2.7.1", cwd=clone.path)
        assert done.code == 0, done.err


def test_what_keeps_the_sources_is_lost_and_written_again(tale: Story, tmp_path: Path) -> None:
    """By the clone that released, whose release is finished before and after, and by one that knows nothing of it."""
    cut(tale)
    ref = "refs/release-sources/v2.7.1"
    kept = tale.remote.rev(ref)
    for clone in (tale.clone, other_clone(tale, tmp_path / "col")):
        tale.remote.git("update-ref", "-d", ref)
        assert release("audit", cwd=clone.path).code == 0, "all that it took is on main, too"
        assert release("publish", "v2.7.1", cwd=clone.path).code == 0
        assert tale.remote.rev(ref) == kept
        told = release("status", "v2.7.1", cwd=clone.path)
        assert "v2.7.1: released and complete" in told.out, told.out + told.err


@types("report/audit.py: release publish VERSION")
def test_sources_that_one_clone_alone_has_come_back_as_is_printed(tale: Story, tmp_path: Path) -> None:
    """A topic branch is deleted, and what keeps it too: other clones cannot prove the release, and say who can."""
    tale.clone.git("checkout", "--quiet", "-b", "topic", tale.base)
    fix = tale.clone.commit("fix: of a topic", {"topic.py": "1\n"})
    tale.clone.git("push", "--quiet", "origin", "topic")
    tale.clone.git("checkout", "--quiet", "main")
    cut(tale, fix=fix)
    for ref in ("refs/heads/topic", "refs/release-sources/v2.7.1"):
        tale.remote.git("update-ref", "-d", ref)
    tale.remote.git("gc", "--quiet", "--prune=now")
    tale.remote.git("config", "uploadpack.allowAnySHA1InWant", "false")
    clone = other_clone(tale, tmp_path / "col")
    for command in (("audit",), ("publish", "v2.7.1")):
        ran = release(*command, cwd=clone.path)
        assert (ran.code != 0, "release publish v2.7.1" in ran.out + ran.err) == (True, True), ran.out + ran.err
    assert "refs/release-sources/v2.7.1 is not on origin" in release("audit", cwd=tale.clone.path).out
    works(said(release("audit", cwd=clone.path), "release publish"), tale.clone.path)
    assert "is not on origin" not in release("audit", cwd=tale.clone.path).out
    for command in (("audit",), ("publish", "v2.7.1")):
        assert release(*command, cwd=clone.path).code == 0
