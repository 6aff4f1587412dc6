"""What a forge's refusals mean: one line each, with a remedy.  Never with a token in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import ReleaseError, RemoteError, UsageError
from orchestrator.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges import Address

_LONGEST = 300  # characters of a forge's own words
_PERMISSION: Final = {
    "github": "the token needs `Administration: read and write` of the repository (classic: scope `repo`)",
    "gitlab": "the token needs the scope `api` and the role Maintainer in the project; CI_JOB_TOKEN may not do this",
}
_VARIABLE: Final = {"github": "GITHUB_TOKEN or GH_TOKEN", "gitlab": "GITLAB_TOKEN"}
_LIBRARIES: Final = {"github": "PyGithub>=2.8", "gitlab": "python-gitlab>=6"}  # as in pyproject.toml
_NAMES: Final = {"github": "GitHub", "gitlab": "GitLab"}


class ForgeDeniedError(RemoteError):
    """The forge does not show it to this token: not permitted, or not there at all, which forges do not tell apart."""


class ForgeMissingError(ForgeDeniedError):
    """The forge says that it is not there; of what a token may not see at all it says the same."""


def missing_library(provider: str, error: ImportError) -> UsageError:
    """The optional extra is not installed."""
    return UsageError(
        f"{_NAMES[provider]}'s client library is not installed ({error.name})",
        remedy=f"pip install '{_LIBRARIES[provider]}'",
        code="forge-library",
    )


_KINDS: Final[Mapping[int, type[RemoteError]]] = {403: ForgeDeniedError, 404: ForgeMissingError}


def refusal(address: Address, what: str, status: int, message: object, headers: Mapping[str, str]) -> ReleaseError:
    """The error for an answer that is not a yes; `message` is what the forge said, of any shape."""
    said = _said(address, message)
    shown = f"{_NAMES[address.provider]}: {what}: {status}{f' {said}' if said else ''}"
    code, remedy = _meaning(address, status, said, {name.lower(): value for name, value in headers.items()})
    kind = RemoteError if code == "forge-rate-limit" else _KINDS.get(status, RemoteError)
    return kind(shown, where=f"{address.api} {address.repository}", remedy=remedy, code=code)


def unreachable(address: Address, what: str, error: Exception) -> RemoteError:
    """No answer came."""
    causes = "certificate" if "certificate" in str(error).lower() else "connection"
    remedy = "check --url and the network, then run the same command again"
    if causes == "certificate":
        remedy = "name the CA that signed it in REQUESTS_CA_BUNDLE"
    return RemoteError(
        f"{_NAMES[address.provider]}: {what}: no answer ({type(error).__name__}, {causes})",
        where=f"{address.api} {address.repository}",
        remedy=remedy,
        code="forge-unreachable",
    )


def bad_answer(address: Address, what: str, seen: object) -> RemoteError:
    """An answer of 200 that is not what the API gives: a login page, a proxy's words."""
    return RemoteError(
        f"{_NAMES[address.provider]}: {what}: the answer is not the API's ({_said(address, seen)[:60]!r})",
        where=f"{address.api} {address.repository}",
        remedy="--url is the forge's own address; a proxy or a login page answers there",
        code="forge-bad-answer",
    )


def _meaning(address: Address, status: int, said: str, headers: Mapping[str, str]) -> tuple[str, str]:
    limited = headers.get("x-ratelimit-remaining") == "0" or "rate limit" in said.lower()
    if status == 429 or (status == 403 and limited):
        after = headers.get("retry-after", "")
        wait = f"wait {after} s" if after.isdigit() else "wait some minutes"
        return "forge-rate-limit", f"{wait}, then run the same command again: what is done is kept"
    if status == 401:
        return "forge-login", f"the token is not accepted: set a valid one in {_VARIABLE[address.provider]}"
    if status == 403:
        return "forge-permission", _PERMISSION[address.provider]
    if status == 404:
        return "forge-not-found", f"check --repository and --url; {_PERMISSION[address.provider]}"
    if status in (400, 409, 422):
        return "forge-refused", "the forge does not take this value; its words are above"
    if 300 <= status < 400:
        return "forge-moved", "the repository or the forge has moved: correct --repository or --url"
    return "forge-down", "the forge has a problem of its own: run the same command again later"


def _said(address: Address, message: object) -> str:
    """A forge's words on one line, HTML told as such, and never the token."""
    if isinstance(message, bytes):
        message = message.decode("utf-8", "replace")
    if isinstance(message, dict):
        errors = message.get("errors")
        message = f"{message.get('message') or message.get('data') or ''}" + (f": {errors}" if errors else "")
    text = str(message or "")
    if re.match(r"\s*<", text):
        return "an HTML page"
    return one_line(text.replace(address.token, "***") if address.token else text)[:_LONGEST]
