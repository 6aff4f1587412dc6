"""The client of OSV's service, against a server that answers as it does: the hosted one cannot be had in a test."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.attest.scan.osv_dev import OsvService
from orchestrator.core.errors import RemoteError, UsageError
from tests.attest.bills import bill
from tests.attest.scan.advisories import BASH, TORCH

if TYPE_CHECKING:
    from collections.abc import Iterator


class Service(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[tuple[str, Any]] = []
        self.faults: list[int] = []
        self.answer: bytes | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:  # as http.server names it
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.server.asked.append((self.path, queries))
        self.say({"results": [self.found(each) for each in queries]})

    def do_GET(self) -> None:
        self.server.asked.append((self.path, None))
        records = {each["id"]: each for each in (TORCH, BASH)}
        self.say(records[self.path.rpartition("/")[2]])

    def found(self, query: dict[str, Any]) -> dict[str, Any]:
        name = query["package"]["name"]
        if name == "torch" and "page_token" not in query:
            return {"next_page_token": "more"}
        known = {"torch": TORCH["id"], "bash": BASH["id"]}
        return {"vulns": [{"id": known[name], "modified": "x"}]} if name in known else {}

    def say(self, value: Any) -> None:
        status = self.server.faults.pop(0) if self.server.faults else 200
        data = json.dumps(value).encode() if self.server.answer is None else self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_packages_are_asked_together_and_pages_followed(service: Service) -> None:
    service.faults = [503, 429]
    found = OsvService(service.address, backoff=0).records(bill().components)
    assert [each.id for each, _ in found] == [BASH["id"], TORCH["id"]]
    assert json.loads(found[1][1]) == TORCH
    queries = [queries for path, queries in service.asked if path == "/v1/querybatch"]
    assert [len(each) for each in queries] == [6, 6, 6, 1]  # tried again twice, then the second page of torch
    assert {"package": {"name": "bash", "ecosystem": "Debian:12"}, "version": "5.2.15-2+b7"} in queries[0]


def test_what_it_cannot_or_will_not_answer_is_one_line(service: Service) -> None:
    service.faults = [400]
    with pytest.raises(RemoteError, match="HTTP 400"):
        OsvService(service.address, backoff=0).records(bill().components)
    assert len(service.asked) == 1
    for answer in (b"[]", b"{", b'{"results": [1]}'):
        service.answer = answer
        with pytest.raises(RemoteError, match="makes no sense"):
            OsvService(service.address, backoff=0).records(bill().components)
    with pytest.raises(RemoteError, match="ConnectionError"):
        OsvService("http://127.0.0.1:1", backoff=0).records(bill().components)
    with pytest.raises(UsageError, match="no http address"):
        OsvService("osv.dev")
