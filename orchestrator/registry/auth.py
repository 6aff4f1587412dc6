"""How a registry wants to be logged in to: challenges (RFC 9110), Basic, and docker's token services.

The rules that keep a login safe are here: it goes to the registry that asked and, over https, to the token
service which that registry names; a login that was rejected once is not tried again.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode, urlsplit

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.remote_url import is_loopback
from orchestrator.core.text import one_line
from orchestrator.registry.responses import HttpRequest, failure, read_object, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.errors import RemoteError
    from orchestrator.registry.responses import HttpResponse


_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART: Final = re.compile(
    rf'[\s,]*(?:(?P<key>{_NAME})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"]*))|(?P<scheme>{_NAME}))'
)
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")  # nothing that could end a header
_DEFAULT_EXPIRY: Final = 60  # seconds, where the token service does not say (docker's token specification)


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """One way in that a 401 offers; the scheme and the names of the parameters are in lower case."""

    scheme: str
    params: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Token:
    header: str
    expires: float  # on the clock


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a WWW-Authenticate header, which may hold several, and commas inside quotes."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while part := _PART.match(header, position):
        position = part.end()
        if part["scheme"]:
            found.append((part["scheme"].lower(), {}))
        elif found:
            value = part["bare"] if part["quoted"] is None else re.sub(r"\\(.)", r"\1", part["quoted"])
            found[-1][1].setdefault(part["key"].lower(), value)
    return tuple(Challenge(scheme=scheme, params=params) for scheme, params in found)


class Authenticator:
    """Which Authorization goes with the requests to one registry.

    `credentials` is called at the first 401, and again when the login that it gave is not taken any more: some live
    for minutes.  `fetch` sends one request with an Authorization to a token service.  `label` names what a token was
    issued for, so that pull and push have their own.
    """

    def __init__(
        self,
        host: str,
        credentials: Callable[[], Credentials | None],
        *,
        fetch: Callable[[HttpRequest, str], HttpResponse],
        clock: Callable[[], float],
    ) -> None:
        self._host = host
        self._ask_credentials = credentials
        self._fetch = fetch
        self._clock = clock
        self._asked = False
        self._credentials: Credentials | None = None
        self._basic = ""
        self._taken = False  # whether the registry took this login once
        self._tokens: dict[str, _Token] = {}
        self._worked: set[str] = set()  # tokens that the registry has taken
        self.has_short_tokens = False  # they end sooner than docker's specification lets them
        self._rejected: RemoteError | None = None

    def follow(self, other: Authenticator) -> None:
        """Begin with the login that another conversation with the same registry got in by."""
        if other._taken:
            self._asked, self._credentials, self._basic = other._asked, other._credentials, other._basic
            self._taken, self._tokens = True, dict(other._tokens)
            self._worked, self.has_short_tokens = set(other._worked), other.has_short_tokens

    def header(self, label: str) -> str:
        """The Authorization known to work so far, or "".  Raises again when the login was rejected before."""
        if self._rejected:
            raise self._rejected
        token = self._tokens.get(label)
        return token.header if token and token.expires > self._clock() else self._basic

    def took(self, sent: str) -> None:
        """The registry has answered a request with this Authorization, and not with 401."""
        self._taken = self._taken or bool(sent)
        if sent.startswith("Bearer "):
            self._worked.add(sent)

    @property
    def has_tokens(self) -> bool:
        """Whether a token service has given some."""
        return bool(self._tokens)

    def renew(self) -> bool:
        """Ask for the login again, where there was one; whether it is another one now."""
        if not self._asked:
            return False
        found = self._ask_credentials()
        if found == self._credentials:
            return False
        self._credentials, self._basic, self._taken, self._rejected = found, "", False, None
        self._tokens.clear()
        return True

    def secrets(self) -> tuple[str, ...]:
        """Every string that must not be repeated in a message, should a registry echo it."""
        headers = [self._basic, *(token.header for token in self._tokens.values())]
        login = self._credentials
        own = (login.secret, _encode(login)) if login else ()
        return (*own, *(header.partition(" ")[2] for header in headers))

    def answer_challenge(self, request: HttpRequest, answer: HttpResponse, *, label: str, sent: str) -> str:
        """The Authorization to repeat `request` with, after a 401 to one that carried `sent`."""
        offers = {each.scheme: each for each in reversed(parse_challenges(answer.header("WWW-Authenticate")))}
        if "bearer" in offers:
            self.has_short_tokens = self.has_short_tokens or sent in self._worked
            return self._bearer(request, offers["bearer"], label)
        if "basic" not in offers:
            known = one_line(", ".join(offers)) or "no way to log in"
            raise failure(
                "registry-unauthorized",
                self._host,
                f"{request.what}: HTTP 401, and the registry offers {known}",
                remedy="this tool knows the Basic and Bearer schemes; ask who runs the registry",
            )
        if sent.startswith("Basic ") and not self._again():
            raise self.rejection(request, answer)
        self._basic = self._basic_header(request, answer)
        return self._basic

    def _again(self) -> bool:
        """Whether a refused login may be tried once more: it is a new one, or it was taken before.

        What was never taken is not repeated: accounts get locked.
        """
        return self.renew() or self._taken

    def rejection(self, request: HttpRequest, answer: HttpResponse) -> RemoteError:
        """The error for a 401 to a request that did carry a login; a rejected password is remembered."""
        challenges = parse_challenges(answer.header("WWW-Authenticate"))
        if self._login() is None:
            return self._no_login(request, answer)
        if any(each.params.get("error") == "insufficient_scope" for each in challenges):
            return failure("registry-forbidden", self._host, f"{request.what}: HTTP 401: insufficient_scope")
        error = refusal(self._host, request, answer, secrets=self.secrets())
        return self._remember(error) if self._basic else error

    def _remember(self, error: RemoteError) -> RemoteError:
        """`error` says that the login is wrong: no later request may try it again (accounts get locked)."""
        how = "the login was taken before and is rejected now" if self._taken else "the login was rejected"
        self._rejected = failure(error.code, self._host, f"{how}: {error.message.partition(': ')[2]}")
        return self._rejected

    def _login(self) -> Credentials | None:
        if not self._asked:
            self._credentials, self._asked = self._ask_credentials(), True
        return self._credentials

    def _no_login(self, request: HttpRequest, answer: HttpResponse) -> RemoteError:
        error = refusal(self._host, request, answer, secrets=self.secrets())
        return failure(error.code, self._host, f"a login is needed and none was found ({request.what})")

    def _basic_header(self, request: HttpRequest, answer: HttpResponse) -> str:
        login = self._login()
        if login is None:
            raise self._no_login(request, answer)
        if login.identity_token:
            raise failure(
                "registry-unauthorized",
                self._host,
                "docker's configuration holds an identity token, and the registry wants a password",
            )
        if ":" in login.username:
            raise UsageError(
                f"the user name for registry {self._host} holds a colon, which HTTP logins cannot carry",
                code="registry-credentials",
            )
        return f"Basic {_encode(login)}"

    # -------------------------------------------------------------- tokens

    def _bearer(self, request: HttpRequest, challenge: Challenge, label: str) -> str:
        realm = challenge.params.get("realm", "")
        if not _may_know(realm, request.url):
            raise failure(
                "registry-bad-answer",
                self._host,
                f"it sends logins to {one_line(realm) or 'nowhere'!r}, which is not an https address",
                remedy="nothing was sent there; the token service must be reached over https",
            )
        asked, answer = self._ask_token(realm, challenge.params, request, label)
        if answer.status == 401 and self._login() and self._again():
            asked, answer = self._ask_token(realm, challenge.params, request, label)
        token = self._read_token(asked, answer, sent=self._login() is not None)
        self._taken = True
        self._tokens[label] = token
        return token.header

    def _ask_token(
        self, realm: str, params: Mapping[str, str], request: HttpRequest, label: str
    ) -> tuple[HttpRequest, HttpResponse]:
        asked, authorization = self._token_request(realm, params, request, label)
        return asked, self._fetch(asked, authorization)

    def _token_request(
        self, realm: str, params: Mapping[str, str], request: HttpRequest, label: str
    ) -> tuple[HttpRequest, str]:
        """docker's token specification: GET with a password or nothing, POST with an identity token."""
        what = f"token to {request.what}" if label else "token"
        scopes = params.get("scope", "").split()
        service = params.get("service", "")
        login = self._login()
        if login and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": "release",
                "scope": " ".join(scopes),
                "refresh_token": login.identity_token,
            }
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return HttpRequest(method="POST", url=realm, what=what, headers=kind, body=urlencode(form).encode()), ""
        query = [("service", service)] if service else []
        query += [("account", login.username)] if login else []
        query += [("scope", scope) for scope in scopes]
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query, quote_via=quote)}"
        return HttpRequest(method="GET", url=url, what=what), f"Basic {_encode(login)}" if login else ""

    def _read_token(self, asked: HttpRequest, answer: HttpResponse, *, sent: bool) -> _Token:
        if answer.status != 200:
            error = refusal(self._host, asked, answer, secrets=self.secrets())
            raise self._remember(error) if answer.status == 401 and sent else error
        document = read_object(self._host, asked, answer)
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise failure("registry-bad-answer", self._host, f"{asked.what}: the answer holds no token")
        seconds = document.get("expires_in")
        lasts = seconds if isinstance(seconds, int | float) and seconds > 0 else _DEFAULT_EXPIRY
        self.has_short_tokens = self.has_short_tokens or lasts < _DEFAULT_EXPIRY
        return _Token(header=f"Bearer {token}", expires=self._clock() + lasts)


def _encode(login: Credentials) -> str:
    return base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def _may_know(realm: str, asked: str) -> bool:
    """Whether a login may go to `realm` when the request to `asked` was answered with a challenge.

    Over https, yes.  In the clear only to the origin that was asked in the clear anyway, or from a registry
    on this machine to a service on this machine.
    """
    try:
        to, origin = urlsplit(realm), urlsplit(asked)
        ports = to.port, origin.port
    except ValueError:
        return False
    if not to.hostname or "@" in to.netloc or not realm.isprintable():
        return False
    if to.scheme == "https":
        return True
    same = (to.scheme, to.hostname, ports[0]) == (origin.scheme, origin.hostname, ports[1])
    local = is_loopback(to.hostname) and is_loopback(origin.hostname or "")
    return to.scheme == "http" and (same or local)
