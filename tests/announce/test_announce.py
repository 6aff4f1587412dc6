"""A released version is told of: on mock forges, which hold requests against their descriptions, and to a webhook."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.forges.webhook import checked_url, payload, post
from tests.support.cli import Ran, release
from tests.support.forge_mock import forge
from tests.support.printed import types
from tests.support.remedies import said, typed
from tests.support.story import fix_line
from tests.support.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.story import Story

pytestmark = pytest.mark.hostile
TOKEN = {"GITHUB_TOKEN": "sekret-token", "GITLAB_TOKEN": "sekret-token"}
ASSETS = {"release-v2.7.1.json", "release-v2.7.1.html"}


@dataclass
class Hook:
    """A webhook: what it was sent, and the statuses that it answers first."""

    url: str = ""
    sent: list[Any] = field(default_factory=list)
    first: list[int] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Hook]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that the server looks for
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = state.first.pop(0) if state.first else 200
            if status == 200:
                state.sent.append(body)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", state.url)
            self.end_headers()
            self.wfile.write(f"said by {self.path}".encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/T0/sekret-path"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def declare(tale: Story, provider: str, api: str, more: str = "") -> None:
    land = f"land: {{by: push, provider: {provider}, api: {api!r}, repository: acme/image}}\n"
    notify = "notify:\n  - {kind: slack, url-env: SLACK_URL, text: '{tag} <!here> {summary} {url}'}\n"
    notify += "  - {kind: generic, url-env: OWN_URL}\n"
    tale.release_yaml(fix_line(tale.fix), extra=land + notify + (more or "forge-release: true\n"))


def run(tale: Story, *args: str, **env: str) -> Ran:
    ran = release(*args, cwd=tale.clone.path, env=TOKEN | env)
    assert "sekret" not in ran.out + ran.err
    return ran


@pytest.mark.wide(2)
@types("cli/forge.py: release announce {}")
@pytest.mark.parametrize("provider", ["gitlab", "github"])
def test_told_once_whatever_fails_first(tale: Story, provider: str) -> None:
    with forge(provider) as there, webhook() as hook:
        declare(tale, provider, there.url)
        there.answer = (503, "later", {})
        hook.first = [404, 404]
        done = run(tale, "cut", "v2.7.1", "--yes", SLACK_URL=hook.url, OWN_URL=hook.url)
        assert done.code == 0, done.err  # what cannot be told fails nothing
        assert (done.err.count("note: "), hook.sent) == (5, [])
        there.answer, before = None, len(there.writes)
        left = run(tale, "cut", "v2.7.1", "--yes", SLACK_URL=hook.url)  # as after a kill: it says so, and sends nothing
        assert "not told of v2.7.1 yet: forge release, slack SLACK_URL, generic OWN_URL" in left.err
        assert (left.code, hook.sent, there.writes[before:]) == (0, [], [])
        env = TOKEN | {"SLACK_URL": hook.url, "OWN_URL": hook.url}
        again = typed(said(done, "release announce"), tale.clone.path, env=env)
        assert again.returncode == 0, again.stdout + again.stderr
        assert (set(there.releases), set(there.releases["v2.7.1"]["assets"])) == ({"v2.7.1"}, ASSETS)
        text = there.releases["v2.7.1"]["body" if provider == "github" else "description"]
        assert "fix(loader): close the workers" in text or "close the workers" in text
        record = json.loads(there.releases["v2.7.1"]["assets"]["release-v2.7.1.json"])
        assert record["commit"] == tale.remote.rev("release/v2.7")
        slack, own = hook.sent
        assert slack["text"].startswith("v2.7.1 &lt;!here&gt; loader leak https://")
        assert (own["event"], own["tag"], own["record"]["version"]) == ("released", "v2.7.1", "v2.7.1")
        writes = len(there.writes)
        twice = run(tale, "announce", "v2.7.1", SLACK_URL=hook.url, OWN_URL=hook.url)
        assert (twice.code, twice.out.count("was told before")) == (0, 2), twice.out
        assert len(hook.sent) == 2
        assert len(there.releases["v2.7.1"]["assets"]) == 2
        assert len(there.writes) <= writes + (2 if provider == "github" else 3)  # the text, the page of another moment
        assert there.faults == []
    if provider == "github":
        assert (there.releases["v2.7.1"]["make_latest"], there.releases["v2.7.1"]["prerelease"]) == ("true", False)
    last = run(tale, "cut", "v2.7.1", "--yes")  # already released: nobody is told again
    assert (last.code, "not told" in last.err) == (0, False)
    assert run(tale, "audit").code == 0


@pytest.mark.wide
@types("announce/announce.py: release show {}")
def test_who_asks_for_nothing_and_what_is_not_there(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert run(tale, "announce", "v2.7.1").code == 2
    assert run(tale, "cut", "v2.7.1", "--yes").code == 0
    ran = run(tale, "announce", "v2.7.1", "--json")
    assert (ran.code, ran.json["parts"]) == (0, [])
    declare(tale, "github", "http://127.0.0.1:9", more="forge-release: {assets: [record]}\n")
    text = (tale.clone.path / "release.yaml").read_text().replace("v2.7.1:", "v2.7.2:").replace(tale.fix, tale.after)
    (tale.clone.path / "release.yaml").write_text(text)
    done = run(tale, "cut", "v2.7.2", "--yes")
    assert done.code == 0, done.err
    assert "SLACK_URL is not set" in done.err
    (tale.clone.path / "release.yaml").write_text("land: {by: push, provider: gitlab, api: 'http://127.0.0.1:9'}\n")
    ran = run(tale, "announce", "v2.7.2")
    assert (ran.code, "do: set SLACK_URL to the webhook's address" in ran.out) == (7, True)
    assert "GitHub" in ran.out  # the forge that was released with, not the one that is checked out
    assert run(tale, "yank", "v2.7.2", "--reason", "it leaks", "--yes").code == 0
    ran = run(tale, "announce", "v2.7.2")
    assert (ran.code, "v2.7.2 was yanked" in ran.err) == (4, True)
    assert "it leaks" in typed(said(ran, "release show"), tale.clone.path).stdout


@pytest.mark.parametrize(
    ("answers", "tries", "taken"),
    [([503, 429], 3, True), ([503] * 3, 3, False), ([404], 1, False), ([302], 1, False)],
)
def test_a_webhook_is_asked_again_where_that_may_help(answers: list[int], tries: int, taken: bool) -> None:
    with webhook() as hook:
        hook.first = [*answers]
        if taken:
            post("slack", "SLACK_URL", hook.url, {"text": "x"}, pauses=(0, 0))
        else:
            with pytest.raises(RemoteError) as told:
                post("slack", "SLACK_URL", hook.url, {"text": "x"}, pauses=(0, 0))
            assert "sekret" not in told.value.message
        assert (len(answers) - len(hook.first), bool(hook.sent)) == (min(tries, len(answers)), taken)
    with pytest.raises(RemoteError) as told:
        post("slack", "SLACK_URL", hook.url, {}, pauses=())  # nobody is there
    assert ("sekret" in told.value.message, "no answer" in told.value.message) == (False, True)


@contextmanager
def raw(answers: bytes, *, drip: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """A server that says these bytes to whoever asks and then, until the end, nothing, or ever another byte."""
    asked: list[bytes] = []
    over = threading.Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            asked.append(self.request.recv(65536))
            with suppress(OSError):
                self.request.sendall(answers)
                while not over.wait(0.02):
                    self.request.sendall(b"x" if drip else b"")

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/T0/sekret-path", asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_webhook_that_is_slow_with_its_words() -> None:
    """What was taken is not sent again because its answer has no end; what is dealt out by bytes has an end."""
    with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\no") as (url, asked), within():
        post("slack", "SLACK_URL", url, {"text": "x"}, pauses=(0, 0))
        assert len(asked) == 1
    with raw(b"HTTP/1.1 200 OK\r\nX-Y: ", drip=True) as (url, asked), within(), pytest.raises(RemoteError) as told:
        post("slack", "SLACK_URL", url, {"text": "x"}, pauses=(0,), timeout=0.3)
    assert (len(asked), "no answer in time" in told.value.message) == (2, True)
    with (
        raw(b"HTTP/1.1 503 no\r\nContent-Length: 9999\r\n\r\n", drip=True) as (url, _),
        pytest.raises(RemoteError) as told,
    ):
        post("slack", "SLACK_URL", url, {"text": "x"}, pauses=(), timeout=0.3)
    assert told.value.message.endswith(": HTTP 503")


@pytest.mark.parametrize(
    ("asked", "waits"), [("30", [0, 30, 30]), ("0", [0, 1, 5]), ("soon", [0, 1, 5]), ("3600", [0])]
)
def test_who_asks_to_be_left_in_peace_is(asked: str, waits: list[float]) -> None:
    answer = f"HTTP/1.1 429 no\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n".encode()
    waited: list[float] = []
    with raw(answer) as (url, _), pytest.raises(RemoteError) as told:
        post("slack", "SLACK_URL", url, {"text": "x"}, sleep=waited.append)
    assert (waited, "asks to wait 3600 s" in told.value.message) == (waits, asked == "3600")


def test_why_there_is_no_answer() -> None:
    with raw(b"not TLS at all\r\n") as (url, _), pytest.raises(RemoteError) as told:
        post("slack", "SLACK_URL", url.replace("http:", "https:"), {"text": "x"}, pauses=())
    assert told.value.message.endswith("did not take the message: no answer: no TLS")


def test_payloads_call_nobody() -> None:
    text = "<!channel> @here & @channel mia@example.com"
    assert payload("slack", text, {})["text"] == "&lt;!channel&gt; @\u200bhere &amp; @\u200bchannel mia@example.com"
    assert payload("mattermost", text, {})["text"] == "<!channel> @\u200bhere & @\u200bchannel mia@example.com"
    card = payload("teams", "x", {})["attachments"][0]
    assert (card["contentType"], card["content"]["type"]) == ("application/vnd.microsoft.card.adaptive", "AdaptiveCard")
    assert payload("generic", "x", {"tag": "v1"}) == {"tag": "v1", "text": "x"}


@pytest.mark.parametrize(
    "value", ["", "nonsense", "ftp://x/y", "http://example.com/x", "https://[x/y", "https://x/\x1b"]
)
def test_an_address_that_is_none_is_not_shown(value: str) -> None:
    with pytest.raises(UsageError) as told:
        checked_url("SLACK_URL", value)
    assert value == "" or value not in told.value.message + told.value.remedy
