"""OSV's service: which advisories it has for these packages.  https://google.github.io/osv.dev/api/"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import requests

from orchestrator.attest.scan import advisory, matching
from orchestrator.core import documents
from orchestrator.core.documents import DocumentError
from orchestrator.core.errors import RemoteError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.attest.bill import Component
    from orchestrator.attest.scan.advisory import Advisory

ADDRESS: Final = "https://api.osv.dev"
_AT_ONCE: Final = 500  # packages in one query; it takes up to 1000
_PAGES: Final = 50  # of one query
_TIMEOUT: Final = (10, 60)  # seconds to connect, and between two parts of an answer
_TRIES: Final = 4
_PASSING: Final = (429, 500, 502, 503, 504)
_WORKERS: Final = 8
_REMEDY: Final = "run the same command again, or give a snapshot: --data FILE"


class OsvService:
    """One conversation with the service at `address`.  Every method raises RemoteError when it does not answer."""

    def __init__(self, address: str = ADDRESS, *, backoff: float = 1.0) -> None:
        self._address = address.rstrip("/")
        self._backoff = backoff
        if not self._address.startswith(("https://", "http://")):
            raise UsageError(f"{address} is no http address", remedy=f"such as {ADDRESS}", code="bad-address")

    def records(self, components: Sequence[Component]) -> list[tuple[Advisory, bytes]]:
        """The advisories that concern these packages, each with the record as the service wrote it, by their ids."""
        with requests.Session() as self._session, ThreadPoolExecutor(_WORKERS) as pool:
            ids = sorted(set(self._ids([_query(each) for each in components])))
            answers = list(pool.map(lambda name: self._ask("GET", f"/v1/vulns/{quote(name, safe='')}"), ids))
        try:
            read = [advisory.osv(documents.parse(each)) for each in answers]
        except DocumentError as error:
            raise self._strange(str(error)) from error
        return [(each, data) for each, data in zip(read, answers, strict=True) if each]

    def _ids(self, queries: list[dict[str, Any]]) -> Iterator[str]:
        """Of each query all pages."""
        for _ in range(_PAGES):
            following = []
            for start in range(0, len(queries), _AT_ONCE):
                part = queries[start : start + _AT_ONCE]
                answer = self._ask("POST", "/v1/querybatch", {"queries": part})
                for query, result in zip(part, self._results(answer, len(part)), strict=True):
                    yield from (
                        str(row["id"]) for row in result.get("vulns") or () if isinstance(row, dict) and "id" in row
                    )
                    if token := result.get("next_page_token"):
                        following.append(query | {"page_token": token})
            queries = following

    def _results(self, answer: bytes, number: int) -> list[dict[str, Any]]:
        try:
            value = documents.parse(answer)
        except DocumentError as error:
            raise self._strange(str(error)) from error
        found = value.get("results") if isinstance(value, dict) else None
        if not isinstance(found, list) or len(found) != number:
            raise self._strange(f"it has no list of {number} results")
        return [each if isinstance(each, dict) else {} for each in found]

    def _strange(self, what: str) -> RemoteError:
        return RemoteError(
            f"{self._address} gave an answer that makes no sense: {what}", remedy=_REMEDY, code="bad-answer"
        )

    def _ask(self, method: str, path: str, body: object = None) -> bytes:
        said = ""
        for number in range(_TRIES):
            if number:
                time.sleep(self._backoff * 2 ** (number - 1))
            try:
                answer = self._session.request(method, self._address + path, json=body, timeout=_TIMEOUT)
            except requests.RequestException as error:
                said = type(error).__name__
                continue
            if answer.status_code == requests.codes.ok:
                return answer.content
            said = f"HTTP {answer.status_code}"
            if answer.status_code not in _PASSING:
                break
        raise RemoteError(f"{self._address}{path}: {said}", remedy=_REMEDY, code="osv-unreachable")


def _query(component: Component) -> dict[str, Any]:
    _, name = matching.package_of(component)
    version = matching.version_of(component)
    if component.kind == "pypi":
        version = version.partition("+")[0]
    return {"package": {"name": name, "ecosystem": matching.ecosystem_of(component)}, "version": version}
