"""VEX statements: what the people of a project say about a vulnerability in their product.

OpenVEX 0.2.0 (https://github.com/openvex/spec).  Of several statements about the same the newest counts.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from packageurl import PackageURL

from orchestrator.core import documents
from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import DocumentError
from orchestrator.core.errors import UsageError
from orchestrator.core.results import Problem
from orchestrator.session.committed import VEX_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREDICATE: Final = "https://openvex.dev/ns/v0.2.0"
STATUSES: Final = ("not_affected", "affected", "fixed", "under_investigation")
CLOSED: Final = ("not_affected", "fixed")
JUSTIFICATIONS: Final = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
_CONTEXT: Final = re.compile(r"https://openvex\.dev/ns(/v[0-9.]+)?\Z")


@dataclass(frozen=True, kw_only=True)
class VexProduct:
    """A purl, and those of parts of it that the statement is about; none for the whole."""

    purl: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class VexStatement:
    """`when` is RFC 3339, "" where nothing says it; `place` is file and number of the statement."""

    names: tuple[str, ...]  # of the vulnerability
    status: str
    products: tuple[VexProduct, ...]
    said: str
    when: str
    place: str

    def concerns(self, image: str, component: str) -> bool:
        """Whether it is about this part (a purl) of this image (a purl): named with the image, or by itself."""
        for product in self.products:
            if _names(product.purl, image) and (
                not product.parts or any(_names(part, component) for part in product.parts)
            ):
                return True
            if not product.parts and _names(product.purl, component):
                return True
        return False


def read(path: str, data: bytes) -> list[VexStatement]:
    """The statements of one document.  Raises UsageError with the place of what is wrong in it."""
    try:
        return list(_statements(path, documents.parse(data)))
    except DocumentError as error:
        raise UsageError(
            f"{error}",
            where=path,
            remedy="correct it by the OpenVEX specification 0.2.0: https://github.com/openvex/spec",
            code="bad-vex",
        ) from error


def _statements(path: str, value: object) -> Iterator[VexStatement]:
    if not isinstance(value, dict):
        raise DocumentError("is no object")
    if not _CONTEXT.match(str(value.get("@context"))):
        raise DocumentError(
            f"is {documents.shown(value.get('@context'))}, not https://openvex.dev/ns/v0.2.0", "@context"
        )
    rows = value.get("statements")
    if not isinstance(rows, list) or not rows:
        raise DocumentError("is no list of statements", "statements")
    for number, row in enumerate(rows):
        yield _statement(path, f"statements[{number}]", row, str(value.get("timestamp") or ""))


def _statement(path: str, place: str, row: object, when: str) -> VexStatement:
    if not isinstance(row, dict):
        raise DocumentError("is no object", place)
    status = row.get("status")
    if status not in STATUSES:
        raise DocumentError(f"is {documents.shown(status)}, not one of {', '.join(STATUSES)}", f"{place}.status")
    return VexStatement(
        names=tuple(_vulnerability(place, row.get("vulnerability"))),
        status=status,
        products=tuple(_products(place, row.get("products"))),
        said=_reason(place, row),
        when=str(row.get("timestamp") or when),
        place=f"{path}: {place}",
    )


def _vulnerability(place: str, value: object) -> Iterator[str]:
    """Its name, its aliases; 0.0.x wrote the name alone."""
    found = value if isinstance(value, dict) else {"name": value}
    aliases = found.get("aliases")
    names = [found.get("name"), *(aliases if isinstance(aliases, list) else ())]
    names += [str(found.get("@id") or "").rpartition("/")[2]]
    texts = [each for each in names if isinstance(each, str) and each]
    if not texts:
        raise DocumentError("has no name", f"{place}.vulnerability")
    yield from texts


def _reason(place: str, row: Mapping[str, Any]) -> str:
    """In words, what the specification demands with the status."""
    justification, impact, action = (
        str(row.get(key) or "") for key in ("justification", "impact_statement", "action_statement")
    )
    if justification and justification not in JUSTIFICATIONS:
        raise DocumentError(
            f"is {documents.shown(justification)}, not one of {', '.join(JUSTIFICATIONS)}", f"{place}.justification"
        )
    if row["status"] == "not_affected" and not (justification or impact):
        raise DocumentError("has neither justification nor impact_statement, and is not_affected", place)
    if row["status"] == "affected" and not action:
        raise DocumentError("has no action_statement, and is affected", place)
    said = (justification.replace("_", " "), impact, action, str(row.get("status_notes") or ""))
    return "; ".join(each for each in said if each)


def _products(place: str, value: object) -> Iterator[VexProduct]:
    if not isinstance(value, list) or not value:
        raise DocumentError("is no list of products", f"{place}.products")
    for number, each in enumerate(value):
        here = f"{place}.products[{number}]"
        parts = each.get("subcomponents") if isinstance(each, dict) else None
        yield VexProduct(
            purl=_purl(here, each),
            parts=tuple(_purl(f"{here}.subcomponents[{at}]", part) for at, part in enumerate(parts or ())),
        )


def _purl(place: str, value: object) -> str:
    found = value if isinstance(value, dict) else {"@id": value}
    identifiers = found.get("identifiers")
    text = str((identifiers.get("purl") if isinstance(identifiers, dict) else None) or found.get("@id") or "")
    try:
        PackageURL.from_string(text)
    except ValueError as error:
        raise DocumentError(f"is {documents.shown(text)}, not a purl", place) from error
    return text


def _names(wanted: str, purl: str) -> bool:
    """Whether a purl names a package: what it leaves out (version, qualifiers) may be anything."""
    asked, there = PackageURL.from_string(wanted).to_dict(), PackageURL.from_string(purl).to_dict()
    given, asks = there["qualifiers"] or {}, asked["qualifiers"] or {}
    same = all(asked[key] == there[key] for key in ("type", "namespace", "name"))
    same = same and asked["version"] in (None, there["version"])
    return same and all(given.get(key) == text for key, text in asks.items())


def problems(files: Mapping[str, bytes]) -> tuple[Problem, ...]:
    """What is wrong in the documents of the folder, the first fault of each; `files` are by their paths in it."""
    found = []
    for path, data in sorted(documents_in(files).items()):
        try:
            read(path, data)
        except UsageError as error:
            found.append(Problem(code=error.code, message=error.message, where=error.where, remedy=error.remedy))
    return tuple(found)


def newest(statements: Iterable[VexStatement]) -> VexStatement | None:
    """The one that counts: the last of the latest time."""
    found: VexStatement | None = None
    for each in statements:
        if found is None or each.when >= found.when:
            found = each
    return found


def merged(documents_: Mapping[str, bytes]) -> dict[str, Any] | None:
    """One document with the statements of all; None without any.  The same files always give the same.

    Raises UsageError, as `read`.
    """
    rows, authors, times = [], [], []
    for path, data in sorted(documents_.items()):
        read(path, data)
        value: Any = documents.parse(data)
        authors.append(str(value.get("author") or "unknown"))
        times.append(str(value.get("timestamp") or ""))
        rows += [{"timestamp": value.get("timestamp"), **row} for row in value["statements"]]
    if not rows:
        return None
    digest = hashlib.sha256(b"\0".join(data for _, data in sorted(documents_.items()))).hexdigest()
    return {
        "@context": PREDICATE,
        "@id": f"https://openvex.dev/docs/public/vex-{digest}",
        "author": "; ".join(dict.fromkeys(authors)),
        "timestamp": max(times),
        "version": 1,
        "statements": rows,
    }


def documents_in(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The VEX documents among the files of the folder, by their paths from the top."""
    return {f"{VEX_FOLDER}/{path}": data for path, data in files.items() if path.endswith(".json")}
