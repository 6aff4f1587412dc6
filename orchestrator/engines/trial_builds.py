"""Notes of trial builds, each beside its log for as long as it runs: what a killed one made can be found by them.

The engine marks single steps with nothing: labels are on the last image alone, and a name comes when all is built.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.reference import parse_reference
from orchestrator.engines.streams import MADE, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from orchestrator.core.reference import Reference

_SUFFIX: Final = ".unfinished"


@dataclass(frozen=True)
class Trial:
    """One that did not come to its end.  `made` are short ids, in order; `before` the ids that the engine had."""

    tag: Reference
    before: frozenset[str]
    made: tuple[str, ...]


def noted(log: Path, tag: Reference, before: Collection[str]) -> Path:
    """The note of a build that begins; who ends it removes it."""
    note = log.with_name(log.name + _SUFFIX)
    with writing(note):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"tag": str(tag), "before": sorted(before)}), encoding="utf-8")
    return note


def killed(folder: Path) -> Iterator[Trial]:
    """Those whose logs are below `folder`; each note is gone when the next one is asked for."""
    for note in sorted(folder.rglob(f"*{_SUFFIX}")):
        if trial := _read(note):
            yield trial
        note.unlink(missing_ok=True)


def _read(note: Path) -> Trial | None:
    """None for a note that was not written to its end: nothing had been built then."""
    try:
        data = json.loads(note.read_text(encoding="utf-8"))
        log = note.with_name(note.name.removesuffix(_SUFFIX)).read_text(encoding="utf-8", errors="replace")
    except (ValueError, FileNotFoundError):
        return None
    made = re.findall(rf"^{MADE}$", log, re.MULTILINE)
    return Trial(parse_reference(data["tag"]), frozenset(data["before"]), tuple(made))


def to_remove(trial: Trial, there: Mapping[str, Collection[str]]) -> list[str]:
    """Ids of what the trial made and the engine still has (id -> names), children first; none that has a name."""
    return [
        image
        for short in reversed(trial.made)
        for image, names in there.items()
        if image.startswith(f"sha256:{short}") and image not in trial.before and not names
    ]
