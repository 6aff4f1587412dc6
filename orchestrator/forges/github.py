"""The door to GitHub: PyGithub.  It wraps no rulesets, so its requester asks their endpoints.

REST: https://docs.github.com/en/rest/repos/rules
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from orchestrator.core.errors import RefusedError
from orchestrator.forges import Current, Setting
from orchestrator.forges.failures import bad_answer, missing_library, refusal, unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from github.Requester import Requester

    from orchestrator.forges import Address

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
        self._rulesets = f"/repos/{quote(owner)}/{quote(name)}/rulesets"
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
