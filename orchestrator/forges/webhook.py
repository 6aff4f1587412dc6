"""A message to a webhook of Slack, Mattermost, Teams, or of somebody's own: sent until it is taken, a few times.

The address is a secret: no message holds it, and no redirect is followed with it.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.remote_url import is_loopback
from orchestrator.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAUSES: Final = (1.0, 5.0)  # seconds before each further try
_TIMEOUT: Final = 20  # seconds
_LONGEST: Final = 200  # characters of an answer that are shown
_READ: Final = 4096  # bytes of it that are read
_CALLS: Final = re.compile(r"@(?=(?:channel|here|all|everyone)\b)", re.IGNORECASE)
_CARD: Final = "application/vnd.microsoft.card.adaptive"


def payload(kind: str, text: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The message as the service wants it.  What commits say calls nobody: no `@channel`, no `<!here>`."""
    if kind == "generic":
        return {**facts, "text": text}
    quiet = _CALLS.sub("@\u200b", text)
    if kind == "slack":
        return {"text": quiet.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    if kind == "mattermost":
        return {"text": quiet}
    block = {"type": "TextBlock", "text": quiet, "wrap": True}
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
    return {"type": "message", "attachments": [{"contentType": _CARD, "content": {**card, "body": [block]}}]}


def checked_url(variable: str, value: str) -> str:
    """The address in a variable.  Raises UsageError, without it, for what is none."""
    try:
        parts = urlsplit(value.strip())
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host or not value.strip().isprintable():
        what = "holds no address" if value.strip() else "is not set"
        raise UsageError(f"{variable} {what}", remedy=f"set {variable} to the webhook's address", code="no-webhook")
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"{variable} would send in the clear", remedy="give an https address", code="no-webhook")
    return value.strip()


def post(kind: str, variable: str, url: str, message: Mapping[str, Any], pauses: Sequence[float] = PAUSES) -> None:
    """Send it.  Raises RemoteError where it is not taken, or nobody answers."""
    import requests

    fault = ""
    for pause in (0.0, *pauses):
        time.sleep(pause)
        try:
            answer = requests.post(url, json=message, timeout=_TIMEOUT, allow_redirects=False, stream=True)
            said = next(answer.iter_content(_READ), b"").decode("utf-8", "replace")
            answer.close()
        except requests.RequestException as error:  # its text has the address
            fault = f"no answer ({type(error).__name__})"
            continue
        if answer.ok and not answer.is_redirect:
            return
        said = _without(url, one_line(said))[:_LONGEST]
        fault = f"HTTP {answer.status_code}{f': {said}' if said and not said.startswith('<') else ''}"
        if answer.status_code != 429 and answer.status_code < 500:
            break
    raise RemoteError(
        f"the {kind} webhook in {variable} did not take the message: {fault}",
        remedy=f"look at the address in {variable}, and at the service", code="webhook-refused",
    )  # fmt: skip


def _without(url: str, text: str) -> str:
    """A service's words without the address, which some repeat, whole or in part."""
    parts = urlsplit(url)
    secrets = (url, f"{parts.path}?{parts.query}", parts.path, parts.query, *parts.path.split("/"))
    for each in sorted(secrets, key=len, reverse=True):
        text = text.replace(each, "***") if len(each) > 3 else text
    return text
