"""A push that outlives the command that began it: nothing is called private that may still become public."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import RefusedError
from orchestrator.git.repository import Repository
from orchestrator.session.journal import Journal
from orchestrator.session.pushes import Pushes, unseen
from orchestrator.session.state import ReleaseState
from tests.support import serving
from tests.support.cli import Forked, Ran, clean_env, release
from tests.support.printed import types
from tests.support.remedies import said as told
from tests.support.remedies import works
from tests.support.story import VERSION, fix_line
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.hostile

TAG = f"refs/tags/{VERSION}"


class Server:
    """A remote whose hook works on a push until it is told to `let_go`; later pushes pass."""

    def __init__(self, tale: Story) -> None:
        self.tale = tale
        self.root = tale.clone.path.parent
        hook = tale.remote.path / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(
            f"#!/bin/sh\nmkdir {self.root}/at-work 2>/dev/null || exit 0\n"
            f"while ! test -e {self.root}/go; do sleep 0.05; done\n"
        )
        hook.chmod(0o755)

    def let_go(self) -> None:
        (self.root / "go").touch()

    @property
    def tag(self) -> str:
        return self.tale.remote.git("for-each-ref", "--format=%(objectname)", TAG)


@contextmanager
def cut_in_the_hook(server: Server, *signals: signal.Signals) -> Iterator[Forked]:
    """A cut, without a terminal, that is at `land` while the server's hook works; it gets these signals."""
    null = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
    process = Forked(("cut", VERSION, "--yes"), cwd=server.tale.clone.path, env=clean_env(), streams=null, session=True)
    until(lambda: (server.root / "at-work").exists(), lambda: "the push never came")
    for number in signals:
        process.send_signal(number)
    yield process
    server.let_go()


def ran(tale: Story, *args: str, code: int) -> str:
    done = release(*args, cwd=tale.clone.path)
    assert done.code == code, done.err
    return done.err


def test_abort_waits_for_a_push_whose_command_was_killed(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    server = Server(tale)
    with cut_in_the_hook(server, signal.SIGKILL) as process:
        assert process.wait() == -signal.SIGKILL
        before = tale.clone.git("for-each-ref", "refs/release")
        said = ran(tale, "abort", VERSION, code=8)
        assert "[push-under-way]" in said
        assert tale.clone.git("for-each-ref", "refs/release") == before != ""
        assert "may be public" in release("status", cwd=tale.clone.path).out
    until(lambda: server.tag, lambda: "the push never arrived")
    until(
        lambda: "[already-public]" in release("abort", VERSION, cwd=tale.clone.path).err, lambda: "the push never ended"
    )
    ran(tale, "cut", VERSION, "--yes", code=0)
    assert server.tag == tale.clone.rev(TAG)


def test_another_plan_waits_for_it_too_and_then_goes_on_with_the_first(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    server = Server(tale)
    with cut_in_the_hook(server, signal.SIGKILL) as process:
        process.wait()
        tale.release_yaml(fix_line(tale.before))
        assert "[push-under-way]" in ran(tale, "cut", VERSION, "--yes", code=8)
    until(lambda: server.tag, lambda: "the push never arrived")
    ran(tale, "cut", VERSION, "--yes", code=0)
    assert "# closed" in tale.remote.git("show", "release/v2.7:loader.py")
    assert "trace.py" not in tale.remote.git("ls-tree", "--name-only", "release/v2.7")


@pytest.mark.wide
def test_interrupted_at_land_ends_what_it_started(tale: Story) -> None:
    """Also the server's side where that is this machine: then what is looked at afterwards is proof."""
    tale.release_yaml(fix_line(tale.fix))
    before = tale.clone.git("for-each-ref")
    server = Server(tale)
    with cut_in_the_hook(server, signal.SIGTERM) as process:
        assert process.wait() == 130
        ran(tale, "abort", VERSION, code=0)
    time.sleep(0.5)
    assert server.tag == ""
    assert tale.clone.git("for-each-ref") == before


def test_interrupted_while_the_push_comes_to_its_end_is_released_by_the_next_run(tale: Story) -> None:
    """The release is told, and the signal that arrives at the last moment costs nothing."""
    tale.release_yaml(fix_line(tale.fix))
    server = Server(tale)
    with cut_in_the_hook(server, signal.SIGTERM) as process:
        server.let_go()
        assert process.wait() == 130
    assert server.tag
    assert "[already-public]" in ran(tale, "abort", VERSION, code=4)
    ran(tale, "cut", VERSION, "--yes", code=0)


# ------------------------------------------------------------------ over a network


@contextmanager
def over_http(tale: Story) -> Iterator[None]:
    with serving.http(tale.remote.path) as (url, _):
        tale.remote.git("config", "http.receivepack", "true")
        tale.clone.git("remote", "set-url", "origin", url)
        yield


def end_the_push(tale: Story) -> None:
    """SIGKILL for the client's side of the push."""
    url = tale.clone.git("remote", "get-url", "origin")
    rows = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = [int(row.split()[0]) for row in rows if url in row and ("push" in row or "remote-http" in row)]
    assert ours
    for pid in ours:
        os.kill(pid, signal.SIGKILL)


def test_what_may_still_arrive_over_a_network_is_not_forgotten(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    server = Server(tale)
    with over_http(tale):
        with cut_in_the_hook(server, signal.SIGKILL) as process:
            process.wait()
            end_the_push(tale)
            said = ran(tale, "abort", VERSION, code=4)
            assert "[may-arrive]" in said
            assert f"release cut {VERSION}" in said
        until(lambda: server.tag, lambda: "the push never arrived")
        assert "[already-public]" in ran(tale, "abort", VERSION, code=4)
        ran(tale, "cut", VERSION, "--yes", code=0)


@pytest.mark.wide
@types("release/steps/land.py: release cut {}")
def test_an_earlier_push_that_arrives_after_a_new_plan_is_known(tale: Story) -> None:
    """Both pushes wait; the first one lands; the second plan is told so, and the same command finishes the first."""
    tale.release_yaml(fix_line(tale.fix))
    server = Server(tale)
    with over_http(tale):
        with cut_in_the_hook(server, signal.SIGKILL) as process:
            process.wait()
            end_the_push(tale)
            tale.release_yaml(fix_line(tale.before))
            # before the second plan is pushed, the first push arrives
            second = tale.clone.path / ".git/hooks/pre-push"
            second.write_text(
                f"#!/bin/sh\ntouch {server.root}/go\n"
                f"while ! git --git-dir={tale.remote.path} rev-parse -q --verify {TAG} >&2; do sleep 0.05; done\n"
            )
            second.chmod(0o755)
            said = ran(tale, "cut", VERSION, "--yes", code=9)
            assert "[earlier-push]" in said
            assert "somebody else" not in said
        second.unlink()
        assert "[already-public]" in ran(tale, "abort", VERSION, code=4)
        works(f"{told(Ran(9, '', said), 'release cut')} --yes", tale.clone.path)
        ran(tale, "verify", VERSION, "--allow-unchecked", code=0)
    assert "# closed" in tale.remote.git("show", "release/v2.7:loader.py")
    assert "trace.py" not in tale.remote.git("ls-tree", "--name-only", "release/v2.7")


@pytest.mark.wide
def test_a_new_plan_that_arrives_first_wins(tale: Story) -> None:
    """The leases of the push let one of the two land, never both."""
    tale.release_yaml(fix_line(tale.fix))
    server = Server(tale)
    with over_http(tale):
        with cut_in_the_hook(server, signal.SIGKILL) as process:
            process.wait()
            end_the_push(tale)
            tale.release_yaml(fix_line(tale.before))
            ran(tale, "cut", VERSION, "--yes", code=0)
            tag = server.tag
        time.sleep(1)
        assert server.tag == tag
    assert "trace.py" in tale.remote.git("ls-tree", "--name-only", "release/v2.7")


# ------------------------------------------------------------------ the account of it


def journal(path: Path, *rows: tuple[str, str]) -> Journal:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"format": 1, "kind": kind, "task": "land", "at": f"2026-01-01T00:0{number}:00.000Z", "code": code}
        for number, (kind, code) in enumerate(rows)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return Journal(path, lambda: "2026-01-01T00:10:00.000Z")


@pytest.mark.parametrize(
    ("rows", "minutes"),
    [
        ([], []),
        ([("started", "")], [0]),
        ([("started", ""), ("failed", "interrupted")], [0]),
        ([("started", ""), ("failed", "push-broken-off")], [0]),
        ([("started", ""), ("failed", "push-rejected")], []),
        ([("started", ""), ("failed", "not-pushed")], []),
        ([("started", ""), ("started", ""), ("failed", "push-rejected")], [0]),
        ([("started", ""), ("started", ""), ("finished", "")], []),
    ],
)
def test_whose_end_was_not_seen(tmp_path: Path, rows: list[tuple[str, str]], minutes: list[int]) -> None:
    assert unseen(journal(tmp_path / "journal.jsonl", *rows)) == [f"2026-01-01T00:0{each}:00.000Z" for each in minutes]


def test_a_push_that_did_not_come_in_a_quarter_of_an_hour_is_not_waited_for(tale: Story) -> None:
    state = ReleaseState(Repository.discover(tale.clone.path), VERSION)
    journal(state.journal_path, ("started", ""))
    tale.clone.git("remote", "add", "far", "https://git.example.com/a")
    with pytest.raises(RefusedError, match="may still arrive at far"):
        Pushes(state, lambda: "2026-01-01T00:14:59.000Z").refuse_arriving("far", "release cut v2.7.1")
    Pushes(state, lambda: "2026-01-01T00:15:00.000Z").refuse_arriving("far", "release cut v2.7.1")
    Pushes(state, lambda: "2026-01-01T00:00:01.000Z").refuse_arriving(
        "origin", "release cut v2.7.1"
    )  # a path of this machine
    state.repository.close()


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("/srv/git/x.git", True), ("../x.git", True), ("file:///srv/x.git", True), ("./a:b", True),
        ("git.example.com:x.git", False), ("me@git.example.com:x", False), ("ssh://git.example.com/x", False),
        ("https://git.example.com/x", False), ("codecommit::us-east-1://x", False),
    ],
)  # fmt: skip
def test_which_remotes_are_this_machine(tale: Story, url: str, here: bool) -> None:
    repository = Repository.discover(tale.clone.path)
    assert repository.pushes_stay_here(url) is here
    repository.close()
    tale.clone.git("remote", "set-url", "--add", "--push", "origin", url)
    repository = Repository.discover(tale.clone.path)  # where pushes go is asked once in a run
    assert repository.pushes_stay_here("origin") is here
    repository.close()
