"""One HTTP conversation with one registry: TLS, retries, redirects, sizes.  The only importer of `requests`.

What a registry means is registry.py's business; this module knows how to ask and when to ask again.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.remote_url import is_loopback
from orchestrator.core.text import one_line
from orchestrator.registry.auth import Authenticator
from orchestrator.registry.responses import MAX_TEXT, HttpRequest, HttpResponse, failure, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    import requests

    from orchestrator.core.credentials import Credentials
    from orchestrator.registry.retry import RetryPolicy

_HUB: Final = {"docker.io": "registry-1.docker.io"}
CERTIFICATES: Final = Path("/etc/docker/certs.d")  # docker's folder of private CAs, one folder per host
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MAX_REDIRECTS: Final = 5
_MAX_ERROR: Final = 64 * 1024  # bytes read of an answer that says no
_CHUNK: Final = 64 * 1024
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")


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
        self._login = Authenticator(host, credentials, fetch=self._patient, clock=patience.clock)

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
        every status that is not in `expect`.
        """
        url = f"{self._origin()}{path}"
        request = HttpRequest(
            method=method, url=url, what=what, headers=headers or {}, body=body, sink=sink, limit=limit
        )
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._authorized(request, label, before_retry)
            if answer.status in expect:
                return request, answer
            if answer.status not in _REDIRECTS or method not in ("GET", "HEAD"):
                raise refusal(self.host, request, answer, secrets=self._login.secrets())
            request = self._redirected(request, answer)
        raise failure("registry-bad-answer", self.host, f"{what}: more than {_MAX_REDIRECTS} redirects")

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
        except RemoteError as error:
            if error.code == "registry-plain-http":
                return "http"
            raise
        return "https"

    def _authorized(self, request: HttpRequest, label: str, before_retry: Callable[[], object] | None) -> HttpResponse:
        """The answer, logged in where the registry itself (never a host it redirects to) asks for it."""
        own = request.url.startswith(f"{self._origin()}/")
        sent = self._login.header(label) if own else ""
        answer = self._patient(request, sent, before_retry)
        if answer.status != 401 or not own:
            return answer
        renewed = self._login.answer_challenge(request, answer, label=label, sent=sent)
        answer = self._patient(request, renewed, before_retry)
        if answer.status == 401:
            raise self._login.rejection(request, answer)
        return answer

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

        session = self._session = self._session or self._make_session()
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
                timeout=(self.patience.connect_timeout, self.patience.read_timeout),
                proxies={"http": "", "https": ""} if local else None,  # docker uses no proxy there either
            ) as response:
                return self._read(request, response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._broken(request, error) from None  # the chain may show signed URLs
        except OSError as error:
            raise UsageError(
                f"the bundle of certificates cannot be read: {one_line(str(error))}",
                remedy="correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE",
                code="registry-certificate",
            ) from None

    def _read(self, request: HttpRequest, response: requests.Response) -> HttpResponse:
        """The whole answer, never more than `limit` bytes nor slower than `body_timeout`."""
        headers = {name.lower(): value for name, value in response.headers.items()}
        if request.sink is not None and response.status_code == 200:
            self._save(request, response, request.sink)
            return HttpResponse(status=200, headers=headers, body=b"")
        refused = response.status_code >= 400
        until = self.patience.clock() + self.patience.body_timeout
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if refused and len(body) > _MAX_ERROR:
                break
            self._within_limit(request, len(body))
            if self.patience.clock() > until:
                text = f"{request.what}: the answer took longer than {self.patience.body_timeout:g} s"
                raise _BrokenError(failure("registry-timeout", self.host, text), again=False)
        return HttpResponse(status=response.status_code, headers=headers, body=bytes(body))

    def _save(self, request: HttpRequest, response: requests.Response, sink: IO[bytes]) -> None:
        """The body into `sink`, as long as it takes: `read_timeout` tells a dead registry from a slow one."""
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

    # -------------------------------------------------------------- TLS

    def _make_session(self) -> requests.Session:
        """A session whose TLS trusts requests' bundle and docker's private CAs; verification is never off."""
        import requests
        from requests.adapters import HTTPAdapter

        class Session(requests.Session):
            def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - as named
                """None: even when told not to follow, requests would read it all and parse the URL."""
                return None

        session = Session()
        environment = session.merge_environment_settings(f"https://{self._address}", {}, None, None, None)
        own_bundle = isinstance(environment["verify"], str)  # then it replaces the system's certificates
        context = self._tls_context(with_system=not own_bundle)

        class Adapter(HTTPAdapter):
            def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
                super().init_poolmanager(connections, maxsize, block, **kwargs, ssl_context=context)

            def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
                return super().proxy_manager_for(proxy, **kwargs, ssl_context=context)

        session.mount("https://", Adapter())
        session.headers.update({"User-Agent": self._user_agent, "Accept-Encoding": "identity"})
        return session

    def _tls_context(self, *, with_system: bool) -> ssl.SSLContext:
        context = ssl.create_default_context() if with_system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for path in sorted(self._certificates.glob("*.crt")):
            try:
                context.load_verify_locations(path)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(
                    f"the CA certificate of registry {self.host} cannot be used: {one_line(str(error))}",
                    where=str(path),
                    remedy="put a PEM certificate there, readable, or remove the file",
                    code="registry-certificate",
                ) from None
        return context

    def _broken(self, request: HttpRequest, error: BaseException) -> _BrokenError:
        peer = one_line(urlsplit(request.url).netloc)
        code, text, remedy, again = _diagnose(error, peer, self._certificates)
        if code == "registry-plain-http":
            message = f"registry {peer} speaks plain HTTP ({request.what})"
            return _BrokenError(RemoteError(message, code=code, remedy=remedy), again=again)
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


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and everything wrapped in it: requests, urllib3 and ssl nest theirs in several ways."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__]


def _diagnose(error: BaseException, host: str, certificates: Path) -> tuple[str, str, str, bool]:
    """Code, text, remedy, and whether to try again, for a request that got no answer."""
    import requests
    import urllib3

    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            remedy = f"put the CA that signed it at {certificates}/ca.crt, or name it in REQUESTS_CA_BUNDLE"
            text = f"its certificate is not trusted: {one_line(cause.verify_message)}"
            return "registry-certificate", text, remedy, False
        if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
            remedy = "give it TLS, or allow plain HTTP for it explicitly (logins then travel in the clear)"
            return "registry-plain-http", "no TLS", remedy, False
    late = (requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)
    if any(isinstance(cause, late) for cause in causes):
        return "registry-timeout", "no answer in time", "check the network, then run it again", True
    remedy = f"check that {host} is right, that it runs, and the network, then run the same command again"
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls:
        closed = isinstance(tls, ssl.SSLEOFError)
        return "registry-tls", f"TLS failed: {one_line(tls.reason or str(tls))}", remedy, closed
    words = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        broke = one_line(words[-1]).lower() if words else "the connection broke off, or it does not speak HTTP"
        return "registry-unreachable", broke, remedy, True
    return "registry-bad-answer", f"not understood ({type(error).__name__})", remedy, False
