"""A proposed release in another clone than the one that proposed it, and what became of its branch and its request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.forge_repo import BRANCH, ForgeRepo
from tests.support.guarded import install
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import Repo, fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
CANDIDATE = "release-candidate/v2.7.1"
TAG = "refs/tags/v2.7.1"


@types("release/modes/landing.py: git push {} {}:refs/heads/{}", "release/modes/landing.py: release abort {}")
def test_its_branch_is_gone_and_another_clone_gives_it_up(tale: Story, tmp_path: Path) -> None:
    remote, here = tale.remote, tale.clone.path
    tale.release_yaml(fix_line(tale.fix), extra="land: pull-request\n")
    assert release("cut", "v2.7.1", "--yes", cwd=here).code == 10
    other = Repo(tmp_path / "other")
    tale.clone.git("clone", "--quiet", str(remote.path), str(other.path))
    remote.git("update-ref", "-d", f"refs/heads/{CANDIDATE}")
    gone = release("cut", "v2.7.1", "--yes", cwd=here)
    assert (gone.code, f"branch {CANDIDATE} is gone from origin" in gone.err) == (9, True), gone.err
    assert "is gone from origin" in release("status", "v2.7.1", cwd=here).out
    works(said(gone, "git push origin"), here)
    assert release("cut", "v2.7.1", "--yes", cwd=here).code == 10
    status = release("status", "v2.7.1", "--json", cwd=other.path).json["releases"][0]
    assert (status["state"], status["next"][0]) == ("proposed", "release publish v2.7.1   (once it is merged)")
    waits = release("publish", "v2.7.1", cwd=other.path)
    assert (waits.code, said(waits, "release publish")) == (10, "release publish v2.7.1"), waits.err
    works(said(waits, "release abort"), other.path)
    assert not remote.git("for-each-ref", "refs/release-candidates", f"refs/heads/{CANDIDATE}")
    assert release("abort", "v2.7.1", cwd=other.path).code == 2  # there is nothing left


@types("release/modes/landing.py: release publish {}")
def test_a_release_commit_alone_is_squashed_and_a_bare_clone_goes_on(tale: Story, tmp_path: Path) -> None:
    """Under another title, on a server with the hook; a clone without files, folders, tags and main publishes it."""
    remote, forge = tale.remote, ForgeRepo.of(tale, tmp_path / "forge")
    remote.git("config", "uploadpack.allowFilter", "true")
    tale.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    closed = tale.clone.git("show", f"{tale.fix}:loader.py") + "\n"
    forge.commit(f"fix(loader): close (#5)\n\n(cherry picked from commit {tale.fix})", {"loader.py": closed})
    tale.release_yaml("", extra="land: pull-request\n")
    text = (tale.clone.path / "release.yaml").read_text().replace("    fixes:\n\n", "    from-branch: true\n")
    tale.clone.commit("chore: declare", {"release.yaml": text})
    tale.clone.git("push", "--quiet", "origin", "main")
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 10
    assert install(remote, quick=True).code == 0
    made = forge.merge(CANDIDATE, "squash", message="A title of our own (#12)\n\nCo-authored-by: F <f@example.com>")
    assert f"merged into {BRANCH}, as {made[:12]}" in release("status", "v2.7.1", cwd=tale.clone.path).out
    remote.git("update-ref", "-d", f"refs/heads/{CANDIDATE}")
    remote.git("update-ref", "refs/release-candidates/v2.6.9", made)  # of another line, and no proposal
    bare = ("--filter=tree:0", "--single-branch", "--no-tags")
    tale.clone.git("clone", "--quiet", *bare, f"file://{remote.path}", str(tmp_path / "job"))
    job = Repo(tmp_path / "job")
    job.git("config", "user.name", "The Pipeline")
    job.git("config", "user.email", "ci@forge.example")
    stopped = release("cut", "v2.7.1", "--yes", cwd=job.path)
    assert (stopped.code, "was proposed by Mia Maintainer, and has landed" in stopped.err) == (4, True), stopped.err
    done = release("publish", "--landed", "--json", cwd=job.path)
    assert (done.code, "v2.6.9 was passed over" in done.err) == (0, True), done.err
    works(said(stopped, "release publish"), job.path)
    assert remote.rev(f"{TAG}^{{commit}}") == made
    remote.git("update-ref", "-d", "refs/release-candidates/v2.6.9")
    tale.clone.git("clone", "--quiet", "--filter=blob:none", f"file://{remote.path}", str(tmp_path / "judge"))
    for place in (job.path, tmp_path / "judge"):
        for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
            judged = release(*command, cwd=place)
            assert judged.code == 0, (place.name, command, judged.out, judged.err)


@pytest.mark.wide
@types("release/modes/landing.py: release cut {}")
def test_a_candidate_and_its_final_version_are_proposed_at_once(tale: Story, tmp_path: Path) -> None:
    """The one that lands first is released; the other is said to be overtaken, and blames nobody."""
    here, remote, forge = tale.clone.path, tale.remote, ForgeRepo.of(tale, tmp_path / "forge")
    tale.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    entries = [f"  {version}:\n    fixes:\n{fix_line(tale.fix)}\n" for version in ("v2.7.1-rc.1", "v2.7.1")]
    tale.release_yaml(fix_line(tale.fix), extra="land: pull-request\n")
    head, _, end = (here / "release.yaml").read_text().partition("  v2.7.1:\n")
    text = f"{head}{''.join(entries)}land:{end.partition('land:')[2]}"
    tale.clone.commit("chore: declare both", {"release.yaml": text})
    tale.clone.git("push", "--quiet", "origin", "main")
    for version in ("v2.7.1-rc.1", "v2.7.1"):
        assert release("cut", version, "--yes", cwd=here).code == 10
    forge.merge("release-candidate/v2.7.1-rc.1", "merge")
    tale.clone.git("clone", "--quiet", str(remote.path), str(tmp_path / "job"))
    for said_ in ("v2.7.1-rc.1 is released", "nothing to publish"):
        job = release("publish", "--landed", cwd=tmp_path / "job")
        assert (job.code, said_ in job.out, job.err.count("note: v2.7.1-rc.1 landed on release/v2.7 first")) == (
            0, True, 1,
        ), job.err  # fmt: skip
        assert "passed over" not in job.err
    waits = release("publish", "v2.7.1", cwd=tmp_path / "job")
    assert (waits.code, "v2.7.1-rc.1 landed on release/v2.7 first" in waits.err) == (9, True), waits.err
    stopped = typed(f"{said(waits, 'release cut v2.7.1')} --yes", here)
    assert (stopped.returncode, "duplicate-pick" in stopped.stderr) == (5, True), stopped.stderr
    assert "v2.7.1-rc.1 landed" in release("status", "v2.7.1", cwd=here).out
    before, _, after = text.partition("  v2.7.1:\n")
    tale.declare(f"{before}  v2.7.1:\n{after.replace(tale.fix, f'{tale.fix}{chr(10)}        allow: [duplicate]', 1)}")
    assert release("cut", "v2.7.1", "--yes", cwd=here).code == 10
    forge.merge(CANDIDATE, "squash")
    done = release("cut", "v2.7.1", "--yes", cwd=here)
    assert done.code == 0, done.err
    assert release("status", "v2.7.1-rc.1", cwd=here).out.startswith("v2.7.1-rc.1: released and complete")
    for command in (("audit",), ("verify", "v2.7.1"), ("verify", "v2.7.1-rc.1"), ("publish", "v2.7.1")):
        judged = release(*command, cwd=here)
        assert judged.code == 0, (command, judged.out, judged.err)


@types("release/modes/landing.py: release abort {}")
def test_a_candidate_that_its_final_version_overtook_is_given_up(tale: Story, tmp_path: Path) -> None:
    here, remote = tale.clone.path, tale.remote
    tale.release_yaml(fix_line(tale.fix), version="v2.7.1-rc.1", extra="land: pull-request\n")
    assert release("cut", "v2.7.1-rc.1", "--yes", cwd=here).code == 10
    tale.release_yaml(fix_line(tale.fix), extra="land: push\n")
    assert release("cut", "v2.7.1", "--yes", cwd=here).code == 0
    ran = release("cut", "v2.7.1-rc.1", "--yes", cwd=here)
    assert (ran.code, "v2.7.1 landed on release/v2.7 first" in ran.err, "release cut" in ran.err) == (9, True, False)
    works(said(ran, "release abort"), here)
    assert not remote.git("for-each-ref", "refs/release-candidates", "refs/heads/release-candidate")
