"""Two builds of one image, compared: which layers face each other, what differs in the configuration, the verdict."""

from __future__ import annotations

from difflib import SequenceMatcher
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.audit.layers import LayerDifference

# The classic builder's notes on the container of its last step.
_NOT_COMPARED: Final = ("Image", "Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr")


class Agreement(StrEnum):
    """From best to worst."""

    IDENTICAL = "identical"
    TIMES = "times"  # nothing but modification times, or the order or form of the archive
    CONTENT = "content"


@dataclass(frozen=True, kw_only=True)
class LayerPair:
    """A layer of the registry and the one that faces it; `number` counts from 1, base first, in the registry's image
    (0: only the rebuilt image has it).  diff_ids are "" where that side has none."""

    number: int
    theirs: str
    ours: str
    created_by: str
    verdict: Agreement
    files: tuple[LayerDifference, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ConfigDifference:
    """A part of the configuration that differs: `Env PATH`, `Labels x`, `Entrypoint`, `history 7`."""

    name: str
    theirs: Any
    ours: Any


@dataclass(frozen=True, kw_only=True)
class ImageComparison:
    """One image.  `mismatches` are lines on what does not hold together in public, whatever was built here."""

    reference: str
    variant: str
    digest: str
    base: str
    base_note: str
    layers: tuple[LayerPair, ...]
    settings: tuple[ConfigDifference, ...]
    mismatches: tuple[str, ...]
    log: str

    @property
    def verdict(self) -> Agreement:
        if self.settings or self.mismatches or any(pair.verdict is Agreement.CONTENT for pair in self.layers):
            return Agreement.CONTENT
        return Agreement.TIMES if any(pair.verdict is Agreement.TIMES for pair in self.layers) else Agreement.IDENTICAL


def facing(theirs: Sequence[str], ours: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Indexes of the layers that face each other: equal ones first, and between them one by one."""
    pairs: list[tuple[int | None, int | None]] = []
    for _, i1, i2, j1, j2 in SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
        pairs += zip_longest(range(i1, i2), range(j1, j2))
    return pairs


def judge_layer(files: Sequence[LayerDifference]) -> Agreement:
    """For two layers with different diff_ids."""
    return Agreement.TIMES if all(each.only_time for each in files) else Agreement.CONTENT


def settings(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], histories: tuple[Sequence[str], Sequence[str]]
) -> tuple[ConfigDifference, ...]:
    """What differs in two `config` objects and histories.  An empty value and none are the same."""
    left, right = _flat(theirs), _flat(ours)
    found = [
        ConfigDifference(name=name, theirs=left.get(name), ours=right.get(name))
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    ]
    for number, (old, new) in enumerate(zip_longest(*histories), 1):
        if old != new:
            found.append(ConfigDifference(name=f"history {number}", theirs=old, ours=new))
    return tuple(found)


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Variables and labels one by one, all else as it is."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key in _NOT_COMPARED or not value:
            continue
        if key == "Env":
            flat |= {f"Env {name}": text for name, _, text in (str(each).partition("=") for each in value)}
        elif key == "Labels":
            flat |= {f"Labels {name}": text for name, text in value.items()}
        else:
            flat[key] = value
    return flat
