"""How bytes travel to a registry: certificates that are trusted, reads that keep to a deadline, and why none came."""

from __future__ import annotations

import io
import ssl
from contextlib import suppress
from dataclasses import field
from functools import cache
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.text import one_line

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    import requests
    from urllib3 import PoolManager

    from orchestrator.registry.deadline import Deadline

_File: TypeAlias = tuple[str, int, int]  # its path, and enough to see that it was written anew
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")


def make_session(address: str, certificates: Path, user_agent: str, deadline: Deadline) -> requests.Session:
    """A session whose TLS trusts requests' bundle and docker's private CAs; verification is never off.

    Its reads end at `deadline`.  Raises UsageError for a certificate that cannot be read.
    """
    import requests
    from requests.adapters import HTTPAdapter

    class Session(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - as named
            """None: even when told not to follow, requests would read it all and parse the URL."""
            return None

    session = Session()
    environment = session.merge_environment_settings(f"https://{address}", {}, None, None, None)
    bundle = environment["verify"] if isinstance(environment["verify"], str) else ""
    own = tuple(_state(path) for path in sorted(certificates.glob("*.crt")))
    trust = _trust(own, _state(Path(bundle)) if bundle else None)
    context = trust.context

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
            super().init_poolmanager(connections, maxsize, block, **kwargs, ssl_context=context)
            _keep_to(self.poolmanager, deadline)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            manager = super().proxy_manager_for(proxy, **kwargs, ssl_context=context)
            _keep_to(manager, deadline)
            return manager

        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]  # types-requests has no such
            if conn.proxy is None:  # a proxy with TLS has a context of its own
                trust.take(conn)

    session.mount("https://", Adapter())
    session.mount("http://", Adapter())
    session.headers.update({"User-Agent": user_agent, "Accept-Encoding": "identity"})
    return session


@dataclass
class _Trust:
    """What TLS trusts, for all conversations that trust the same: reading a bundle takes longer than talking."""

    context: ssl.SSLContext
    bundles: set[tuple[str | None, str | None]] = field(default_factory=set)  # files and folders that it has read

    def take(self, pool: Any) -> None:
        """Read the bundle that is set for connections once, not for each; one that cannot be read is left to them."""
        wanted = (pool.ca_certs, pool.ca_cert_dir)
        if wanted == (None, None):
            return
        with suppress(OSError):
            if wanted not in self.bundles:
                self.context.load_verify_locations(*wanted)
                self.bundles.add(wanted)
            pool.ca_certs = pool.ca_cert_dir = None


def _state(file: Path) -> _File:
    with suppress(OSError):
        found = file.stat()
        return str(file), found.st_mtime_ns, found.st_size
    return str(file), 0, 0


@cache
def _trust(certificates: tuple[_File, ...], bundle: _File | None) -> _Trust:
    """`certificates` are those of docker's folder for one registry.

    A `bundle` of one's own replaces the system's.
    """
    return _Trust(_tls_context([Path(path) for path, *_ in certificates], with_system=bundle is None))


def read_usual_trust() -> None:
    """Have what TLS trusts where nothing else is set, ahead of the first conversation: reading it takes a while."""
    from requests.adapters import DEFAULT_CA_BUNDLE_PATH

    trust, bundle = _trust((), None), (DEFAULT_CA_BUNDLE_PATH, None)
    with suppress(OSError):
        trust.context.load_verify_locations(*bundle)
        trust.bundles.add(bundle)


def _tls_context(certificates: list[Path], *, with_system: bool) -> ssl.SSLContext:
    context = ssl.create_default_context() if with_system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in certificates:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"the CA certificate of registry {path.parent.name} cannot be used: {one_line(str(error))}",
                where=str(path),
                remedy="put a PEM certificate there, readable, or remove the file",
                code="registry-certificate",
            ) from None
    return context


# ------------------------------------------------------------------ reads within a deadline


class _TimedReads(io.RawIOBase):
    """A socket's bytes; `raw` is what `makefile` gives for it."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(self._deadline.next_read())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _timed(deadline: Deadline) -> type[HTTPResponse]:
    class TimedResponse(HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            raw: Any = self.fp.detach()
            self.fp = io.BufferedReader(_TimedReads(raw, sock, deadline))

    return TimedResponse


def _keep_to(manager: PoolManager, deadline: Deadline) -> None:
    """Let every connection that `manager` opens read within `deadline`, a proxy's answer to CONNECT too."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    response = _timed(deadline)

    class Plain(HTTPConnection):
        response_class = response

    class Secure(HTTPSConnection):
        response_class = response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


# ------------------------------------------------------------------ why no answer came


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


def diagnose(error: BaseException, host: str, certificates: Path) -> tuple[str, str, str, bool]:
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
