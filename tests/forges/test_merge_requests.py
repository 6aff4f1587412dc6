"""The request of a proposed release on a forge: opened once, described again, seen closed or merged elsewhere, closed.

The forge is a small mock of this file, because none can be had here; its answers have the fields that GitHub's and
GitLab's documents name for these four calls.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.support.cli import Ran, release
from tests.support.printed import claim, must_be_typed, types
from tests.support.remedies import said, typed
from tests.support.story import fix_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.story import Story

pytestmark = pytest.mark.hostile
CANDIDATE, BRANCH = "release-candidate/v2.7.1", "release/v2.7"


@dataclass
class Requests:
    """Every request of a project, by number, in words of our own; `broken` is what is answered instead."""

    provider: str
    url: str = ""
    found: dict[int, dict[str, str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    broken: Any = None

    def shown(self, number: int) -> dict[str, Any]:
        each = self.found[number]
        page = f"{self.url}/{number}"
        if self.provider == "gitlab":
            state = {"open": "opened"}.get(each["state"], each["state"])
            return {
                "iid": number,
                "web_url": page,
                "state": state,
                "target_branch": each["target"],
                "sha": each["head"],
            }
        merged = "2026-01-01T00:00:00Z" if each["state"] == "merged" else None
        return {
            "number": number, "html_url": page, "state": "open" if each["state"] == "open" else "closed",
            "merged_at": merged, "base": {"ref": each["target"]}, "head": {"sha": each["head"]},
        }  # fmt: skip

    def answer(self, verb: str, path: str, query: dict[str, list[str]], body: dict[str, Any], tip: str) -> Any:
        self.log.append(verb)
        if self.broken is not None:
            return self.broken
        if verb == "GET" and path.endswith(("/pulls", "/merge_requests")):
            head = query.get("head", query.get("source_branch", [""]))[0].rpartition(":")[2]
            return [self.shown(number) for number, each in sorted(self.found.items()) if each["source"] == head]
        if verb == "GET":  # GitLab's client asks for the project first
            return {"id": 1, "path_with_namespace": "org/project"}
        if verb == "POST":
            source, target = (body.get(name) or body[other] for name, other in
                              (("head", "source_branch"), ("base", "target_branch")))  # fmt: skip
            self.found[len(self.found) + 1] = {
                "source": source, "target": target, "state": "open", "head": tip,
                "title": body["title"], "body": body.get("body", body.get("description", "")),
            }  # fmt: skip
            return self.shown(len(self.found))
        each = self.found[int(path.rpartition("/")[2])]
        if "closed" in (body.get("state"), f"{body.get('state_event')}d"):
            each["state"] = "closed"
        each |= {name: body[name] for name in ("title", "body") if name in body}
        return self.shown(int(path.rpartition("/")[2]))


@contextmanager
def serving(requests: Requests, tale: Story) -> Iterator[Requests]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            tip = tale.remote.attempt("rev-parse", f"refs/heads/{CANDIDATE}").stdout.strip()
            query = parse_qs(parts.query)
            found = requests.answer(self.command, unquote(parts.path), query, body, tip)
            data = json.dumps({"message": "Not Found"} if found is None else found).encode()
            self.send_response(404 if found is None else 201 if self.command == "POST" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = _any  # noqa: N815 -- names of the library

        def log_message(self, *_: object) -> None:
            """Nothing to the terminal of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    requests.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest, tale: Story) -> Iterator[Requests]:
    with serving(Requests(request.param), tale) as requests:
        land = (
            f"land: {{by: pull-request, provider: {request.param}, api: {requests.url!r}, repository: org/project}}\n"
        )
        tale.release_yaml(fix_line(tale.fix), extra=land)
        yield requests


TOKENS = {"GITHUB_TOKEN": "t0ken", "GITLAB_TOKEN": "t0ken"}


def run(tale: Story, *args: str) -> Ran:
    return release(*args, cwd=tale.clone.path, env=TOKENS)


def cut(tale: Story) -> Ran:
    return run(tale, "cut", "v2.7.1", "--yes")


@pytest.mark.wide(2)
def test_one_request_is_opened_and_described_again(tale: Story, forge: Requests) -> None:
    first = cut(tale)
    assert first.code == 10, first.err
    (opened,) = forge.found.values()
    assert (opened["source"], opened["target"], opened["title"]) == (
        CANDIDATE, BRANCH, "release v2.7.1: loader leak",
    )  # fmt: skip
    assert tale.fix[:12] in opened["body"]
    assert cut(tale).code == 10
    assert len(forge.found) == 1
    assert "t0ken" not in first.out + first.err


AWAY, ELSEWHERE = "landing/request.py: release abort {}", "landing/request.py: release abort {} && release cut {}"
for _command in (AWAY, ELSEWHERE):
    claim([_command], "test_a_request_that_can_bring_nothing_is_one_line")


@pytest.mark.wide(6)
@pytest.mark.parametrize(
    ("change", "says", "code", "leaves"),
    [
        ({"state": "closed"}, "was closed without a merge", 4, AWAY),
        ({"state": "merged", "target": "main"}, "was merged into main, not into release/v2.7", 9, ELSEWHERE),
        ({"head": "0" * 40}, "somebody pushed to it", 9, AWAY),
    ],
)
def test_a_request_that_can_bring_nothing_is_one_line(
    tale: Story, forge: Requests, change: dict[str, str], says: str, code: int, leaves: str
) -> None:
    assert cut(tale).code == 10
    forge.found[1] |= change
    ran = cut(tale)
    assert (ran.code, says in ran.err) == (code, True), ran.err
    assert "do: " in ran.err
    assert not tale.remote.git("for-each-ref", "refs/tags/v2.7.1")
    way = said(ran, "release abort")
    done = typed(f"{way} --yes" if leaves is ELSEWHERE else way, tale.clone.path, TOKENS)
    must_be_typed([leaves])
    assert done.returncode == (10 if leaves is ELSEWHERE else 0), done.stderr
    left = tale.remote.git("for-each-ref", f"refs/heads/{CANDIDATE}", "refs/release-candidates")
    assert bool(left) is (leaves is ELSEWHERE)


@pytest.mark.wide(2)
@types("landing/request.py: release cut {}")
def test_the_request_says_how_it_goes_on(tale: Story, forge: Requests) -> None:
    assert cut(tale).code == 10
    forge.found[1]["state"] = "merged"
    tale.remote.git("update-ref", f"refs/heads/{BRANCH}", f"refs/heads/{CANDIDATE}")
    done = typed(f"{said(Ran(0, forge.found[1]['body'], ''), 'release cut')} --yes", tale.clone.path, TOKENS)
    assert done.returncode == 0, done.stderr


@pytest.mark.wide(2)
def test_abort_closes_it(tale: Story, forge: Requests) -> None:
    assert cut(tale).code == 10
    ran = run(tale, "abort", "v2.7.1")
    assert ran.code == 0, ran.err
    assert forge.found[1]["state"] == "closed"
    assert "request 1 is closed" in ran.out + ran.err


@pytest.mark.wide(4)
@pytest.mark.parametrize("broken", ["words", [{"number": 1, "state": "open", "base": 3}]])
def test_an_answer_that_makes_no_sense_is_one_line(tale: Story, forge: Requests, broken: Any) -> None:
    forge.broken = broken
    ran = cut(tale)
    assert "Traceback" not in ran.err + ran.out
    assert "unexpected" not in ran.err
    assert ran.code in (7, 9, 10), (ran.code, ran.err)
    assert not tale.remote.git("for-each-ref", "refs/tags/v2.7.1")
