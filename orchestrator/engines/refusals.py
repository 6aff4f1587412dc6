"""What an engine's words about a registry mean: no, not now, too often.  Pure.

The texts differ between engines and image stores, and none of them has a status of its own; a number in a text, where
there is one, counts for more than its words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.text import one_line
from orchestrator.engines import PullBrokenError, PushBrokenError, PushRefusedError
from orchestrator.engines.failures import disk_full

if TYPE_CHECKING:
    from orchestrator.core.reference import Reference

PUSH_REMEDY: Final = "check the address and the login for this registry, then run the same command again"

# `received unexpected HTTP status: 500 Internal Server Error`, `unexpected status from PUT request to URL: 429 Too
# Many Requests`, `error parsing HTTP 413 response body`.
_STATUS: Final = re.compile(r"(?:status[^:]{0,40}(?: https?://\S+)?: |HTTP )(?P<status>[1-5][0-9]{2})\b")
_LATER: Final = (408, 425, 429)
_NEVER: Final = (501, 505)  # as the registry's own client has it: what is not there now will not be there in a minute
_TOO_MANY: Final = re.compile(r"toomanyrequests|too many requests|pull rate limit|rate limit exceeded", re.IGNORECASE)
_NO: Final = re.compile(
    r"\bunauthorized\b|\bdenied\b|\bforbidden\b|authentication required|no basic auth|\binvalid\b|\bimmutable\b"
    r"|\bunsupported\b|not allowed|disallowed|name unknown|manifest unknown|blob unknown|cannot be overwritten|quota"
    r"|unable to decode token response"
    r"|^unknown: |: unknown: ",  # a 4xx of no known code; a 5xx is said with its number
    re.IGNORECASE,
)
_MISSING: Final = re.compile(
    r"manifest for (?P<engine>\S{1,400}) not found"
    r"|failed to resolve source metadata for (?P<buildkit>\S{1,400}): \S{1,400}: not found"
)
_UNSHOWN: Final = re.compile(r"manifest unknown|manifest for \S{1,400} not found", re.IGNORECASE)
_UNREAD: Final = "unable to decode token response"  # such as an `expires_in` that is no whole number
_LOGIN: Final = re.compile(  # the last are ECR's, which answers 403
    r"\bunauthorized\b|authentication required|no basic auth|\b401\b|token has expired|\breauthenticate\b",
    re.IGNORECASE,
)


def push_failed(text: str, reference: Reference) -> RemoteError:
    """The error for a push that ended with `text`."""
    message = f"push of {reference} failed: {one_line(text)}"
    if _UNREAD in text:
        asked = f"ask who runs the token service of {reference.repository.host}: no engine can read what it answers"
        return PushRefusedError(message, where=str(reference), remedy=asked)
    if not _is_refusal(text):
        return PushBrokenError(
            message, where=str(reference), remedy="run the same command again: what is there is kept"
        )
    if not _LOGIN.search(text):
        return PushRefusedError(message, where=str(reference), remedy=PUSH_REMEDY)
    remedy = f"log in with `docker login {reference.repository.host}`, or set RELEASE_REGISTRY_USERNAME and "
    error = PushRefusedError(
        message,
        where=str(reference),
        remedy=f"{remedy}RELEASE_REGISTRY_PASSWORD; then run the same command again: what was uploaded is kept",
        code="registry-unauthorized",
    )
    error.about_login = True
    return error


def _is_refusal(text: str) -> bool:
    status = _STATUS.search(text)
    if status:
        number = int(status["status"])
        return number in _NEVER or (400 <= number < 500 and number not in _LATER)
    return not _TOO_MANY.search(text) and _NO.search(text) is not None


def pull_failed(text: str, name: str) -> RemoteError:
    """The error for a pull that ended with `text`."""
    if known := disk_full(text, name) or pull_limited(text, name):
        return known
    kind = RemoteError if _is_refusal(text) and not _UNSHOWN.search(text) else PullBrokenError
    return kind(
        f"the engine could not pull {name}: {one_line(text)}",
        where=name,
        remedy="check the name, the login, and that the engine can reach the registry (`docker pull` it by hand)",
        code="pull-failed",
    )


def pull_limited(text: str, name: str) -> RemoteError | None:
    """The error to raise where `text` says that a registry gives no more for now; `name` is what was pulled, or ""."""
    if not _TOO_MANY.search(text):
        return None
    return PullBrokenError(
        f"the registry gives no more images for now: {one_line(text)}",
        where=name,
        remedy="log in there (docker login; a login has a higher limit), wait, or take the base from a mirror",
        code="pull-limited",
    )


def base_missing(text: str, log: str, at: str = "") -> UnprovedError | None:
    """The error to raise where `text` says that the image of a FROM line is not there; `at` is the line, if known."""
    found = _MISSING.search(text)
    if not found:
        return None
    return UnprovedError(
        f"{at}{found['engine'] or found['buildkit']} is not in its registry",
        where=log,
        remedy="name an image that is there, by a fix to the Dockerfile, or have this one back from a copy",
        code="build-failed",
    )
