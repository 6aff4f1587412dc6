"""A message to a webhook of Slack, Mattermost, Teams, or of somebody's own: sent until it is taken, a few times.

The address is a secret: no message holds it, and no redirect is followed with it.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.remote_url import is_loopback
from orchestrator.core.text import one_line
from orchestrator.registry.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import requests

PAUSES: Final = (1.0, 5.0)  # seconds before each further try
_TIMEOUT: Final = 20.0  # seconds for one try, whole
_WAIT: Final = 60  # seconds; who wants to be left in peace for longer is
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


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What became of a try; `wait` are the seconds that the service asks to be left in peace."""

    fault: str = ""
    again: bool = False
    wait: int = 0


def post(
    kind: str, variable: str, url: str, message: Mapping[str, Any], pauses: Sequence[float] = PAUSES,
    *, sleep: Callable[[float], object] = time.sleep, timeout: float = _TIMEOUT,
) -> None:  # fmt: skip
    """Send it.  Raises RemoteError where it is not taken, or nobody answers."""
    answer = _Answer()
    for pause in (0.0, *pauses):
        sleep(max(pause, answer.wait))
        answer = _tried(url, message, timeout)
        if not answer.fault:
            return
        if not answer.again or answer.wait > _WAIT:
            break
    raise RemoteError(
        f"the {kind} webhook in {variable} did not take the message: {answer.fault}",
        remedy=f"look at the address in {variable}, and at the service", code="webhook-refused",
    )  # fmt: skip


def _tried(url: str, message: Mapping[str, Any], timeout: float) -> _Answer:
    """Send it once.  A status says whether it was taken; what a service says besides counts only where it was not."""
    import requests

    from orchestrator.registry.transport import diagnose, make_session

    deadline, host = Deadline(time.monotonic, timeout), urlsplit(url).netloc
    session = make_session(host, Path(), "release", deadline)
    try:
        with deadline.running(timeout), session:
            answer = session.post(url, json=message, timeout=timeout, allow_redirects=False, stream=True)
            return _read(url, answer)
    except (requests.RequestException, OSError) as error:  # its text has the address
        return _Answer(fault=f"no answer: {_without(url, diagnose(error, host, Path())[1])}", again=True)


def _read(url: str, answer: requests.Response) -> _Answer:
    import requests

    if answer.ok and not answer.is_redirect:
        return _Answer()
    try:
        said = next(answer.iter_content(_READ), b"").decode("utf-8", "replace")
    except (requests.RequestException, OSError):
        said = ""
    said = _without(url, one_line(said))[:_LONGEST]
    fault = f"HTTP {answer.status_code}{f': {said}' if said and not said.startswith('<') else ''}"
    again = answer.status_code == 429 or answer.status_code >= 500
    asked = answer.headers.get("Retry-After", "")
    wait = int(asked) if again and re.fullmatch(r"[0-9]{1,6}", asked) else 0
    return _Answer(fault=f"{fault} (it asks to wait {wait} s)" if wait > _WAIT else fault, again=again, wait=wait)


def _without(url: str, text: str) -> str:
    """A service's words without the address, which some repeat, whole or in part."""
    parts = urlsplit(url)
    secrets = (url, f"{parts.path}?{parts.query}", parts.path, parts.query, *parts.path.split("/"))
    for each in sorted(secrets, key=len, reverse=True):
        text = text.replace(each, "***") if len(each) > 3 else text
    return text
