"""What the page shows that no record says in so many words: layers that moved, steps compared, what hangs together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.audit.verdicts import CommitVerdict
    from orchestrator.core.pick import Pick
    from orchestrator.core.record import Delta, Record, RecordedImage
    from orchestrator.report.page.told import Told

MOST = 20  # rows that are shown open; more are folded
MARKS = {  # what a state is without its colour
    "clean": "✓", "adapted": "~", "backport": "~", "duplicate": "=", "empty": "0", "skipped": "-", "conflict": "!",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PickRow:
    """A pick, what the audit says of it, and its change."""

    pick: Pick
    mark: str
    verdict: CommitVerdict | None
    diff: Sequence[str]
    adapted: Sequence[str]


@dataclass(frozen=True)
class StateGroup:
    """The picks of one state, by the numbers of their rows from 1."""

    state: str
    mark: str
    rows: Sequence[int]


@dataclass(frozen=True)
class Edge:
    """From the pick of one row to that of another, or to a commit that is not in the release (`to` is -1)."""

    start: int
    to: int
    what: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ImageRow:
    """An image or one platform of it, with its layers: (diff_id, whether the version before has it)."""

    title: str
    digest: str
    built: str
    size: int
    compressed: int
    delta: Delta
    layers: Sequence[tuple[str, bool]]
    image: RecordedImage
    first: bool  # of its image: what holds for all platforms is told there


@dataclass(frozen=True)
class Bar:
    """A step, its seconds, and its share of the longest in percent."""

    name: str
    seconds: float
    percent: float


def pick_rows(told: Told) -> list[PickRow]:
    """In the order of the release."""
    verdicts = {each.sha: each for each in told.audit.verdicts}
    return [
        PickRow(
            pick=pick, mark=MARKS.get(str(pick.state), "?"), verdict=verdicts.get(pick.result),
            diff=told.diffs.get(pick.result, ()), adapted=told.adapted.get(pick.result, ()),
        )
        for pick in told.record.picks
    ]  # fmt: skip


def by_state(rows: Sequence[PickRow]) -> list[StateGroup]:
    """The rows of each state; the state that most have comes first."""
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows, 1):
        found.setdefault(str(row.pick.state), []).append(number)
    groups = sorted(found.items(), key=lambda each: -len(each[1]))
    return [StateGroup(state, MARKS.get(state, "?"), numbers) for state, numbers in groups]


def edges(record: Record) -> list[Edge]:
    """What needs what, and what came after a fix on its source."""
    row = {pick.source: number for number, pick in enumerate(record.picks)}
    found = []
    for number, pick in enumerate(record.picks):
        found += [Edge(number, row.get(sha, -1), "needs", sha[:12]) for sha in pick.prerequisites]
        if pick.duplicate_of:
            found.append(Edge(number, row.get(pick.duplicate_of, -1), "is there as", pick.duplicate_of[:12]))
        found += [Edge(number, row.get(each.sha, -1), f"{each.kind} by", each.subject) for each in pick.followups]
    return found


def image_rows(told: Told) -> list[ImageRow]:
    """One for each image, or for each platform where it has several."""
    rows = []
    for image in told.record.images:
        for number, each in enumerate(image.platforms or (image,)):
            known = _layers_before(told.before, image, getattr(each, "platform", ""))
            platform = getattr(each, "platform", "")
            rows.append(
                ImageRow(
                    title=f"{image.reference}" + (f" for {platform}" if platform else ""), digest=each.digest,
                    built=f"{each.engine}, builder {each.builder}" if each.builder else each.engine,
                    size=each.size, compressed=each.compressed_size, delta=each.delta,
                    layers=[(layer, layer in known) for layer in each.layers], image=image, first=number == 0,
                )
            )  # fmt: skip
    return rows


def _layers_before(before: Record | None, image: RecordedImage, platform: str) -> set[str]:
    same = [each for each in before.images if each.variant == image.variant] if before else []
    parts: Iterable[object] = (part for each in same for part in (*each.platforms, each))
    return {
        layer
        for part in parts
        if getattr(part, "platform", platform) == platform
        for layer in getattr(part, "layers", ())
    }


def bars(seconds: Mapping[str, float]) -> list[Bar]:
    """The steps that took time, the longest first."""
    longest = max(seconds.values(), default=0.0)
    rows = sorted(seconds.items(), key=lambda row: -row[1])
    return [Bar(name, taken, 100 * taken / longest) for name, taken in rows if taken >= 0.05]
