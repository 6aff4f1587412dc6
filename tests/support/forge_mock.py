"""A forge for tests: keeps state, and holds every request and its own answers against an OpenAPI description."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.support.forge_described import AS_NEW, AUTHOR, DATES, DescribedRequest, DescribedResponse, description
from tests.support.forge_examples import least

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BOT = "github-actions[bot]"


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
    approving: dict[str, Any] = field(default_factory=lambda: dict(AS_NEW))
    answer: tuple[int, str, dict[str, str]] | None = None  # given to everything
    failing: int = 0  # so many 502s first
    refusals: list[str] = field(default_factory=list)  # the next POST that names one gets a 422
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)  # `secret NAME` and the like -> more of its answer
    packages: dict[str, bytes] = field(default_factory=dict)  # GitLab's, by file
    raw: bytes = b""  # of the request that is answered
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)  # tag -> its text and `assets`: name -> bytes
    query: dict[str, str] = field(default_factory=dict)  # of the request that is answered
    pushable: dict[str, bool] = field(default_factory=dict)  # of GitLab's branches: whether this token may push
    closed: bool = False  # whether this token may not look at what is kept
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # request -> `id`, `by`, `body` of each
    open_requests: set[int] = field(default_factory=set)
    merged_with: dict[str, list[int]] = field(default_factory=dict)  # commit -> its merged requests
    locked: set[int] = field(default_factory=set)  # requests that take no comment
    me: str = "me"  # whose token it is; "" for GitHub's of an App, which may not ask

    @property
    def writes(self) -> list[str]:
        return [line for line in self.log if not line.startswith("GET")]

    def reply(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.split("/") if part]
        if method == "POST" and body.get("name") in self.refusals:
            self.refusals.remove(body["name"])
            return 422, {"message": "refused by the test"}
        if parts[-2:-1] == ["issues"] and method == "GET":
            return 404, {"message": "404 Not Found"}
        if parts[-1:] == ["user"] and self.provider == "gitlab":
            return 200, {"id": 1, "username": self.me}
        return self._github(method, parts, body) if self.provider == "github" else self._gitlab(method, parts[2:], body)

    def _github(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if parts == ["user"] or parts[3:4] in (["issues"], ["pulls"], ["commits"]):
            return self._comments_of_github(method, parts[3:], body)
        if parts[3:4] == ["releases"]:
            return self._releases_of_github(method, parts[4:], body)
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

    # what people say

    def _said(self, number: int, body: dict[str, Any], who: str = "") -> dict[str, Any]:
        there = self.comments.setdefault(number, [])
        made = {"id": 1 + sum(map(len, self.comments.values())), "by": who or self.me or BOT, "body": body["body"]}
        there.append(made)
        return made

    def _edited(self, key: int, body: dict[str, Any]) -> dict[str, Any]:
        found = next(each for there in self.comments.values() for each in there if each["id"] == key)
        found["body"] = body["body"]
        return found

    def _comments_of_github(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if not parts:
            return (200, {"login": self.me}) if self.me else (403, {"message": "Resource not accessible"})
        if parts[0] == "commits":
            return 200, [self._pull(each, "closed") for each in self.merged_with.get(parts[1], [])]
        if parts[0] == "pulls":
            return (200, []) if parts[2:] else self._known(int(parts[1]))
        if parts[1] == "comments":
            return 200, self._github_comment(self._edited(int(parts[2]), body))
        number = int(parts[1])
        if method == "POST":
            if number in self.locked:
                return 403, {"message": "Unable to create comment because issue is locked."}
            return 201, self._github_comment(self._said(number, body))
        page, many = int(self.query.get("page", 1)), int(self.query["per_page"])
        return 200, [self._github_comment(each) for each in self.comments.get(number, [])[(page - 1) * many :][:many]]

    def _known(self, number: int) -> tuple[int, Any]:
        if number in self.open_requests:
            return 200, self._pull(number, "open")
        return 404, {"message": "Not Found"}

    def _pull(self, number: int, state: str) -> dict[str, Any]:
        found = least("pull-request-simple", number=number, state=state)
        merged = None if state == "open" else DATES["created_at"]
        return found | {
            "base": found["base"] | {"ref": "main"}, "merged_at": merged,
            "html_url": f"https://github.com/acme/image/pull/{number}",
        }  # fmt: skip

    def _github_comment(self, said: dict[str, Any]) -> dict[str, Any]:
        user = least("simple-user", login=said["by"], type="Bot" if said["by"].endswith("[bot]") else "User")
        return least(
            "issue-comment", id=said["id"], body=said["body"], user=user,
            html_url=f"https://github.com/acme/image/pull/1#issuecomment-{said['id']}",
        )  # fmt: skip

    def _comments_of_gitlab(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if parts[2] == "repository":
            return 200, [self._merge_request(each, "merged") for each in self.merged_with.get(parts[4], [])]
        number = int(parts[3])
        if len(parts) == 4:
            if number not in self.open_requests:
                return 404, {"message": "404 Not found"}
            return 200, self._merge_request(number, "opened")
        if method == "PUT":
            return 200, self._note(self._edited(int(parts[5]), body))
        if method == "POST":
            if number in self.locked:
                return 403, {"message": "403 Forbidden"}
            return 201, self._note(self._said(number, body))
        return 200, [self._note(each) for each in self.comments.get(number, [])]

    def _merge_request(self, number: int, state: str) -> dict[str, Any]:
        page = f"{self.url}/acme/image/-/merge_requests/{number}"
        return {"iid": number, "web_url": page, "state": state, "target_branch": "main", "sha": "x"}

    def _note(self, said: dict[str, Any]) -> dict[str, Any]:
        author = {"id": 1 if said["by"] == self.me else 2, "username": said["by"]}
        return {"id": said["id"], "body": said["body"], "system": False, "author": author, **DATES}

    def _releases_of_github(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        tags = list(self.releases)
        if parts[:1] == ["tags"]:
            return (200, self._github_release(parts[1])) if parts[1] in tags else (404, {"message": "Not Found"})
        if parts[:1] == ["assets"]:
            tag, name = tags[int(parts[1]) // 100], int(parts[1]) % 100
            del self.releases[tag]["assets"][list(self.releases[tag]["assets"])[name]]
            return 204, None
        if parts and parts[1:] == ["assets"]:
            assets = self.releases[tags[int(parts[0])]]["assets"]
            if method == "POST":
                assets[self.query["name"]] = self.raw
            shown: list[dict[str, Any]] = self._github_release(tags[int(parts[0])])["assets"]
            return (
                (201, next(each for each in shown if each["name"] == self.query["name"]))
                if method == "POST"
                else (200, shown)
            )
        tag = tags[int(parts[0])] if parts else body["tag_name"]
        self.releases.setdefault(tag, {"assets": {}}).update(body)
        return (200 if parts else 201), self._github_release(tag)

    def _github_release(self, tag: str) -> dict[str, Any]:
        there, number = self.releases[tag], list(self.releases).index(tag)
        api = f"{self.url}/repos/acme/image/releases/{number}"
        assets = [
            {"id": 100 * number + n, "name": name, "size": len(data), "url": api, "node_id": "x", "label": "",
             "state": "uploaded",
             "content_type": "text/html", "download_count": 0, "browser_download_url": api, "uploader": None,
             "digest": None, **DATES}
            for n, (name, data) in enumerate(there["assets"].items())
        ]  # fmt: skip
        return {
            "id": number, "tag_name": tag, "name": there["name"], "body": there["body"], "draft": False, "node_id": "x",
            "prerelease": there["prerelease"], "url": api,
            "html_url": f"https://github.com/acme/image/releases/tag/{tag}",
            "assets_url": api, "upload_url": f"{api}/assets{{?name,label}}", "tarball_url": None, "zipball_url": None,
            "target_commitish": "main", "published_at": None, "created_at": DATES["created_at"], "assets": assets,
            "author": AUTHOR,
        }  # fmt: skip

    def _releases_of_gitlab(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if parts[2] == "packages":
            self.packages[parts[-1]] = self.raw
            return 201, {"message": "201 Created"}
        tag = parts[3] if len(parts) > 3 else body["tag_name"]
        if parts[4:] == ["assets", "links"]:
            assert body["url"].endswith(f"/packages/generic/release/{tag}/{body['name']}")
            self.releases[tag]["assets"][body["name"]] = self.packages[body["name"]]
            return 201, {"id": 1, "name": body["name"], "url": body["url"]}
        if method == "GET" and tag not in self.releases:
            return 404, {"message": "404 Not Found"}
        there = self.releases.setdefault(tag, {"assets": {}})
        there.update(body)
        links = [{"id": n, "name": name, "url": "https://x"} for n, name in enumerate(there["assets"])]
        page = f"https://gitlab.com/acme/image/-/releases/{tag}"
        return (201 if method == "POST" else 200), {
            "tag_name": tag, "name": there["name"], "description": there["description"], "assets": {"links": links},
            "_links": {"self": page},
        }  # fmt: skip

    def _kept_by_github(self, parts: list[str]) -> tuple[int, Any]:
        """`actions/secrets/NAME`, `environments/E`, `environments/E/variables/NAME`, `actions/organization-secrets`."""
        kind = parts[-2].removesuffix("s")
        if self.closed:
            return 403, {"message": "Resource not accessible by personal access token"}
        if parts[-1].startswith("organization-"):
            plural = parts[-1].removeprefix("organization-")
            shared = [name.split()[-1] for name in self.kept if name.startswith(f"shared {plural[:-1]} ")]
            more = {} if plural == "secrets" else {"value": "x"}
            return 200, {"total_count": len(shared), plural: [{"name": each, **DATES, **more} for each in shared]}
        scope = f"{parts[1]} " if len(parts) == 4 and parts[0] == "environments" else ""
        if f"{scope}{kind} {parts[-1]}" not in self.kept:
            return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com", "status": "404"}
        if kind == "environment":
            page = "https://github.com/acme/image"
            return 200, {"id": 1, "node_id": "x", "name": parts[-1], "url": page, "html_url": page, **DATES}
        return 200, {"name": parts[-1], **DATES, **({"value": "x"} if kind == "variable" else {})}

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
        if parts[2] == "merge_requests" or parts[2:4] == ["repository", "commits"]:
            return self._comments_of_gitlab(method, parts, body)
        if parts[2] in ("releases", "packages"):
            return self._releases_of_gitlab(method, parts, body)
        if parts[2] in ("variables", "environments"):
            return self._kept_by_gitlab(parts, self.query)
        if parts[2:4] == ["repository", "branches"]:
            if parts[4] not in self.pushable:
                return 404, {"message": "404 Branch Not Found"}
            return 200, {"name": parts[4], "protected": True, "can_push": self.pushable[parts[4]]}
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
        known = known and not re.search(r"/pulls/|/issues/\d+$", parts.path)  # a whole request is as long as a page
        with self.noting(known=known):
            spec.validate_request(request)
        state.query = dict(parse_qsl(parts.query))
        state.raw, is_json = body, self.headers.get("Content-Type", "").startswith("application/json")
        status, data = state.reply(self.command, parts.path, json.loads(body) if body and is_json else {})
        with self.noting(known=known and status < 300 and data is not None):
            spec.validate_response(request, DescribedResponse(status, json.dumps(data).encode()))
        return status, data

    @contextmanager
    def noting(self, *, known: bool) -> Iterator[None]:
        try:
            yield
        except OpenAPIError as error:
            if known:
                self.server.state.faults.append(f"{self.command} {self.path}: {error!r} {error.__cause__!r}")

    def request_of(self, body: bytes) -> DescribedRequest:
        state, parts = self.server.state, urlsplit(self.path)
        parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(parts.query)),
            header=Headers(dict(self.headers)),
            cookie=ImmutableMultiDict(),
        )
        uploads = state.provider == "github" and self.command == "POST" and parts.path.endswith("/assets")
        hub = "https://uploads.github.com" if uploads else "https://api.github.com"
        return DescribedRequest(
            host_url=state.url if state.provider == "gitlab" else hub,
            path=parts.path, method=self.command.lower(), body=body or None, parameters=parameters,
            content_type="application/octet-stream" if uploads else "application/json",  # as it is described
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
