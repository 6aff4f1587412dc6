"""One commit signed by git itself: what it holds is what was asked for, or one line says why not; nothing hangs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.git.objects import object_id, without_signature
from orchestrator.git.repository import Repository
from orchestrator.git.signing import Signing
from orchestrator.git.signing.commits import broken, sign_commit
from tests.support.commit_keys import gnupg, gpg_key, sign_with, ssh_key, x509_key
from tests.support.story import Repo, make_repo
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.git.scratch import Scratch

ME = b"Mia Maintainer <mia@example.com>"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = make_repo(tmp_path / "repo")
    made.commit("base", {"a": "1\n"})
    sign_with(made, ssh_key(tmp_path / "keys/mia"))
    return made


@pytest.fixture
def scratch(repo: Repo) -> Iterator[Scratch]:
    with Repository.discover(repo.path).scratch() as opened:
        yield opened


def signed(repo: Repo, scratch: Scratch, author: bytes = ME, message: bytes = b"subject\n", limit: float = 60.0) -> str:
    """A commit of that author on the first one, signed."""
    tree = repo.rev("HEAD^{tree}")
    plain = scratch.write_commit(
        tree=tree, parents=("f" * 40,), author=author + b" 1750000000 +0530",
        committer=ME + b" 1750000060 -0130", message=message,
    )  # fmt: skip
    signing = Signing(repository=Repository.discover(repo.path))
    return sign_commit(signing, scratch, plain, parent=repo.rev("HEAD"), what="commit 1 of 1", off="", limit=limit)


@pytest.mark.parametrize(
    ("author", "message"),
    [
        (ME, b"subject\n\n# no comment\n\n\n\nkept  \n\n(cherry picked from commit 1)\n"),
        ("Zoë Ångström <zoe@example.com>".encode(), "Übung\n".encode()),
        (b"A. B. <>", b"no mail\n"),
        (b"\xff\xfe <latin@example.com>", b"\xe9 is no UTF-8\n"),
        (b" <nobody@example.com>", b"\n\nno name\n"),
        (b"Son Jr. <jr@example.com>", b"no line end"),
        (b"<<a> <b@example.com>", b""),
    ],
)
def test_a_signed_commit_is_the_one_that_was_asked_for(
    repo: Repo, scratch: Scratch, author: bytes, message: bytes
) -> None:
    made = signed(repo, scratch, author, message)
    data = scratch.read(made)[1]
    head = repo.rev("HEAD")
    assert without_signature(data) == (
        f"tree {repo.rev('HEAD^{tree}')}\nparent {head}\nauthor ".encode()
        + author + b" 1750000000 +0530\ncommitter " + ME + b" 1750000060 -0130\n\n" + message
    )  # fmt: skip
    assert broken(scratch, (), [made]) == {made: False}
    assert data.count(b"\ngpgsig -----BEGIN SSH SIGNATURE-----\n ") == 1
    assert object_id("commit", data) == made
    assert without_signature(without_signature(data)) == without_signature(data)


def program(repo: Repo, text: str) -> Path:
    """A program that git signs with."""
    path = repo.path.parent / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    repo.git("config", "gpg.ssh.program", str(path))
    return path


def test_a_program_that_waits_for_somebody_is_ended(repo: Repo, scratch: Scratch, tmp_path: Path) -> None:
    """As one that asks for a passphrase where nobody is: with all that it started."""
    program(repo, f"echo $$ > {tmp_path}/pid; sleep 100000 & echo $! >> {tmp_path}/pid; wait")
    with pytest.raises(UsageError) as caught:
        signed(repo, scratch, limit=1)
    assert "did not end within 1 s" in caught.value.message
    assert "ssh-add" in caught.value.remedy
    waiting = tmp_path / "pid"
    until(waiting.exists)
    until(lambda: not any(map(_is_at_work, waiting.read_text().split())), waiting.read_text)


def _is_at_work(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_program_that_says_yes_and_signs_nothing(repo: Repo, scratch: Scratch) -> None:
    program(repo, "exit 0")
    with pytest.raises(UsageError, match="could not be signed"):
        signed(repo, scratch)


def test_a_signature_of_something_else_is_told_from_one_that_nobody_can_check(repo: Repo, scratch: Scratch) -> None:
    good = signed(repo, scratch)
    data = scratch.read(good)[1]
    bad = scratch.write_raw("commit", data.replace(b"\n\nsubject", b"\n\nobject"))
    other = scratch.write_raw("commit", data.replace(b"-----BEGIN SSH SIGNATURE", b"-----BEGIN PGP SIGNATURE"))
    assert broken(scratch, (), [good, bad, other]) == {good: False, bad: True}
    scratch.git.env["PATH"] = "/nowhere"
    assert broken(scratch, (), [good, bad]) == {good: False, bad: True}  # it is known


def test_the_stamp_changes_with_the_key(repo: Repo, tmp_path: Path) -> None:
    def stamp() -> str:
        return Signing(repository=Repository.discover(repo.path)).stamp

    first = stamp()
    assert stamp() == first
    repo.git("config", "user.signingKey", str(ssh_key(tmp_path / "keys/other")))
    assert stamp() != first
    assert Signing(repository=Repository.discover(repo.path)).format == "ssh"


@pytest.mark.parametrize(("form", "make"), [("openpgp", gpg_key), ("x509", x509_key)])
def test_odd_authors_by_other_programs(
    repo: Repo, scratch: Scratch, monkeypatch: pytest.MonkeyPatch, form: str, make: Callable[[Path], str]
) -> None:
    with gnupg() as home:
        monkeypatch.setenv("GNUPGHOME", str(home))
        repo.git("config", "gpg.format", form)
        repo.git("config", "user.signingKey", make(home))
        made = signed(repo, scratch, b"Son Jr. <jr@example.com>")
        assert broken(scratch, (), [made]) == {made: False}
        assert scratch.read(made)[1].count(b"\nauthor Son Jr. <jr@example.com> ") == 1
