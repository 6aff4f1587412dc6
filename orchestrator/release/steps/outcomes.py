"""What a finished task leaves for the tasks after it, for the journal, and for the record.

Each class is one kind of outcome and lives in the module of its step; it is asked for by type (`TaskContext.outcome`).
In the journal an outcome is its class name and its fields; a name or field that this version does not know is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.core import documents
from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import DocumentError
from orchestrator.core.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`image` names the image that the outcome belongs to, None for git's outcomes."""

    image: Reference | None = None
    is_public: ClassVar[bool] = False  # branch and tag are, once it is there

    @property
    def note(self) -> str:
        """A line for the user on what is done, and not as it should be; "" for none."""
        return ""

    def part(self) -> dict[str, Any]:
        """What it adds to the record: fields of `RecordedImage`, or of `Record` for an outcome of git's."""
        return {}


def encode(outcome: Outcome) -> dict[str, Any]:
    """JSON data for the journal."""
    return {"type": type(outcome).__name__, **documents.encode(outcome)}


def decode(data: object, place: str) -> Outcome:
    """Back from the journal.  Raises DocumentError for a kind or field that this version does not know."""
    kinds = {kind.__name__: kind for kind in _kinds(Outcome)}
    name = data.get("type") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(name, str) or name not in kinds:
        raise DocumentError(f"is {documents.shown(name)}, which no step leaves", f"{place}.type")
    values = {key: value for key, value in data.items() if key != "type"}
    return documents.decode(kinds[name], values, place, exact=True)


def _kinds(kind: type[Outcome]) -> Iterator[type[Outcome]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
