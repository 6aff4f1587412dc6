"""One HTTP conversation with one registry: retries, redirects, sizes, one deadline for each question.

What a registry means is client.py's business; this module knows how to ask and when to ask again.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.remote_url import is_loopback
from orchestrator.core.text import one_line
from orchestrator.registry.auth import Authenticator
from orchestrator.registry.deadline import Deadline
from orchestrator.registry.responses import MAX_TEXT, HttpRequest, HttpResponse, PlainHttpError, failure, refusal
from orchestrator.registry.transport import diagnose, make_session

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    import requests

    from orchestrator.core.credentials import Credentials
    from orchestrator.registry.retry import RetryPolicy

_HUB: Final = {"docker.io": "registry-1.docker.io"}
CERTIFICATES: Final = Path("/etc/docker/certs.d")  # docker's folder of private CAs, one folder per host
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MAX_REDIRECTS: Final = 5
_MAX_ERROR: Final = 64 * 1024  # bytes read of an answer that says no
_CHUNK: Final = 64 * 1024


class _BrokenError(Exception):
    """No answer came; `again` says whether asking again can help."""

    def __init__(self, error: RemoteError, *, again: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again


class HttpClient:
    """Asks one registry.  Not for several threads at once."""

    def __init__(
        self,
        host: str,
        credentials: Callable[[], Credentials | None],
        *,
        user_agent: str,
        patience: RetryPolicy,
        plain_http: bool,
        certificates: Path,
    ) -> None:
        self.host = host
        self.patience = patience
        self._address = _HUB.get(host, host)
        self._user_agent = user_agent
        self._scheme = "http" if plain_http else ""
        self._certificates = certificates / host
        self._session: requests.Session | None = None
        self._deadline = Deadline(patience.clock, patience.read_timeout)
        self._login = Authenticator(host, credentials, fetch=self._patient, clock=patience.clock)

    def follow(self, other: HttpClient) -> None:
        """Begin with what another conversation with the same registry has found out."""
        self._scheme = self._scheme or other._scheme
        self._login.follow(other._login)

    def ask(
        self,
        method: str,
        path: str,
        *,
        what: str,
        expect: Collection[int],
        label: str = "pull",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        before_retry: Callable[[], object] | None = None,
        sink: IO[bytes] | None = None,
        limit: int = MAX_TEXT,
    ) -> tuple[HttpRequest, HttpResponse]:
        """The answer to `method` on `path` (from the first slash), with the request it answers.

        Logs in when asked to, follows redirects of GET and HEAD, and retries; `before_retry` runs before each
        repeated try and may raise.  `label` says what a token is good for.  The body of a 200 goes to `sink` where
        one is given, from its beginning at each try; `limit` is how many bytes it may have.  Raises RemoteError for
        every status that is not in `expect`, and where it all takes longer than one question may.
        """
        request = HttpRequest(
            method=method, url="", what=what, headers=headers or {}, body=body, sink=sink, limit=limit
        )
        with self._deadline.running(self._allowed(request)):
            request = replace(request, url=f"{self._origin()}{path}")
            return self._followed(request, expect, label, before_retry)

    def _allowed(self, request: HttpRequest) -> float:
        """Seconds that a question may take, all its tries together."""
        transfer = request.limit / self.patience.slowest if request.sink else 0.0
        return self.patience.exchange_timeout + transfer

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """For questions that belong together: at most so long for all of them."""
        return self._deadline.running(seconds)

    def _followed(
        self, request: HttpRequest, expect: Collection[int], label: str, before_retry: Callable[[], object] | None
    ) -> tuple[HttpRequest, HttpResponse]:
        """The answer at the end of all redirects."""
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._authorized(request, label, before_retry)
            if answer.status in expect:
                return request, answer
            if answer.status not in _REDIRECTS or request.method not in ("GET", "HEAD"):
                raise refusal(self.host, request, answer, secrets=self._login.secrets())
            request = self._redirected(request, answer)
        raise failure("registry-bad-answer", self.host, f"{request.what}: more than {_MAX_REDIRECTS} redirects")

    def own_path(self, request: HttpRequest, location: str) -> str:
        """The path of a URL that the registry gave in answer to `request`; "" when it leads elsewhere."""
        url = _join(request.url, location)
        origin = self._origin()
        return url.removeprefix(origin) if url.startswith(f"{origin}/") else ""

    # -------------------------------------------------------------- where, and as whom

    def _origin(self) -> str:
        """Scheme and host.  Loopback registries may speak plain HTTP, as docker allows: asked once."""
        if not self._scheme:
            self._scheme = self._probe() if is_loopback(_hostname(self._address)) else "https"
        return f"{self._scheme}://{self._address}"

    def _probe(self) -> str:
        url = f"https://{self._address}/v2/"
        try:
            self._patient(HttpRequest(method="GET", url=url, what="look for TLS"), "")
        except PlainHttpError:
            return "http"
        return "https"

    def _authorized(self, request: HttpRequest, label: str, before_retry: Callable[[], object] | None) -> HttpResponse:
        """The answer, logged in where the registry itself (never a host it redirects to) asks for it."""
        own = request.url.startswith(f"{self._origin()}/")
        sent = self._login.header(label) if own else ""
        answer = self._patient(request, sent, before_retry)
        if sent and answer.status == 403 and self.renew_login():  # so does ECR answer a login that has ended
            sent = ""
            answer = self._patient(request, sent, before_retry)
        if own and answer.status == 401:
            sent = self._login.answer_challenge(request, answer, label=label, sent=sent)
            answer = self._patient(request, sent, before_retry)
            if answer.status == 401:
                raise self._login.rejection(request, answer)
        self._login.took(sent)
        return answer

    def renew_login(self) -> bool:
        """Ask for the login again where one is in use: whether it is another now.

        Where none can be had, the one in use may still be good.
        """
        with suppress(RemoteError):
            return self._login.renew()
        return False

    @property
    def has_tokens(self) -> bool:
        return self._login.has_tokens

    @property
    def has_short_tokens(self) -> bool:
        return self._login.has_short_tokens

    def _redirected(self, request: HttpRequest, answer: HttpResponse) -> HttpRequest:
        url = _join(request.url, answer.header("Location"))
        was, to = urlsplit(request.url).scheme, urlsplit(url).scheme
        if to not in ("http", "https") or (was == "https" and to == "http"):
            shown = one_line(url.partition("?")[0]) or "nowhere"  # the query of a signed URL is a secret
            text = f"{request.what}: it redirects to {shown}, which is not an https address"
            raise failure("registry-bad-answer", self.host, text)
        return replace(request, url=url)

    # -------------------------------------------------------------- asking again

    def _patient(
        self, request: HttpRequest, authorization: str, before_retry: Callable[[], object] | None = None
    ) -> HttpResponse:
        """Ask until there is an answer worth having, or `tries` are used up."""
        since = self.patience.clock()
        for attempt in range(1, self.patience.tries + 1):
            if attempt > 1 and before_retry:
                before_retry()
            outcome = self._try(request, authorization)
            if isinstance(outcome, HttpResponse):
                if not _is_passing(outcome.status):
                    break
            elif not outcome.again:
                raise outcome.error
            if attempt < self.patience.tries:
                delay = self.patience.delay(attempt, outcome)
                if self.patience.clock() + delay - since > self.patience.quiet:
                    self._tell(request, outcome, attempt)
                self.patience.sleep(delay)
                self._deadline.waited(delay)
        if isinstance(outcome, HttpResponse):
            return replace(outcome, tries=attempt)
        raise _repeated(outcome.error, attempt)

    def _tell(self, request: HttpRequest, outcome: HttpResponse | _BrokenError, attempt: int) -> None:
        why = f"{request.what}: HTTP {outcome.status}" if isinstance(outcome, HttpResponse) else outcome.error.message
        said = why if why.startswith("registry ") else f"registry {self.host}: {why}"
        self.patience.tell(f"{said}; try {attempt + 1} of {self.patience.tries} follows")

    def _try(self, request: HttpRequest, authorization: str) -> HttpResponse | _BrokenError:
        try:
            return self._once(request, authorization)
        except _BrokenError as broken:
            return broken

    def _once(self, request: HttpRequest, authorization: str) -> HttpResponse:
        import requests
        import urllib3

        def stamp(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
            """Stands in for requests' own login, which would look into ~/.netrc."""
            if authorization:
                prepared.headers["Authorization"] = authorization
            return prepared

        if self._deadline.passed:
            raise self._too_long(request)
        session = self._session = self._session or make_session(
            self._address, self._certificates, self._user_agent, self._deadline
        )
        local = is_loopback(_hostname(urlsplit(request.url).netloc))
        try:
            with session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body or None,
                auth=stamp,
                stream=True,
                allow_redirects=False,
                timeout=(min(self.patience.connect_timeout, self._deadline.left), self._deadline.next_read()),
                proxies={"http": "", "https": ""} if local else None,  # docker uses no proxy there either
            ) as response:
                return self._read(request, response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._broken(request, error) from None  # the chain may show signed URLs
        except TimeoutError:  # the deadline passed between two calls of the library
            raise self._too_long(request) from None
        except OSError as error:
            raise UsageError(
                f"the bundle of certificates cannot be read: {one_line(str(error))}",
                remedy="correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE",
                code="registry-certificate",
            ) from None

    def _read(self, request: HttpRequest, response: requests.Response) -> HttpResponse:
        """The whole answer, never more than `limit` bytes."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        if request.sink is not None and response.status_code == 200:
            self._save(request, response, request.sink)
            return HttpResponse(status=200, headers=headers, body=b"")
        if "Range" in request.headers and response.status_code == 200:
            return HttpResponse(status=200, headers=headers, body=b"")  # the whole is coming, which nobody wanted
        refused = response.status_code >= 400
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if refused and len(body) > _MAX_ERROR:
                break
            self._within_limit(request, len(body))
        return HttpResponse(status=response.status_code, headers=headers, body=bytes(body))

    def _save(self, request: HttpRequest, response: requests.Response, sink: IO[bytes]) -> None:
        """The body into `sink`."""
        sink.seek(0)
        sink.truncate()
        size = 0
        for chunk in response.iter_content(_CHUNK):
            size += len(chunk)
            self._within_limit(request, size)
            try:
                sink.write(chunk)
            except OSError as error:
                raise RemoteError(
                    f"{request.what}: it cannot be kept here: {error.strerror}",
                    where=tempfile.gettempdir(),
                    remedy="free space there, or set TMPDIR to a folder with more",
                    code="disk-full",
                ) from None

    def _within_limit(self, request: HttpRequest, size: int) -> None:
        if size > request.limit:
            text = f"{request.what}: the answer is bigger than {request.limit} bytes"
            raise _BrokenError(failure("registry-bad-answer", self.host, text), again=False)

    # -------------------------------------------------------------- what went wrong

    def _too_long(self, request: HttpRequest) -> _BrokenError:
        text = f"{request.what}: no whole answer in {self._allowed(request):g} s, all tries together"
        return _BrokenError(failure("registry-timeout", self.host, text), again=False)

    def _broken(self, request: HttpRequest, error: BaseException) -> _BrokenError:
        if self._deadline.passed:
            return self._too_long(request)
        peer = one_line(urlsplit(request.url).netloc)
        code, text, remedy, again = diagnose(error, peer, self._certificates)
        if code == PlainHttpError.default_code:
            message = f"registry {peer} speaks plain HTTP ({request.what})"
            return _BrokenError(PlainHttpError(message, remedy=remedy), again=again)
        at = "" if peer == self._address else f" (at {peer})"
        return _BrokenError(failure(code, self.host, f"{request.what}: {text}{at}", remedy=remedy), again=again)


def _is_passing(status: int) -> bool:
    """Whether a status is likely to be another one soon: 429, and 5xx but those that mean `never`."""
    return status == 429 or (status >= 500 and status not in (501, 505))


def _repeated(error: RemoteError, tries: int) -> RemoteError:
    return RemoteError(f"{error.message}, {tries} times", code=error.code, remedy=error.remedy)


def _join(base: str, location: str) -> str:
    """An absolute URL without fragment; "" for no location, a malformed one, or one with a login in it."""
    try:
        url = urljoin(base, location).partition("#")[0] if location else ""
        return "" if "@" in urlsplit(url).netloc else url
    except ValueError:
        return ""


def _hostname(address: str) -> str:
    """`host:port` or `[v6]:port` without the port."""
    return re.sub(r":[0-9]+$", "", address)
