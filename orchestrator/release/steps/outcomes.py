"""What a finished task leaves for the tasks after it, and for the journal.

Each class is one kind of outcome, asked for by type (`Workshop.outcome`).  In the journal an outcome is its class
name and its fields; a name or field that this version does not know is refused there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from orchestrator.core.results import CheckResult, CheckState
from orchestrator.image.budgets import Delta

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`image` is the reference that the outcome belongs to, "" for git's outcomes."""

    image: str = ""


@dataclass(frozen=True, kw_only=True)
class Picked(Outcome):
    head: str


@dataclass(frozen=True, kw_only=True)
class Verified(Outcome):
    commands: int
    trees: int


@dataclass(frozen=True, kw_only=True)
class Tagged(Outcome):
    tag_object: str


@dataclass(frozen=True, kw_only=True)
class Built(Outcome):
    image_id: str
    size: int  # bytes, unpacked
    layers: tuple[str, ...]  # diff_ids
    base: str
    base_id: str
    context_sha256: str
    labels: tuple[tuple[str, str], ...]
    log: str
    lock_sha256: str = ""  # images.lock_digest


@dataclass(frozen=True, kw_only=True)
class Smoked(Outcome):
    image_id: str
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A candidate that stood in the registry and could not be replaced: proved in place of the image built."""

    image_id: str
    size: int  # bytes, unpacked
    layers: tuple[str, ...]  # diff_ids
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, kw_only=True)
class Uploaded(Outcome):
    digest: str
    candidate: str
    size: int  # bytes in the registry, compressed
    delta: Delta = field(
        default_factory=lambda: Delta(unknown="not measured by the version of this tool that uploaded it")
    )
    taken: Taken | None = None


@dataclass(frozen=True, kw_only=True)
class Landed(Outcome):
    branch: str
    head: str
    tag_object: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Promoted(Outcome):
    digest: str
    already: bool = False  # the tag was there with this digest


@dataclass(frozen=True, kw_only=True)
class Floated(Outcome):
    moved: tuple[str, ...]
    left: tuple[str, ...]  # a line each: which tag was left where it is, and why


@dataclass(frozen=True, kw_only=True)
class Recorded(Outcome):
    ref: str
    blob: str
    sources: str = ""  # the commit that keeps the sources beside it


@dataclass(frozen=True, kw_only=True)
class Annotated(Outcome):
    notes: int


_KINDS: dict[str, type[Outcome]] = {
    kind.__name__: kind
    for kind in (
        Picked, Verified, Tagged, Built, Smoked, Uploaded, Landed, Promoted, Floated, Recorded, Annotated,
    )
}  # fmt: skip


def encode(outcome: Outcome) -> dict[str, Any]:
    """JSON data for the journal."""
    return {"type": type(outcome).__name__, **asdict(outcome)}


def decode(data: Mapping[str, Any]) -> Outcome:
    """Back from the journal.  Raises ValueError for a kind or field that this version does not know."""
    kind = _KINDS.get(str(data.get("type")))
    values = {key: _frozen(value) for key, value in data.items() if key != "type"}
    if kind is None or set(values) - {field.name for field in fields(kind)}:
        raise ValueError(f"unknown outcome {data.get('type')!r}")
    if kind is Smoked:
        values["results"] = _results(data["results"])
    if kind is Uploaded and data.get("taken"):
        taken = dict(data["taken"])
        values["taken"] = Taken(**{**taken, "layers": tuple(taken["layers"]), "results": _results(taken["results"])})
    if kind is Uploaded and "delta" in values:
        values["delta"] = Delta(**data["delta"])
    return kind(**values)


def _results(data: Any) -> tuple[CheckResult, ...]:
    return tuple(CheckResult(**{**dict(each), "state": CheckState(each["state"])}) for each in data)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
