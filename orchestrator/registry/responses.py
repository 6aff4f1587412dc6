"""What is asked of a registry, what it answers, and how an answer that says no becomes one clear line.

Everything a registry writes is foreign text: before it reaches a message it is cut to one line, escaped for
terminals, and freed of the secrets that were sent to it.
"""

from __future__ import annotations

import json
from dataclasses import field
from typing import IO, TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_LINK: Final = 8 * 1024  # characters of a Link header that are looked at
MAX_TEXT: Final = 4 * 1024 * 1024  # bytes; registries accept no bigger manifest (OCI distribution spec)


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """One HTTP request; `what` says in words what is asked.  The login is never part of it."""

    method: str
    url: str
    what: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)  # may hold a refresh token
    limit: int = MAX_TEXT  # bytes of answer that are read
    sink: IO[bytes] | None = field(default=None, repr=False)  # gets the body of a 200 in place of `HttpResponse.body`


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """A whole HTTP answer.  Header names are in lower case; `tries` counts the requests it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    tries: int = 1

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")

    @property
    def media_type(self) -> str:
        return self.header("Content-Type").partition(";")[0].strip().lower()


_CODES: Final = {
    401: "registry-unauthorized",
    403: "registry-forbidden",
    404: "registry-not-found",
    413: "registry-too-large",
    429: "registry-rate-limited",
}

_REMEDIES: Final = {
    "registry-unauthorized": "log in with `docker login {host}`, or set RELEASE_REGISTRY_USERNAME and "
    "RELEASE_REGISTRY_PASSWORD",
    "registry-forbidden": "let this login read and push the repository, or use another login",
    "registry-not-found": "look at the repository's name; some registries want it to be created first",
    "registry-rate-limited": "wait and run the same command again; a login often has a higher limit",
    "registry-refused": "ask who runs {host}: its log, or that of a proxy before it, says why it refuses this",
    "registry-too-large": "let {host}, or the proxy before it, take larger requests (nginx: client_max_body_size)",
    "registry-unavailable": "run the same command again when the registry is well",
    "registry-bad-answer": "check that {host} is the registry itself, not a web page or a proxy before it",
}


class RegistryRefusedError(RemoteError):
    """The registry understood, and said no for good: to what was asked, not to the login or for the moment."""


_NO: Final = (400, 403, 405, 409, 412, 422)


class PlainHttpError(RemoteError):
    """A registry that speaks no TLS where TLS was tried."""

    default_code = "registry-plain-http"


def failure(code: str, host: str, text: str, *, remedy: str = "") -> RemoteError:
    """A RemoteError about registry `host`, with the remedy that belongs to `code`."""
    remedy = remedy or _REMEDIES.get(code, "").format(host=host)
    return RemoteError(f"registry {host}: {text}", code=code, remedy=remedy)


def refusal(host: str, request: HttpRequest, answer: HttpResponse, *, secrets: Iterable[str] = ()) -> RemoteError:
    """The error for an answer with a status that nobody expected."""
    code = _CODES.get(answer.status, "registry-unavailable" if answer.status >= 500 else "registry-refused")
    tries = f" after {answer.tries} tries" if answer.tries > 1 else ""
    said = explanation(answer, secrets=secrets)
    error = failure(code, host, f"{request.what}: HTTP {answer.status}{tries}{': ' if said else ''}{said}")
    if answer.status not in _NO:
        return error
    return RegistryRefusedError(error.message, code=error.code, remedy=error.remedy)


def bad_answer(host: str, request: HttpRequest, what: str) -> RemoteError:
    """The error for an answer whose status is right and whose content is not."""
    return failure("registry-bad-answer", host, f"{request.what}: the answer {what}")


def explanation(answer: HttpResponse, *, secrets: Iterable[str] = ()) -> str:
    """The registry's own words in one safe line; "" when it gave none."""
    text = answer.body.decode(errors="replace")
    if answer.media_type == "text/html" or text.lstrip()[:1] == "<":
        return "an HTML page"
    said = _error_words(parse_json(answer.body)) or text
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        said = said.replace(secret, "***")
    return one_line(said)


def _error_words(document: object) -> str:
    """From `{"errors": [{"code", "message"}]}` (OCI), or OAuth's and Docker Hub's flat forms."""
    if not isinstance(document, dict):
        return ""
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else document
    if not isinstance(first, dict):
        return ""
    names = ("code", "error", "message", "error_description", "details")
    return ": ".join(value for value in map(first.get, names) if isinstance(value, str) and value)


def parse_json(body: bytes) -> object:
    """The JSON in `body`, or None where it is none: garbage, truncated, nested beyond reason.

    Half a surrogate pair makes it none too: no file, terminal or record could take such a text.
    """
    try:
        document = json.loads(body)
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return document


def read_object(host: str, request: HttpRequest, answer: HttpResponse) -> dict[str, object]:
    """The JSON object that `answer` holds.  Raises RemoteError for anything else."""
    document = parse_json(answer.body)
    if isinstance(document, dict):
        return document
    html = answer.media_type == "text/html" or answer.body.lstrip()[:1] == b"<"
    raise bad_answer(host, request, "is an HTML page" if html else "is not a JSON object")


def next_page(link: str) -> str:
    """The target of `rel="next"` in a Link header (RFC 8288), "" without one; of a long header its beginning counts."""
    for each in link[:_MAX_LINK].split("<")[1:]:
        target, closed, parameters = each.partition(">")
        names = [parameter.strip(' \t,"').lower() for parameter in parameters.replace(" ", "").split(";")]
        if closed and ("rel=next" in names or 'rel="next' in names):
            return target
    return ""
