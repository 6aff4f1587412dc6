"""The door to GitHub: PyGithub.  It wraps no rulesets, so its requester asks their endpoints.

REST: https://docs.github.com/en/rest/repos/rules
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.forges import Current, KeptSetting, MergeRequest, RequestFacts, Setting
from orchestrator.forges.failures import (
    ForgeDeniedError,
    ForgeMissingError,
    bad_answer,
    missing_library,
    refusal,
    unreachable,
)
from orchestrator.forges.protection import Actor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from github.Requester import Requester

    from orchestrator.forges import Address
    from orchestrator.forges.protection import ProtectionRules


_TIMEOUT: Final = 30  # seconds
_TRIES: Final = 3
_PER_PAGE: Final = 100
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

    # -------------------------------------------------------------- settings

    def _setting(self, full: Mapping[str, Any]) -> Setting:
        if "bypass_actors" not in full:
            raise RefusedError(
                f"GitHub does not show this token who may bypass ruleset {full.get('name')!r}",
                remedy="the token needs `Administration: read and write` of the repository, for --dry-run too",
                code="forge-permission",
            )
        return Setting(kind="ruleset", name=full["name"], value=full)

    def _list(self) -> list[dict[str, Any]]:
        """The repository's own rulesets; those of its organization are not ours to touch."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            query = {"includes_parents": "false", "per_page": _PER_PAGE, "page": page}
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
    ) -> Any:
        import github
        import requests

        try:
            _, data = self._requester.requestJsonAndCheck(verb, path, parameters=dict(query or {}), input=body)
        except github.GithubException as error:
            raise refusal(self._address, what, error.status, error.data, error.headers or {}) from None
        except requests.RequestException as error:
            raise unreachable(self._address, what, error) from None
        except ValueError as error:  # something that begins like JSON
            raise bad_answer(self._address, what, str(error)) from None
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


def _request(data: Mapping[str, Any]) -> MergeRequest:
    state = "merged" if data.get("merged_at") else str(data["state"])
    return MergeRequest(
        number=int(data["number"]), url=str(data["html_url"]), state=state, target=str(data["base"]["ref"]),
        head=str(data["head"]["sha"]),
    )  # fmt: skip


TOKENS: Final = ("GITHUB_TOKEN", "GH_TOKEN")
DEFAULT_ACTOR: Final = "deploy-keys"
HAS_SUBGROUPS: Final = False


_ROLES: Final = {"maintain": 2, "write": 4, "admin": 5}  # GitHub's ids of its own roles


_NUMBERED: Final = {"app": "Integration", "team": "Team", "user": "User"}


_ACTIONS_APP: Final = 15368  # GitHub Actions on github.com: no other app can report the check under its name


GITHUB_API: Final = "https://api.github.com"


def api_of(host: str) -> str:
    """The public one's address, or that of a GitHub Enterprise Server."""
    return GITHUB_API if host in ("", "github.com", "ssh.github.com") else f"https://{host}/api/v3"


def open_repository(address: Address) -> GitHub:
    return GitHub(address)


def actor(text: str) -> Actor:
    """`deploy-keys`, `role:maintain`, `app:ID`, `team:ID`, `user:ID`.  Raises UsageError."""
    kind, _, value = text.partition(":")
    if text == "deploy-keys":
        return Actor(kind="DeployKey")
    if kind == "role" and value in _ROLES:
        return Actor(kind="RepositoryRole", id=_ROLES[value])
    if kind in _NUMBERED and value.isascii() and value.isdigit() and len(value) < 16:
        return Actor(kind=_NUMBERED[kind], id=int(value))
    raise UsageError(
        f"--actor {text!r} is nobody on GitHub",
        remedy="deploy-keys, role:maintain, role:admin, role:write, app:ID, team:ID or user:ID",
        code="bad-actor",
    )


def settings(guard: ProtectionRules, api: str) -> list[Setting]:
    """The five rulesets."""
    release, tags = [f"refs/heads/{guard.release_branches}"], [f"refs/tags/{guard.tags}"]
    kept: list[dict[str, Any]] = [{"type": "deletion"}, {"type": "non_fast_forward"}]
    moved = {"type": "update", "parameters": {"update_allows_fetch_and_merge": False}}
    made = {"type": "creation"}
    return [
        _ruleset("release: source", "branch", [f"refs/heads/{guard.source}"], [*kept, *_reviewed(guard, api)]),
        _ruleset("release: branches are never rewritten", "branch", release, kept),
        _ruleset("release: branches move by releases", "branch", release, [made, moved], guard),
        _ruleset("release: tags never move", "tag", tags, [*kept, moved]),
        _ruleset("release: tags are made by releases", "tag", tags, [made], guard),
    ]


def _ruleset(
    name: str, target: str, include: list[str], rules: list[dict[str, Any]], guard: ProtectionRules | None = None
) -> Setting:
    bypass = [
        {"actor_id": each.id, "actor_type": each.kind, "bypass_mode": "always"}
        for each in (guard.actors if guard else ())
    ]
    value = {
        "name": name,
        "target": target,
        "enforcement": "active",
        "bypass_actors": bypass,
        "conditions": {"ref_name": {"include": include, "exclude": []}},
        "rules": rules,
    }
    return Setting(kind="ruleset", name=name, value=value)


def _reviewed(guard: ProtectionRules, api: str) -> list[dict[str, Any]]:
    reviewed = {
        "type": "pull_request",
        "parameters": {
            "required_approving_review_count": guard.approvals,
            "dismiss_stale_reviews_on_push": True,
            "require_code_owner_review": guard.approvals > 0,
            "require_last_push_approval": guard.approvals > 0,
            "required_review_thread_resolution": True,
        },
    }
    if not guard.checks:
        return [reviewed]
    app = {"integration_id": _ACTIONS_APP} if api == GITHUB_API else {}
    checked = {
        "type": "required_status_checks",
        "parameters": {
            "required_status_checks": [{"context": check, **app} for check in guard.checks],
            "strict_required_status_checks_policy": True,
        },
    }
    return [reviewed, checked]


def words(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """A ruleset as lines.  Parameters that the wanted one does not name are GitHub's defaults, and left out."""
    spoken = {rule["type"]: rule.get("parameters", {}) for rule in wanted["rules"]}
    names = (value.get("conditions") or {}).get("ref_name") or {}
    lines = [f"on {value.get('target')} {name}" for name in names.get("include", ())]
    lines += [f"not on {value.get('target')} {name}" for name in names.get("exclude", ())]
    lines += [f"enforcement {value['enforcement']}"]
    lines += [f"bypass {_bypass(each)}" for each in value.get("bypass_actors") or ()]
    for rule in value.get("rules") or ():
        lines += _rule(rule["type"], rule.get("parameters") or {}, spoken.get(rule["type"]))
    return lines


def _rule(kind: str, parameters: Mapping[str, Any], spoken: Mapping[str, Any] | None) -> list[str]:
    lines = [f"rule {kind}"]
    for key, value in parameters.items():
        if spoken is None or key not in spoken:
            continue
        if isinstance(value, list):
            lines += [f"rule {kind}: {key}: {_named(each)}" for each in value]
        else:
            lines.append(f"rule {kind}: {key}: {str(value).lower()}")
    return lines


def _named(each: Any) -> str:
    if not isinstance(each, dict):
        return str(each)
    app = f" (app {each['integration_id']})" if each.get("integration_id") else ""
    return f"{each.get('context')}{app}"


def _bypass(each: Mapping[str, Any]) -> str:
    number = "" if each.get("actor_id") is None or each["actor_type"] == "DeployKey" else f" {each['actor_id']}"
    return f"{each['actor_type']}{number} {each.get('bypass_mode', 'always')}"
