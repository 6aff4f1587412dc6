"""Every command that the program prints is typed, verbatim, and leaves the state in which it was printed.

`tests/support/printed.py` collects them from the source; what no test can type stands in `NOT_TYPED` with its reason.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.git.process import lock_remedy
from tests.support.cli import Ran, release
from tests.support.printed import types
from tests.support.remedies import said, typed, works
from tests.support.story import VERSION, Repo, fix_line, make_repo
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.story import Story

ODD = "up&stream"  # a legal name of a remote that a shell would take apart


# ------------------------------------------------------------------ clones, branches, sources


def cut(clone: Path, *args: str) -> Ran:
    return release("cut", VERSION, "--yes", "--effort", "0", *args, cwd=clone)


def plan(clone: Path, *args: str) -> Ran:
    return release("plan", VERSION, "--effort", "0", *args, cwd=clone)


@pytest.fixture
def odd(tale: Story) -> Story:
    """The story with a remote of another name."""
    tale.clone.git("remote", "rename", "origin", ODD)
    return tale


def declared(tale: Story, *, more: str = "") -> None:
    tale.release_yaml(fix_line(tale.fix), extra=f"remote: '{ODD}'\n{more}")


def cloned(tale: Story, *args: str) -> Repo:
    """Another clone, whose remote is called oddly; it holds the release.yaml of the first."""
    there = Repo(tale.clone.path.parent / "other clone")
    tale.clone.git("clone", "--quiet", "--origin", ODD, *args, f"file://{tale.remote.path}", str(there.path))
    there.git("config", "user.name", "Mia Maintainer")
    there.git("config", "user.email", "mia@example.com")
    there.write("release.yaml", (tale.clone.path / "release.yaml").read_bytes())
    return there


@types("session/clone/history.py: git fetch --unshallow --tags {}")
def test_a_shallow_clone(odd: Story) -> None:
    declared(odd)
    there = cloned(odd, "--depth=1", "--no-single-branch")
    works(said(plan(there.path, "--offline"), "git fetch --unshallow"), there.path)
    assert plan(there.path).code == 0


@types("session/clone/contents.py: git fetch --refetch --no-filter {} && git config --unset {}")
def test_a_partial_clone(odd: Story) -> None:
    declared(odd)
    odd.remote.git("config", "uploadpack.allowFilter", "true")
    there = cloned(odd, "--filter=blob:none")
    works(said(plan(there.path, "--offline"), "git fetch --refetch"), there.path)
    assert plan(there.path).code == 0


@types("session/branch_state.py: git fetch --tags {} {}")
def test_a_clone_of_one_branch_alone(odd: Story) -> None:
    declared(odd)
    there = cloned(odd, "--single-branch", "--branch=main", "--no-tags")
    unknown = release("log", "fix/dataloader-leak", cwd=there.path)
    assert unknown.code == 2
    works(said(unknown, "git fetch --tags"), there.path)
    assert release("log", "fix/dataloader-leak", cwd=there.path).code == 0
    assert cut(there.path).code == 0


@types("session/branch_state.py: git fetch {} {}")
def test_a_source_that_was_never_fetched(odd: Story) -> None:
    odd.release_yaml(fix_line(odd.fix), extra=f"remote: '{ODD}'\n")
    text = (odd.clone.path / "release.yaml").read_text().replace("source: main", "source: fix/dataloader-leak")
    odd.declare(text)
    there = cloned(odd, "--single-branch", "--branch=main")
    works(f"git fetch '{ODD}' 'release/v2.7:refs/remotes/{ODD}/release/v2.7'", there.path)
    works(said(plan(there.path, "--offline"), f"git fetch '{ODD}' '+refs"), there.path)
    assert "no-source" not in plan(there.path, "--offline").err


@types("session/branch_state.py: git ls-remote --heads {}")
def test_a_source_that_is_nowhere(odd: Story) -> None:
    declared(odd)
    odd.declare((odd.clone.path / "release.yaml").read_text().replace("source: main", "source: mian"))
    assert "refs/heads/main" in works(said(plan(odd.clone.path), "git ls-remote"), odd.clone.path).stdout


@pytest.mark.wide(2)
@types("session/branch_state.py: git push {} {}")
@pytest.mark.parametrize("here", [True, False])
def test_a_release_branch_that_the_remote_has_not(odd: Story, here: bool) -> None:
    """It is pushed as it is here, else it begins at the last version of its line."""
    declared(odd)
    odd.remote.git("update-ref", "-d", "refs/heads/release/v2.7")
    odd.clone.git("update-ref", "-d", f"refs/remotes/{ODD}/release/v2.7")
    if not here:
        odd.clone.git("branch", "-D", "release/v2.7")
    works(said(plan(odd.clone.path), "git push"), odd.clone.path)
    assert odd.remote.rev("release/v2.7") == odd.base
    assert cut(odd.clone.path).code == 0


@types("session/branch_state.py: git remote add {} URL")
def test_no_remote_of_that_name(odd: Story) -> None:
    declared(odd)
    odd.clone.git("remote", "remove", ODD)
    command = said(plan(odd.clone.path), "git remote add")
    works(command.replace("URL", str(odd.remote.path)), odd.clone.path)
    assert cut(odd.clone.path).code == 0


@types("release/setup/init.py: git push {} {}")
def test_init_before_there_is_a_release_branch(odd: Story) -> None:
    odd.remote.git("update-ref", "-d", "refs/heads/release/v2.7")
    odd.clone.git("branch", "-D", "release/v2.7")
    odd.clone.git("update-ref", "-d", f"refs/remotes/{ODD}/release/v2.7")
    made = release("init", cwd=odd.clone.path)
    works(said(made, "git push"), odd.clone.path)
    assert odd.remote.rev("release/v2.7") == odd.base


@types("git/scratch.py: git fetch --refetch --no-filter --all --tags")
def test_an_object_that_was_lost(odd: Story) -> None:
    declared(odd)
    (odd.clone.path / ".git/objects" / odd.fix[:2] / odd.fix[2:]).unlink(missing_ok=True)
    for pack in (odd.clone.path / ".git/objects/pack").glob("*"):
        pack.chmod(0o644)
        pack.unlink()
    ran = plan(odd.clone.path)
    assert ran.code != 0
    works("git fetch --refetch --no-filter --all --tags", odd.clone.path)
    assert cut(odd.clone.path).code == 0


# ------------------------------------------------------------------ tags


@pytest.mark.wide(2)
@types("plan/planner.py: git push {} refs/tags/{}", "plan/planner.py: git tag -d {}")
@pytest.mark.parametrize("start", ["git push", "git tag -d"])
def test_another_tag_of_this_clone_alone(odd: Story, start: str) -> None:
    declared(odd)
    odd.clone.git("tag", "-a", "-m", "mine", "v2.6.9", odd.base)
    ways = {each: said(plan(odd.clone.path), each) for each in ("git push", "git tag -d")}
    works(ways[start], odd.clone.path)
    assert "in this clone only" not in plan(odd.clone.path).err
    for each in ways.values():
        typed(each, odd.clone.path)  # the other way, too late


@types("plan/planner.py: git push {} {}", "plan/planner.py: git tag -d {}")
def test_a_tag_that_leaves_no_room(odd: Story) -> None:
    declared(odd)
    odd.clone.git("push", "--quiet", ODD, f"{odd.base}:refs/tags/{VERSION}/rc")
    works(said(plan(odd.clone.path), "git push"), odd.clone.path)
    odd.clone.git("tag", VERSION, odd.base)
    works(said(plan(odd.clone.path), "git tag -d"), odd.clone.path)
    assert cut(odd.clone.path).code == 0


@types("plan/version_rule.py: git show {}")
def test_a_version_that_somebody_put_elsewhere(odd: Story) -> None:
    declared(odd)
    odd.clone.git("tag", VERSION, odd.fix)
    odd.clone.git("push", "--quiet", ODD, f"refs/tags/{VERSION}")
    assert "close the workers" in works(said(plan(odd.clone.path), "git show"), odd.clone.path).stdout


@types("plan/version_rule.py: release cut {}")
def test_a_branch_of_no_line(tale: Story) -> None:
    root = tale.clone.git("commit-tree", f"{tale.base}^{{tree}}", "-m", "feat: alone")
    tale.clone.git("push", "--quiet", "origin", f"{root}:refs/heads/stable", ":refs/tags/v2.7.0")
    tale.clone.git("tag", "-d", "v2.7.0")
    tale.release_yaml(fix_line(tale.fix), version="v2.7.0")
    tale.declare((tale.clone.path / "release.yaml").read_text().replace("release/v2.7", "stable"))
    told = release("cut", "--yes", cwd=tale.clone.path)
    works(f"{said(told, 'release cut v')} --yes", tale.clone.path)
    assert tale.remote.rev("v2.7.0^{commit}") == tale.remote.rev("stable")


# ------------------------------------------------------------------ signatures


@pytest.mark.wide(2)
@types("git/signing/__init__.py: ssh-add {}")
@pytest.mark.parametrize("what", ["tag.gpgSign", "commit.gpgSign"])
def test_a_key_that_is_locked(odd: Story, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """`ssh-add` asks for the passphrase in a terminal; here a program answers."""
    declared(odd)
    place = odd.clone.path.parent / "my keys"
    place.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", place / "key"], check=True)
    (place / "ask").write_text("#!/bin/sh\necho secret\n")
    (place / "ask").chmod(0o755)
    for key, value in (("gpg.format", "ssh"), ("user.signingKey", str(place / "key")), (what, "true")):
        odd.clone.git("config", key, value)
    socket = f"/tmp/agent-{os.getpid()}"  # a socket's path is short
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        try:
            until(lambda: Path(socket).exists(), lambda: "no agent", pause=0.05)
            monkeypatch.setenv("SSH_AUTH_SOCK", socket)
            monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
            monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
            locked = cut(odd.clone.path)
            assert (locked.code, "cannot-sign" in locked.err) == (2, True), locked.err
            assert not odd.remote.git("for-each-ref", f"refs/tags/{VERSION}")
            monkeypatch.setenv("SSH_ASKPASS", str(place / "ask"))
            works(said(locked, "ssh-add"), odd.clone.path)
            monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
            done = cut(odd.clone.path)
        finally:
            agent.terminate()
            Path(socket).unlink(missing_ok=True)
    assert done.code == 0, done.err
    kind, name = ("tag", VERSION) if what == "tag.gpgSign" else ("commit", f"{VERSION}^{{commit}}")
    assert "BEGIN SSH SIGNATURE" in odd.remote.git("cat-file", kind, name)


@types(
    "git/tags.py: git config tag.gpgSign false",
    "release/signing.py: git config commit.gpgSign false",
    "git/signing/__init__.py: git tag --sign --message=try signing-try && git tag --delete signing-try",
)
def test_no_key_that_signs(odd: Story) -> None:
    """A program that signs is missing; the command that tries it says why, the other one does without."""
    declared(odd)
    odd.clone.git("config", "gpg.program", "/nowhere/gpg")
    for what in ("commit.gpgSign", "tag.gpgSign"):
        odd.clone.git("config", what, "true")
        refused = cut(odd.clone.path)
        shown = typed(said(refused, "git tag --sign"), odd.clone.path)
        assert (shown.returncode != 0, "/nowhere/gpg" in shown.stderr) == (True, True)
        works(said(refused, f"git config {what}"), odd.clone.path)
    assert cut(odd.clone.path).code == 0


@types("git/tags.py: git config tag.gpgSign true")
def test_a_policy_that_wants_signatures(odd: Story) -> None:
    declared(odd, more="policy:\n  signed-tags: true\n")
    odd.clone.git("add", "release.yaml")
    odd.clone.git("commit", "--quiet", "-m", "chore: policy")
    odd.clone.git("push", "--quiet", ODD, "main")
    refused = plan(odd.clone.path)
    works(said(cut(odd.clone.path) if refused.code == 0 else refused, "git config tag.gpgSign true"), odd.clone.path)
    key = odd.clone.path.parent / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    odd.clone.git("config", "gpg.format", "ssh")
    odd.clone.git("config", "user.signingKey", str(key))
    assert cut(odd.clone.path).code == 0


# ------------------------------------------------------------------ surroundings


@types("git/process.py: rm {}")
def test_a_lock_that_a_killed_git_left(odd: Story) -> None:
    declared(odd)
    (odd.clone.path / ".git/packed-refs.lock").touch()
    odd.clone.git("update-ref", "refs/heads/x", odd.base)
    stopped = release("cut", VERSION, "--yes", cwd=odd.clone.path)
    if stopped.code == 0:  # nothing was packed
        stopped = Ran(1, "", lock_remedy(str(odd.clone.path / ".git/packed-refs.lock")))
    works(said(stopped, "rm "), odd.clone.path)
    assert cut(odd.clone.path).code == 0


@types('git/process.py: git config user.name "Your Name" && git config user.email you@example.com')
def test_nobody(odd: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    declared(odd)
    odd.clone.git("config", "--unset", "user.name")
    odd.clone.git("config", "--unset", "user.email")
    odd.clone.git("config", "user.useConfigOnly", "true")
    works(said(plan(odd.clone.path), "git config user.name"), odd.clone.path)
    assert cut(odd.clone.path).code == 0


@types("git/repository.py: git config --global --add safe.directory {}")
def test_a_clone_of_somebody_else(odd: Story, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    declared(odd)
    (odd.clone.path / "deep er").mkdir()
    foreign = {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": str(tmp_path / "global")}
    refused = release("plan", VERSION, cwd=odd.clone.path / "deep er", env=foreign)
    typed(said(refused, "git config --global"), odd.clone.path, foreign)
    assert odd.clone.git("config", "--file", str(tmp_path / "global"), "safe.directory") == str(odd.clone.path)
    assert release("plan", VERSION, "--offline", cwd=odd.clone.path / "deep er", env=foreign).code == 0


@types("git/repository.py: git ls-remote {}")
def test_a_remote_that_is_away(odd: Story) -> None:
    declared(odd)
    away = odd.remote.path.rename(odd.remote.path.with_name("away"))
    command = said(plan(odd.clone.path), "git ls-remote")
    assert typed(command, odd.clone.path).returncode != 0
    away.rename(odd.remote.path)
    works(command, odd.clone.path)


@types("audit/snapshot.py: release audit BRANCH")
def test_an_audit_of_what_has_no_release_branch(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "alone")
    repo.commit("feat: alone", {"a": "1\n"})
    works(said(release("audit", cwd=repo.path), "release audit").replace("BRANCH", "main"), repo.path)
