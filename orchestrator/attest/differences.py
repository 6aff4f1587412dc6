"""What changed between the bills of two versions: packages that came, went or moved, and patches to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.attest.bill import by_name
from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.attest.bill import Bill, Component


@dataclass(frozen=True, kw_only=True)
class Change:
    """A package in two bills; `before` or `after` is "" where it was not there."""

    kind: str
    name: str
    before: str
    after: str
    patches_added: tuple[str, ...] = ()
    patches_removed: tuple[str, ...] = ()


def changes(old: Bill, new: Bill) -> tuple[Change, ...]:
    """What is not the same in both, by kind and name."""
    before, after = by_name(old.components), by_name(new.components)
    found = (_change(key, before.get(key), after.get(key)) for key in sorted({*before, *after}))
    return tuple(each for each in found if each)


def compared(old: Sequence[Bill], new: Sequence[Bill]) -> list[tuple[Bill, tuple[Change, ...]]]:
    """Each of the new bills with what changed since the old one of the same variant and platform."""
    before = {(each.variant, each.platform): each for each in old}
    return [
        (each, changes(before.get((each.variant, each.platform), replace(each, components=())), each)) for each in new
    ]


def _change(key: tuple[str, str], before: Component | None, after: Component | None) -> Change | None:
    old, new = ({patch.name for patch in each.patches} if each else set() for each in (before, after))
    versions = (before.version if before else "", after.version if after else "")
    if versions[0] == versions[1] and old == new:
        return None
    return Change(
        kind=key[0],
        name=key[1],
        before=versions[0],
        after=versions[1],
        patches_added=tuple(sorted(new - old)),
        patches_removed=tuple(sorted(old - new)),
    )
