"""Signed picks and release commit, before a server that refuses all others: ids are not planned, trees are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Ran, release
from tests.support.commit_keys import gnupg, gpg_key, sign_with, ssh_key, trust, unsigned_text, x509_key
from tests.support.forge_repo import ForgeRepo
from tests.support.guarded import install
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.rewriting import RECORD, rewrite
from tests.support.server_rules import SIGNED, demand
from tests.support.story import Repo, fix_line
from tests.support.three_picks import BRANCH, TAG, declare, judged_right, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history


def demanding(tale: Story, tmp_path: Path) -> Path:
    """The server believes one key, and takes no commit that it did not sign; its key."""
    key = ssh_key(tmp_path / "keys/mia")
    trust(tale.remote, key)
    assert install(tale.remote, quick=True).code == 0
    demand(tale.remote, SIGNED)
    return key


def stripped(repo: Repo, head: str, number: int) -> list[str]:
    """The ids that the last commits would have without their signatures, oldest first."""
    ids: dict[str, str] = {}
    for sha in repo.git("rev-list", "--reverse", f"-{number}", head).split():
        text = unsigned_text(repo.attempt("cat-file", "commit", sha).stdout)
        for old, new in ids.items():
            text = text.replace(f"parent {old}", f"parent {new}")
        ids[sha] = repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text)
    return list(ids.values())


def test_a_signed_release_is_what_was_planned(tale: Story, tmp_path: Path) -> None:
    declare(tale, "")
    key = demanding(tale, tmp_path)
    unsigned = release("plan", "v2.7.1", cwd=tale.clone.path)
    sign_with(tale.clone, key)
    planned = release("plan", "v2.7.1", cwd=tale.clone.path)
    assert "its commits are signed (ssh) when they are made" in planned.out
    assert "its commits are signed" not in unsigned.out
    resolve(tale, 0)
    server, head = tale.remote, tale.remote.rev(f"{TAG}^{{commit}}")
    assert server.rev(BRANCH) == head
    assert server.git("log", "-4", "--format=%G?", head).split() == ["G"] * 4
    told = server.git("cat-file", "tag", TAG)
    assert f"Signed-From: {stripped(server, head, 4)[-1]}" in told
    judged_right(tale, tmp_path)
    again = release("cut", "v2.7.1", "--yes", "--json", cwd=tale.clone.path)
    assert (again.code, again.json["released"]) == (0, False)


def byte_of_a_file(repo: Repo, commit: str, path: str) -> str:
    """The tree of a commit with one byte more in a file."""
    text = repo.attempt("show", f"{commit}:{path}").stdout + "\n"
    blob = repo.git("hash-object", "-w", "--stdin", stdin=text)
    rows = [row for row in repo.git("ls-tree", commit).split("\n") if not row.endswith(f"\t{path}")]
    return repo.git("mktree", stdin="\n".join([*rows, f"100644 blob {blob}\t{path}"]) + "\n")


def changed(server: Repo, what: str) -> Callable[[int, str], str]:
    """One byte of the second pick is another one, or its signature is gone."""
    trees = dict[str, str]()

    def change(at: int, text: str) -> str:
        tree = text.partition("\n")[0].removeprefix("tree ")
        if at and what == "file":  # what is above has the byte too, as if it had been there all the time
            trees[tree] = byte_of_a_file(server, tree, "words.txt")
            return text.replace(tree, trees[tree], 1)
        if at != 1:
            return text
        if what == "message":
            return text.replace("fix(words): the second", "fix(words): the Second")
        if what == "date":
            return re.sub(r"(?m)^(committer .* \d+)(\d) ", lambda found: f"{found[1]}{(int(found[2]) + 1) % 10} ", text)
        if what == "signature":
            line = next(line for line in text.split("\n") if line.endswith("="))
            return text.replace(line, f"{line[:5]}{'A' if line[5] != 'A' else 'B'}{line[6:]}", 1)
        return unsigned_text(text)

    return change


@pytest.mark.wide
def test_one_byte_is_found_by_all(tale: Story, tmp_path: Path) -> None:
    declare(tale, "")
    sign_with(tale.clone, ssh_key(tmp_path / "keys/mia"))
    resolve(tale, 0)
    server = tale.remote
    refs = {ref: server.rev(ref) for ref in (BRANCH, TAG, RECORD)}
    for what in ("file", "message", "date", "signature", "no signature"):
        for ref, sha in refs.items():
            server.git("update-ref", ref, sha)
        rewrite(server, 4, changed(server, what))
        tampered = {ref: server.rev(ref) for ref in (BRANCH, TAG)}
        place = tmp_path / what.replace(" ", "-")
        tale.clone.git("clone", "--quiet", str(server.path), str(place))
        for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
            ran = release(*command, cwd=place)
            assert ran.code == 9, (what, command, ran.out, ran.err)
        server.git("update-ref", "-d", TAG)
        server.git("update-ref", BRANCH, tale.base)
        assert install(server, quick=True).code == 0
        pushed = Repo(place).attempt("push", "--atomic", "origin", *(f"{sha}:{ref}" for ref, sha in tampered.items()))
        assert "pre-receive hook declined" in pushed.stderr, (what, pushed.stderr)
        (server.path / "hooks/pre-receive").unlink()


@pytest.mark.parametrize("how", ["merge", "rebase", "squash"])
@pytest.mark.wide
def test_signed_and_landed_by_a_pull_request(tale: Story, tmp_path: Path, how: str) -> None:
    """What the forge makes anew has no signature of ours; what was proposed had."""
    tale.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    tale.release_yaml(fix_line(tale.fix), extra="land: pull-request\nsign-commits: true\nsignoff: true\n")
    tale.clone.commit("chore: declare it", {"release.yaml": (tale.clone.path / "release.yaml").read_bytes()})
    tale.clone.git("push", "--quiet", "origin", "main")
    sign_with(tale.clone, ssh_key(tmp_path / "keys/mia"))
    tale.clone.git("config", "commit.gpgSign", "false")  # release.yaml says it
    assert install(tale.remote, quick=True).code == 0
    assert release("cut", "v2.7.1", "--yes", cwd=tale.clone.path).code == 10
    proposed = tale.remote.rev("refs/heads/release-candidate/v2.7.1")
    ForgeRepo.of(tale, tmp_path / "forge").merge("release-candidate/v2.7.1", how)
    ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    told = tale.remote.git("cat-file", "tag", TAG)
    assert ("Signed-From: " in told, f"Landed: {how} {proposed}" in told) == (how == "merge", how != "merge")
    judged_right(tale, tmp_path)


# ------------------------------------------------------------------ broken off

_PROGRAM = """#!/bin/sh
# ssh-keygen, which signs as often as a file says; then it fails, or the release that wants a signature is killed.
case " $* " in *" -Y sign "*) ;; *) exec ssh-keygen "$@" ;; esac
echo sign >> {log}
if [ "$(wc -l < {log})" -gt "$(cat {often})" ]; then
  [ -e {kill} ] && kill -9 "$(cut -d ' ' -f 4 /proc/$PPID/stat)"
  echo "the key has expired" >&2; exit 1
fi
exec ssh-keygen "$@"
"""


@pytest.mark.wide
@pytest.mark.parametrize("killed", [True, False])
def test_a_key_that_expires_between_picks_and_a_run_that_is_killed_there(
    tale: Story, tmp_path: Path, killed: bool
) -> None:
    """What was signed before is not signed again; nothing was public, and `status` knows it."""
    declare(tale, "")
    key = demanding(tale, tmp_path)
    sign_with(tale.clone, key)
    program, log, often, kill = (tmp_path / name for name in ("program", "log", "often", "kill"))
    program.write_text(_PROGRAM.format(log=log, often=often, kill=kill))
    program.chmod(0o755)
    often.write_text("2")
    tale.clone.git("config", "gpg.ssh.program", str(program))
    if killed:
        kill.touch()
    resolve(tale, -9 if killed else 2)
    stopped = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)  # the third signature fails again
    assert stopped.code == (-9 if killed else 2), stopped.err
    if not killed:
        assert "commit 3 of 4 ('fix(speed): less waiting, for 2.7') could not be signed" in stopped.err
        assert "the key has expired" in stopped.err
        assert "state: nothing was pushed" in stopped.err
    assert not tale.remote.git("for-each-ref", TAG, "refs/release-candidates")
    assert tale.remote.rev(BRANCH) == tale.base
    assert release("status", cwd=tale.clone.path).code == 0
    first = tale.clone.git("for-each-ref", "--format=%(objectname)", "refs/release/v2.7.1/signed").split()
    assert len(first) == 2
    log.write_text("")
    often.write_text("99")
    ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
    assert len(log.read_text().split()) == 2  # the other two alone
    assert set(first) <= set(tale.remote.git("rev-list", "-4", TAG).split())
    judged_right(tale, tmp_path)


def test_a_locked_key_is_told_before_anything_is_pushed(tale: Story, tmp_path: Path) -> None:
    tale.release_yaml(fix_line(tale.fix))
    sign_with(tale.clone, ssh_key(tmp_path / "keys/mia", passphrase="nobody types it"))
    before = tale.remote.git("for-each-ref")
    for more in ((), ("--pull-request",)):
        ran = release("cut", "v2.7.1", "--yes", *more, cwd=tale.clone.path)
        assert ran.code == 2, ran.err
        assert "commit 1 of 2 ('fix(loader): close the workers') could not be signed" in ran.err
        assert f"unlock the key: ssh-add {tmp_path / 'keys/mia'}" in ran.err
        assert tale.remote.git("for-each-ref") == before
    asked = release("doctor", "--json", cwd=tale.clone.path).json["checks"]
    assert [each["state"] for each in asked if each["name"] == "commit-signing"] == ["failed"]


@pytest.mark.wide
def test_another_key_signs_anew_and_the_same_one_does_not(tale: Story, tmp_path: Path) -> None:
    """The server knows the key that was set second: what the first one signed would never get there."""
    tale.release_yaml(fix_line(tale.fix))
    trust(tale.remote, ssh_key(tmp_path / "keys/mia"))
    demand(tale.remote, SIGNED)
    sign_with(tale.clone, ssh_key(tmp_path / "keys/stranger"))
    here, candidate = tale.clone.path, "refs/release/v2.7.1/candidate"
    asked = release("doctor", "--json", cwd=here).json["checks"]
    assert [each["message"] for each in asked if each["name"] == "commit-signing"] == ["ssh signs"]
    refused = release("cut", "v2.7.1", "--yes", cwd=here)
    assert "push rule" in refused.err, refused.err
    first = tale.clone.rev(candidate)
    assert release("cut", "v2.7.1", "--yes", cwd=here).code == refused.code
    assert tale.clone.rev(candidate) == first
    sign_with(tale.clone, tmp_path / "keys/mia")
    ran = release("cut", "v2.7.1", "--yes", cwd=here)
    assert ran.code == 0, ran.err
    assert "they are signed anew" in ran.err
    assert tale.remote.rev(BRANCH) != first
    judged_right(tale, tmp_path)


@pytest.mark.wide
@types("guard/branch.py: git config commit.gpgSign true")
def test_a_house_that_wants_signatures(tale: Story, tmp_path: Path) -> None:
    """`sign-commits: true`: a pick by hand must be signed too, and `false` signs none."""
    clone = tale.clone
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    tale.release_yaml(fix_line(tale.fix), extra="sign-commits: true\n")
    clone.commit("chore: declare it", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main")
    assert install(tale.remote, quick=True).code == 0
    sign_with(clone, ssh_key(tmp_path / "keys/mia"))
    clone.git("config", "--unset", "commit.gpgSign")
    clone.git("checkout", "--quiet", "--detach", tale.base)
    clone.git("cherry-pick", "-x", tale.fix)
    refused = clone.attempt("push", "origin", f"HEAD:{BRANCH}")
    assert "is not signed" in refused.stderr, refused.stderr
    works(said(Ran(1, "", refused.stderr), "git config commit.gpgSign"), clone.path)
    clone.git("commit", "--quiet", "--amend", "--no-edit")
    pushed = clone.attempt("push", "origin", f"HEAD:{BRANCH}")
    assert pushed.returncode == 0, pushed.stderr
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(fix_line(tale.fix), extra="sign-commits: false\n")
    planned = release("plan", "v2.7.1", "--json", cwd=clone.path).json
    assert planned["sign_commits"] == ""


@pytest.mark.wide
@pytest.mark.parametrize(("form", "make"), [("openpgp", gpg_key), ("x509", x509_key)])
def test_other_kinds_of_keys(
    tale: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, make: Callable[[Path], str]
) -> None:
    """By GnuPG itself; who has not its public keys judges all the same."""
    tale.release_yaml(fix_line(tale.fix))
    with gnupg() as home, gnupg() as stranger:
        monkeypatch.setenv("GNUPGHOME", str(home))
        settings = {"gpg.format": form, "user.signingKey": make(home), "commit.gpgSign": "true", "tag.gpgSign": "true"}
        for name, value in settings.items():
            tale.clone.git("config", name, value)
        demand(tale.remote, SIGNED)
        ran = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
        assert ran.code == 0, ran.err
        assert tale.remote.git("log", "-2", "--format=%G?", TAG).split() == ["G", "G"]
        judged_right(tale, tmp_path)
        monkeypatch.setenv("GNUPGHOME", str(stranger))
        for command in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
            judged = release(*command, cwd=tmp_path / "fresh")
            assert judged.code == 0, (command, judged.out, judged.err)
