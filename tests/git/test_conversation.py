"""git that talks to a remote: ended, with all that it started, when nothing is heard; and only then."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import RemoteError
from orchestrator.git.conversation import Silence, has_terminal
from orchestrator.git.records.remote import fetch_refs
from orchestrator.git.repository import Repository
from tests.support.cli import release
from tests.support.story import VERSION, fix_line
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile


def running(text: str) -> list[str]:
    rows = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [row for row in rows if text in row]


@contextmanager
def deaf() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=32) as server:  # the system takes them, and nobody is there
        yield f"git://127.0.0.1:{server.getsockname()[1]}/nobody"


def test_a_remote_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    """`fd::0` reads from where nothing ever comes; its helper is ended with git."""
    notes: list[str] = []
    with (
        within(),
        pytest.raises(RemoteError) as given_up,
        fetch_refs("fd::0", ["refs/tags/v1"], Silence(limit=0.6, tell=notes.append)),
    ):
        pytest.fail("it answered")
    assert given_up.value.code == "remote-stalled"
    assert "--remote-stall" in given_up.value.remedy
    assert [note.partition(":")[0] for note in notes] == ["waiting for fd"]
    assert not running("remote-fd")


@pytest.mark.wide
def test_every_command_that_asks_a_remote_has_the_limit(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    with deaf() as url:
        tale.clone.git("remote", "set-url", "origin", url)
        for command in (f"plan {VERSION}", f"cut {VERSION} --yes", "audit release/v2.7", "doctor"):
            ran = release("--remote-stall", "1", *command.split(), cwd=tale.clone.path)
            assert "has said nothing for 1 s" in ran.out + ran.err, command
            assert ran.code == (0 if command.startswith("audit") else 7), (command, ran.err)  # not checked, and said so
        assert not running(url)


def test_a_push_that_hangs_is_ended_with_the_hook_of_a_server_on_this_machine(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    mark = tale.clone.path.parent / "hook-at-work"
    hook = tale.remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho $$ >{mark}\nexec sleep 7213\n")
    hook.chmod(0o755)
    ran = release("cut", VERSION, "--yes", "--push-stall", "1", cwd=tale.clone.path)
    assert (ran.code, "[push-stalled]" in ran.err) == (7, True), ran.err
    assert "may still arrive" in ran.err
    assert mark.exists()
    assert not running("sleep 7213") or has_terminal()  # with one, ssh must be able to ask: no session of its own
    hook.unlink()
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0


def over_ssh(tale: Story, script: str, limit: float) -> Repository:
    """A clone whose ssh is a script; `$last` is the command of the server's side."""
    ssh = tale.clone.path.parent / "ssh"
    ssh.write_text(f"#!/bin/sh\nfor last; do :; done\n{script}\n")
    ssh.chmod(0o755)
    tale.clone.git("remote", "set-url", "origin", f"nowhere.example.com:{tale.remote.path}")
    repository = Repository.discover(tale.clone.path)
    repository.git.env["GIT_SSH_COMMAND"] = str(ssh)
    repository.git.silence = Silence(limit=limit, push_limit=limit)
    return repository


def test_a_slow_remote_that_says_something_is_waited_for(tale: Story) -> None:
    repository = over_ssh(tale, 'for n in 1 2 3 4 5 6 7; do echo $n >&2; sleep 0.5; done; exec sh -c "$last"', limit=3)
    assert repository.ls_remote("origin", "refs/heads/main").branch("main") == tale.clone.rev("main")
    repository.close()


def test_what_stays_behind_and_keeps_the_pipes_is_not_waited_for(tale: Story) -> None:
    """As ssh's ControlMaster does, which outlives the command that began it: to wait for it would be a stall."""
    repository = over_ssh(tale, '(exec sleep 20) & exec sh -c "$last"', limit=15)
    assert repository.ls_remote("origin", "refs/heads/main").branch("main") == tale.clone.rev("main")
    repository.close()


def test_progress_is_no_part_of_an_answer(tale: Story) -> None:
    script = r"""printf 'remote: Counting objects: 50%% (1/2)\rremote: Counting objects: 100%% (2/2), done.\n' >&2
printf 'Enumerating objects: 5, done.\nTotal 3 (delta 0), reused 0\nfatal: no such thing\n' >&2; exit 1"""
    repository = over_ssh(tale, script, limit=15)
    output = repository.git.talk("origin", "ls-remote", "--", "origin")
    assert output.stderr.splitlines()[0] == "fatal: no such thing"
    with pytest.raises(RemoteError, match="cannot be read: fatal: no such thing"):
        repository.ls_remote("origin")
    repository.close()


@pytest.mark.wide
def test_a_login_in_a_url_is_not_shown(tale: Story, tmp_path: Path) -> None:
    """Whether it is a remote's or one given on the command line."""
    for url in ("https://me:hunter2@127.0.0.1:9/x", "https://hunter2@127.0.0.1:9/x", "ssh://me:hunter2@127.0.0.1:9/x"):
        with pytest.raises(RemoteError) as refused, fetch_refs(url, ["refs/tags/v1"], Silence()):
            pytest.fail("it answered")
        error = refused.value
        assert "hunter2" not in f"{error.message} {error.remedy} {error.detail} {error.where}"
        assert "127.0.0.1:9/x" in error.remedy
        tale.clone.git("remote", "set-url", "origin", url)
        tale.release_yaml(fix_line(tale.fix))
        ran = release("plan", VERSION, cwd=tale.clone.path)
        assert (ran.code, "hunter2" in ran.out + ran.err) == (7, False), ran.err
    with pytest.raises(RemoteError) as refused, fetch_refs("fd::0", [], Silence(limit=0.5)):
        pytest.fail("it answered")


@pytest.mark.wide
def test_each_push_url_must_take_the_release(tale: Story) -> None:
    """git pushes to one after the other and says 1; the one that it is read from shows the tag all the same."""
    tale.release_yaml(fix_line(tale.fix))
    mirror = tale.remote.path.with_name("mirror.git")
    tale.remote.git("clone", "--quiet", "--mirror", str(tale.remote.path), str(mirror))
    for path in (tale.remote.path, mirror):
        tale.clone.git("remote", "set-url", "--add", "--push", "origin", str(path))
    hook = mirror / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho not today\nexit 1\n")
    hook.chmod(0o755)
    for _ in range(2):  # the second run sees the tag on the remote, and is not content
        ran = release("cut", VERSION, "--yes", cwd=tale.clone.path)
        assert (ran.code, "[push-incomplete]" in ran.err) == (7, True), ran.err
        assert f"{mirror}, where origin is pushed to as well, did not take it: not today" in ran.err
        assert "are public at origin" in ran.err
    hook.unlink()
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    refs = [f"refs/tags/{VERSION}", "refs/heads/release/v2.7", f"refs/release-records/{VERSION}"]
    shown = [subprocess.run(["git", "--git-dir", str(path), "show-ref", *refs], capture_output=True, check=True).stdout
             for path in (tale.remote.path, mirror)]  # fmt: skip
    assert shown[0] == shown[1]
    tale.remote.git("update-ref", "refs/heads/release/v2.7", tale.base)  # a branch may move on, or back
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
