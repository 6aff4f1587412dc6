"""A forge for tests: keeps state, and holds every request and its own answers against an OpenAPI description."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA = Path(__file__).parent / "data"


@cache
def description(name: str) -> OpenAPI:
    return OpenAPI.from_dict(json.loads((DATA / f"{name}-openapi.json").read_text()))


@dataclass
class _Request:
    host_url: str
    path: str
    method: str
    body: bytes | None
    parameters: RequestParameters
    content_type: str = "application/json"


@dataclass
class _Response:
    status_code: int
    data: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


_DATES = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
_AS_NEW = {  # of a new project on GitLab
    "disable_overriding_approvers_per_merge_request": False,
    "merge_requests_author_approval": False,
    "merge_requests_disable_committers_approval": False,
    "reset_approvals_on_push": True,
}


@dataclass
class Forge:
    """The state of a mock: `log` are the requests, `faults` what the description objects to."""

    provider: str
    url: str = ""
    log: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rulesets: dict[int, dict[str, Any]] = field(default_factory=dict)
    branches: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, Any]] = field(default_factory=dict)
    project: dict[str, Any] = field(default_factory=lambda: {"id": 7, "path_with_namespace": "acme/image"})
    approvals: dict[int, dict[str, Any]] | None = None  # None: GitLab without them
    approving: dict[str, Any] = field(default_factory=lambda: dict(_AS_NEW))
    answer: tuple[int, str, dict[str, str]] | None = None  # given to everything
    failing: int = 0  # so many 502s first
    refusals: list[str] = field(default_factory=list)  # the next POST that names one gets a 422
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)  # `secret NAME` and the like -> more of its answer
    query: dict[str, str] = field(default_factory=dict)  # of the request that is answered
    closed: bool = False  # whether this token may not look at what is kept

    @property
    def writes(self) -> list[str]:
        return [line for line in self.log if not line.startswith("GET")]

    def reply(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.split("/") if part]
        if method == "POST" and body.get("name") in self.refusals:
            self.refusals.remove(body["name"])
            return 422, {"message": "refused by the test"}
        return self._github(method, parts, body) if self.provider == "github" else self._gitlab(method, parts[2:], body)

    def _github(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if parts[3:4] in (["actions"], ["environments"]):
            return self._kept_by_github(parts[3:])
        if parts[:4] != ["repos", "acme", "image", "rulesets"]:
            return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com", "status": "404"}
        if len(parts) == 4 and method == "GET":
            left_out = ("rules", "bypass_actors", "conditions")
            short = [{k: v for k, v in each.items() if k not in left_out} for each in self.rulesets.values()]
            return 200, short
        number = int(parts[4]) if len(parts) == 5 else max(self.rulesets, default=0) + 1
        if method in ("POST", "PUT"):
            self.rulesets[number] = {**body, "id": number, "source": "acme/image", "source_type": "Repository"}
            for rule in self.rulesets[number]["rules"]:  # GitHub fills in what was not said
                if rule["type"] == "pull_request":
                    rule["parameters"]["allowed_merge_methods"] = ["merge", "squash", "rebase"]
        return (201 if method == "POST" else 200), self.rulesets[number]

    def _kept_by_github(self, parts: list[str]) -> tuple[int, Any]:
        """`actions/secrets/NAME`, `environments/E`, `environments/E/variables/NAME`, `actions/organization-secrets`."""
        kind = parts[-2].removesuffix("s")
        if self.closed:
            return 403, {"message": "Resource not accessible by personal access token"}
        if parts[-1].startswith("organization-"):
            plural = parts[-1].removeprefix("organization-")
            shared = [name.split()[-1] for name in self.kept if name.startswith(f"shared {plural[:-1]} ")]
            more = {} if plural == "secrets" else {"value": "x"}
            return 200, {"total_count": len(shared), plural: [{"name": each, **_DATES, **more} for each in shared]}
        scope = f"{parts[1]} " if len(parts) == 4 and parts[0] == "environments" else ""
        if f"{scope}{kind} {parts[-1]}" not in self.kept:
            return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com", "status": "404"}
        if kind == "environment":
            page = "https://github.com/acme/image"
            return 200, {"id": 1, "node_id": "x", "name": parts[-1], "url": page, "html_url": page, **_DATES}
        return 200, {"name": parts[-1], **_DATES, **({"value": "x"} if kind == "variable" else {})}

    def _kept_by_gitlab(self, parts: list[str], query: Mapping[str, str]) -> tuple[int, Any]:
        if self.closed:
            return 403, {"message": "403 Forbidden"}
        if parts[2] == "environments":
            name = query.get("name", "")
            found = [{"id": 1, "name": name, "slug": name, "state": "available"}]
            return 200, found if f"environment {name}" in self.kept else []
        if f"variable {parts[3]}" not in self.kept:
            return 404, {"message": "404 Variable Not Found"}
        own = {"key": parts[3], "value": "x", "variable_type": "env_var", "protected": True, "masked": True}
        return 200, {**own, **self.kept[f"variable {parts[3]}"]}

    def _gitlab(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if parts[:1] != ["projects"] or parts[1] not in ("acme/image", "7"):
            return 404, {"message": "404 Project Not Found"}
        if len(parts) == 2:
            self.project |= body
            return 200, self.project
        if parts[2] in ("variables", "environments"):
            return self._kept_by_gitlab(parts, self.query)
        if parts[2] == "approvals" and self.approvals is not None:
            self.approving |= body
            return (201 if method == "POST" else 200), self.approving
        if parts[2] == "approval_rules":
            return self._approval_rules(method, parts, body)
        return self._protected(method, parts, body)

    def _approval_rules(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if self.approvals is None:
            return 404, {"error": "404 Not Found"}
        if method == "GET":
            return 200, list(self.approvals.values())
        number = int(parts[3]) if method == "PUT" else len(self.approvals) + 1
        self.approvals[number] = {**body, "id": number}
        return (201 if method == "POST" else 200), self.approvals[number]

    def _protected(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        there = self.branches if parts[2] == "protected_branches" else self.tags
        if method == "GET":
            return 200, list(there.values())
        if method == "DELETE":
            del there[parts[3]]
            return 204, None
        if body["name"] in there:
            return 409, {"message": "Protected branch already exists"}
        shown: dict[str, Any] = {"id": len(there) + 1, "name": body["name"]}
        for word in ("push", "merge") if there is self.branches else ("create",):
            levels = body.get(f"allowed_to_{word}") or [{"access_level": body.get(f"{word}_access_level", 40)}]
            shown[f"{word}_access_levels"] = [
                {"id": n, "access_level": 40, "user_id": None, "group_id": None, "deploy_key_id": None, **each}
                for n, each in enumerate(levels)
            ]
        if there is self.branches:
            shown["allow_force_push"] = body.get("allow_force_push", False)
            shown["code_owner_approval_required"] = body.get("code_owner_approval_required", False)
        there[body["name"]] = shown
        return 201, shown


class _Server(ThreadingHTTPServer):
    state: Forge


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def answer(self) -> None:
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        state.log.append(f"{self.command} {self.path}")
        if "sekret-token" not in (self.headers.get("Authorization", "")[6:], self.headers.get("PRIVATE-TOKEN")):
            self.send(401, {"message": "Bad credentials"})
        elif state.failing:
            state.failing -= 1
            self.send(502, {"message": "later"})
        elif state.answer:
            self.send(*state.answer)
        else:
            self.send(*self.checked(body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # names that the server looks for

    def checked(self, body: bytes) -> tuple[int, Any]:
        """The state's reply; the request and the reply are held against the description."""
        state, parts = self.server.state, urlsplit(self.path)
        spec, request = description(state.provider), self.request_of(body)
        known = parts.path.startswith(("/repos/acme/image/", "/api/v4/projects/"))
        with self.noting(known=known):
            spec.validate_request(request)
        state.query = dict(parse_qsl(parts.query))
        status, data = state.reply(self.command, parts.path, json.loads(body) if body else {})
        with self.noting(known=known and status < 300 and data is not None):
            spec.validate_response(request, _Response(status, json.dumps(data).encode()))
        return status, data

    @contextmanager
    def noting(self, *, known: bool) -> Iterator[None]:
        try:
            yield
        except OpenAPIError as error:
            if known:
                self.server.state.faults.append(f"{self.command} {self.path}: {error!r} {error.__cause__!r}")

    def request_of(self, body: bytes) -> _Request:
        state, parts = self.server.state, urlsplit(self.path)
        parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(parts.query)),
            header=Headers(dict(self.headers)),
            cookie=ImmutableMultiDict(),
        )
        return _Request(
            host_url=state.url if state.provider == "gitlab" else "https://api.github.com",
            path=parts.path, method=self.command.lower(), body=body or None, parameters=parameters,
        )  # fmt: skip

    def send(self, status: int, data: Any, headers: dict[str, str] | None = None) -> None:
        raw = data.encode() if isinstance(data, str) else b"" if data is None else json.dumps(data).encode()
        self.send_response(status)
        kind = "text/html" if raw.startswith(b"<") else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the server's own name for it
        """Nothing: the log is the state's."""


@contextmanager
def forge(provider: str) -> Iterator[Forge]:
    """A mock on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = state = Forge(provider, url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
