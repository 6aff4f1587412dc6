"""The door to GitHub: PyGithub.  It wraps no rulesets, so its requester asks their endpoints.

REST: https://docs.github.com/en/rest/repos/rules
"""

from __future__ import annotations

import io
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from orchestrator.core.errors import RefusedError
from orchestrator.forges import Comment, Current, ForgeRelease, KeptSetting, MergeRequest, RequestFacts, Setting
from orchestrator.forges.failures import (
    ForgeDeniedError,
    ForgeMissingError,
    bad_answer,
    missing_library,
    refusal,
    unreachable,
)
from orchestrator.forges.github_rules import GITHUB_API as GITHUB_API
from orchestrator.forges.github_rules import actor as actor
from orchestrator.forges.github_rules import settings as settings
from orchestrator.forges.github_rules import words as words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from github.Requester import Requester

    from orchestrator.forges import Address, ReleaseText


_TIMEOUT: Final = 30  # seconds
_TRIES: Final = 3
_PER_PAGE: Final = 100
_ACTIONS: Final = "github-actions[bot]"
_PASSING: Final = (500, 502, 503, 504)


class GitHub:
    """A repository's rulesets."""

    def __init__(self, address: Address, *, backoff: float = 0.5) -> None:
        self._address = address
        self._requester = _requester(address, backoff)
        owner, _, name = address.repository.partition("/")
        self._owner, self._repository = owner, f"/repos/{quote(owner)}/{quote(name)}"
        self._rulesets = f"{self._repository}/rulesets"
        self._ids: dict[str, int] = {}
        self._tells_its_name = True

    def read(self, wanted: Sequence[Setting]) -> Current:
        names = {setting.name for setting in wanted}
        found, others = {}, []
        for each in self._list():
            if each.get("name") not in names:
                others.append(f"ruleset {each.get('name')!r}")
                continue
            full = self._ask("GET", f"{self._rulesets}/{each['id']}", f"read ruleset {each['name']!r}")
            setting = self._setting(full)
            self._ids[setting.name] = each["id"]
            found[setting.key] = setting
        return Current(found=found, others=tuple(others))

    def write(self, setting: Setting, before: Setting | None) -> None:
        what = f"write ruleset {setting.name!r}"
        if before is None:
            self._ask("POST", self._rulesets, what, body=setting.value)
        else:
            self._ask("PUT", f"{self._rulesets}/{self._ids[setting.name]}", what, body=setting.value)

    # -------------------------------------------------------------- pull requests

    def requests(self, source: str) -> list[MergeRequest]:
        query = {"head": f"{self._owner}:{source}", "state": "all", "sort": "created", "direction": "desc"}
        found = self._ask("GET", f"{self._repository}/pulls", "list pull requests", query=query)
        if not isinstance(found, list):
            raise bad_answer(self._address, "list pull requests", found)
        return [self._read(each, "list pull requests") for each in found]

    def request(self, number: int) -> RequestFacts | None:
        what = f"read pull request {number}"
        try:
            data = self._ask("GET", f"{self._repository}/pulls/{number}", what)
        except ForgeDeniedError:
            return self._issue(number)
        reviews = self._ask("GET", f"{self._repository}/pulls/{number}/reviews", what, query={"per_page": _PER_PAGE})
        try:
            approved = [str(each["commit_id"]) for each in reviews if each["state"] == "APPROVED" and each["commit_id"]]
            made = _request(data)
            landed = str(data.get("merge_commit_sha") or "") if made.state == "merged" else ""
            return RequestFacts(
                number=made.number, url=made.url, state=made.state, target=made.target, head=made.head, landed=landed,
                approved=tuple(approved), has_fork=bool(data["head"].get("repo")),
            )  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError):
            raise bad_answer(self._address, what, data) from None

    def _issue(self, number: int) -> RequestFacts | None:
        """What an issue of that number is to us; None where there is none either."""
        try:
            data = self._ask("GET", f"{self._repository}/issues/{number}", f"read issue {number}")
        except ForgeDeniedError:
            return None
        url = str(data.get("html_url", "")) if isinstance(data, dict) else ""
        return RequestFacts(number=number, url=url, state="open", target="", head="", is_issue=True)

    def open_request(self, *, source: str, target: str, title: str, body: str) -> MergeRequest:
        values = {"head": source, "base": target, "title": title, "body": body}
        found = self._ask("POST", f"{self._repository}/pulls", "open a pull request", body=values)
        return self._read(found, "open a pull request")

    def _read(self, data: Any, what: str) -> MergeRequest:
        try:
            return _request(data)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise bad_answer(self._address, what, data) from None

    def describe_request(self, number: int, *, title: str, body: str) -> None:
        values = {"title": title, "body": body}
        self._ask("PATCH", f"{self._repository}/pulls/{number}", f"describe pull request {number}", body=values)

    def close_request(self, number: int) -> None:
        path = f"{self._repository}/pulls/{number}"
        self._ask("PATCH", path, f"close pull request {number}", body={"state": "closed"})

    # -------------------------------------------------------------- comments

    def comments(self, number: int) -> list[Comment]:
        path, what = f"{self._repository}/issues/{number}/comments", f"read the comments on {number}"
        found: list[Comment] = []
        page = 1
        while True:
            part = self._ask("GET", path, what, query={"per_page": _PER_PAGE, "page": page})
            try:
                found += [self._comment(each) for each in part]
            except (AttributeError, KeyError, TypeError, ValueError):
                raise bad_answer(self._address, what, part) from None
            if len(part) < _PER_PAGE:
                return found
            page += 1

    def _comment(self, data: Mapping[str, Any]) -> Comment:
        author = data.get("user") or {"login": "", "type": "User"}  # of an account that is gone
        mine: bool | None = author["login"] == self._login
        if not self._tells_its_name and author["type"] == "Bot" and not mine:
            mine = None
        return Comment(key=int(data["id"]), url=str(data["html_url"]), body=str(data.get("body") or ""), is_mine=mine)

    @cached_property
    def _login(self) -> str:
        """Who this token is.  That of an App may not ask; nearly always it is the one of Actions."""
        try:
            return str(self._ask("GET", "/user", "read the user").get("login", ""))
        except ForgeDeniedError:
            self._tells_its_name = False
            return _ACTIONS

    def comment(self, number: int, body: str, there: Comment | None) -> str:
        verb, path = "POST", f"{self._repository}/issues/{number}/comments"
        if there:
            verb, path = "PATCH", f"{self._repository}/issues/comments/{there.key}"
        return str(self._ask(verb, path, f"comment on {number}", body={"body": body}).get("html_url", ""))

    def merged_with(self, sha: str) -> list[MergeRequest]:
        what = f"read the pull requests of {sha[:12]}"
        found = self._ask("GET", f"{self._repository}/commits/{sha}/pulls", what, query={"per_page": _PER_PAGE})
        if not isinstance(found, list):
            raise bad_answer(self._address, what, found)
        return [made for each in found if (made := self._read(each, what)).state == "merged"]

    def barrier(self, branch: str) -> str:
        """By the rulesets that hold for it, of the organization too.  Branch protection is for administrators."""
        for each in self._list(parents="true"):
            if each.get("target", "branch") != "branch" or each.get("enforcement") != "active":
                continue
            full = self._ask("GET", f"{self._rulesets}/{each['id']}", f"read ruleset {each['name']!r}")
            names = full.get("conditions", {}).get("ref_name", {})
            holds = any(_names(each, branch) for each in names.get("include", ()))
            if not holds or any(_names(each, branch) for each in names.get("exclude", ())):
                continue
            found = {rule.get("type") for rule in full.get("rules", ())} & _BARRIERS.keys()
            if found and full.get("current_user_can_bypass") in ("never", "pull_requests_only"):
                return f"ruleset {full['name']!r} {_BARRIERS[min(found)]}"
        return ""

    # -------------------------------------------------------------- what pipelines need

    def kept(self, kind: str, name: str, environment: str) -> KeptSetting:
        if kind == "environment":
            return KeptSetting(is_there=self._is_there(f"{self._repository}/environments/{quote(name, safe='')}"))
        own = f"{self._repository}/environments/{quote(environment, safe='')}"
        places = [f"{self._repository}/actions", *([own] if environment else [])]
        if any(self._is_there(f"{place}/{kind}s/{quote(name)}") for place in places):
            return KeptSetting(is_there=True)
        shared = self._ask("GET", f"{self._repository}/actions/organization-{kind}s", f"list {kind}s",
                           query={"per_page": _PER_PAGE})  # fmt: skip
        return KeptSetting(is_there=any(each["name"] == name for each in shared.get(f"{kind}s", ())))

    def _is_there(self, path: str) -> bool:
        try:
            self._ask("GET", path, f"read {path.removeprefix(self._repository).strip('/')}")
        except ForgeMissingError:
            return False
        return True

    # -------------------------------------------------------------- releases

    def release(self, tag: str) -> ForgeRelease | None:
        path, what = f"{self._repository}/releases/tags/{quote(tag, safe='')}", "read a release"
        try:
            return self._released(self._ask("GET", path, what), what)
        except ForgeMissingError:
            return None

    def describe_release(self, text: ReleaseText, there: ForgeRelease | None) -> ForgeRelease:
        values = {"tag_name": text.tag, "name": text.tag, "body": text.body, "prerelease": text.is_candidate,
                  "make_latest": str(text.is_latest).lower()}  # fmt: skip
        verb, path, what = "POST", f"{self._repository}/releases", "make a release"
        if there is not None:
            verb, path, what = "PATCH", f"{path}/{there.key}", "describe a release"
        return self._released(self._ask(verb, path, what, body=values), what)

    def _released(self, data: Any, what: str) -> ForgeRelease:
        try:
            return _release(data)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise bad_answer(self._address, what, data) from None

    def attach(self, release: ForgeRelease, name: str, content: bytes, media_type: str) -> None:
        what = f"attach {name} to the release"
        if name in release.assets:
            shown = self._ask("GET", f"{self._repository}/releases/{release.key}/assets", what)
            for each in shown:
                if each["name"] == name:
                    self._ask("DELETE", f"{self._repository}/releases/assets/{each['id']}", what, may_be_empty=True)
        self._ask("POST", release.upload, what, query={"name": name}, content=(content, media_type))

    # -------------------------------------------------------------- settings

    def _setting(self, full: Mapping[str, Any]) -> Setting:
        if "bypass_actors" not in full:
            raise RefusedError(
                f"GitHub does not show this token who may bypass ruleset {full.get('name')!r}",
                remedy="the token needs `Administration: read and write` of the repository, for --dry-run too",
                code="forge-permission",
            )
        return Setting(kind="ruleset", name=full["name"], value=full)

    def _list(self, parents: str = "false") -> list[dict[str, Any]]:
        """The repository's own rulesets; those of its organization are not ours to touch, and asked for alone."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            query = {"includes_parents": parents, "per_page": _PER_PAGE, "page": page}
            part = self._ask("GET", self._rulesets, "list rulesets", query=query)
            if not isinstance(part, list):
                raise bad_answer(self._address, "list rulesets", part)
            found += part
            if len(part) < _PER_PAGE:
                return found
            page += 1

    def _ask(
        self,
        verb: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        content: tuple[bytes, str] | None = None,
        may_be_empty: bool = False,
    ) -> Any:
        import github
        import requests

        parameters = dict(query or {})
        try:
            if content:
                headers = {"Content-Type": content[1], "Content-Length": str(len(content[0]))}
                _, data = self._requester.requestMemoryBlobAndCheck(
                    verb, path, parameters, headers, io.BytesIO(content[0])
                )
            else:
                _, data = self._requester.requestJsonAndCheck(verb, path, parameters=parameters, input=body)
        except github.GithubException as error:
            raise refusal(self._address, what, error.status, error.data, error.headers or {}) from None
        except requests.RequestException as error:
            raise unreachable(self._address, what, error) from None
        except ValueError as error:  # something that begins like JSON
            raise bad_answer(self._address, what, str(error)) from None
        if data is None and may_be_empty:
            return None
        if data is None or (isinstance(data, dict) and "data" in data and "id" not in data):  # PyGithub's wrapping
            raise bad_answer(self._address, what, data["data"] if data else "nothing")
        return data


def _requester(address: Address, backoff: float) -> Requester:
    try:
        import github
        import urllib3
    except ImportError as error:
        raise missing_library("github", error) from None
    # A write is tried once: a POST whose answer got lost may have been obeyed, and the next run sees that.
    again = urllib3.Retry(
        total=_TRIES, status_forcelist=_PASSING, allowed_methods=("GET",), backoff_factor=backoff,
        raise_on_status=False, respect_retry_after_header=False,
    )  # fmt: skip
    client = github.Github(
        auth=github.Auth.Token(address.token), base_url=address.api, timeout=_TIMEOUT, retry=again,
        user_agent="release-orchestrator", seconds_between_requests=None, seconds_between_writes=None,
    )  # fmt: skip
    return client.requester


def _release(data: Mapping[str, Any]) -> ForgeRelease:
    return ForgeRelease(
        tag=str(data["tag_name"]), key=str(data["id"]), url=str(data["html_url"]),
        upload=str(data["upload_url"]).partition("{")[0],
        assets={str(each["name"]): int(each["size"]) for each in data["assets"]},
    )  # fmt: skip


_BARRIERS: Final = {"pull_request": "lets it change by pull requests only", "update": "lets this login not update it"}


def _names(pattern: str, branch: str) -> bool:
    """Whether a ruleset's pattern is of a branch; the default one is no release branch."""
    if pattern == "~ALL":
        return True
    parts = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = "".join(parts.get(each, re.escape(each)) for each in re.split(r"(\*\*|[*?])", pattern))
    return bool(re.fullmatch(regex, f"refs/heads/{branch}"))


def _request(data: Mapping[str, Any]) -> MergeRequest:
    state = "merged" if data.get("merged_at") else str(data["state"])
    return MergeRequest(
        number=int(data["number"]), url=str(data["html_url"]), state=state, target=str(data["base"]["ref"]),
        head=str(data["head"]["sha"]),
    )  # fmt: skip


TOKENS: Final = ("GITHUB_TOKEN", "GH_TOKEN")
DEFAULT_ACTOR: Final = "deploy-keys"
HAS_SUBGROUPS: Final = False


def api_of(host: str) -> str:
    """The public one's address, or that of a GitHub Enterprise Server."""
    return GITHUB_API if host in ("", "github.com", "ssh.github.com") else f"https://{host}/api/v3"


def open_repository(address: Address) -> GitHub:
    return GitHub(address)
