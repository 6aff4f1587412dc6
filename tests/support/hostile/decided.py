"""Hostile pushes whose tag says what a person decided: resolved, left out, there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.guarded import BRANCH, TAG
from tests.support.hostile.table import Specs, case

if TYPE_CHECKING:
    from tests.support.guarded import Guarded


def told(g: Guarded, *changes: tuple[str, str], more: str = "", head: str = "") -> Specs:
    """The legal release with another tag message, perhaps on another release commit."""
    text = g.clone.git("cat-file", "tag", g.tag).partition("\n\n")[2]
    for old, new in changes:
        assert old in text, (old, text)
        text = text.replace(old, new)
    head = head or g.head
    return [f"{head}:{BRANCH}", f"{g.tagged('v2.7.1', head, message=text + more)}:{TAG}"]


def row(g: Guarded, number: int = 0, state: str = "clean") -> str:
    return f"Pick: {state} {g.fixes[number]} {g.picks[number]}"


@case("tag-differs")
def listed_as_adapted_and_applies_clean(g: Guarded) -> Specs:
    return told(g, (row(g), row(g, state="adapted")))


@case("not-the-pick")
def adapted_where_nothing_conflicts(g: Guarded) -> Specs:
    """Other files than the pick gives, and a tag that calls them a resolution."""
    bad = g.commit(g.tree(g.picks[0], "evil.py", "x\n"), g.base, like=g.picks[0])
    head = g.commit(g.tree(g.head, "evil.py", "x\n"), bad, like=g.head)
    return told(g, (row(g), f"Pick: adapted {g.fixes[0]} {bad}"), head=head)


@case("tag-differs")
def adapted_by_a_commit_that_is_nowhere(g: Guarded) -> Specs:
    return told(g, (row(g), f"Pick: adapted {g.fixes[0]} {'1' * 40}"))


@case("pick-missing")
def skipped_without_a_reason(g: Guarded) -> Specs:
    return shorter(g, f"Left-Out: skipped {g.fixes[1]}")


@case("pick-missing")
def skipped_for_a_blank_reason(g: Guarded) -> Specs:
    return shorter(g, f"Left-Out: skipped {g.fixes[1]} --   \t ")


def shorter(g: Guarded, left_out: str) -> Specs:
    """The release without its second pick, and what the tag says of that."""
    head = g.commit(f"{g.picks[0]}^{{tree}}", g.picks[0], like=g.head)
    return told(g, (row(g, 1), ""), more=f"\n\n{left_out}\n", head=head)


@case("tag-differs")
def skipped_and_picked(g: Guarded) -> Specs:
    return told(g, ("Picked onto", f"Left-Out: skipped {g.fixes[0]} -- not here\n\nPicked onto"))


@case("tag-differs")
def picked_and_skipped(g: Guarded) -> Specs:
    return told(g, more=f"\n\nLeft-Out: skipped {g.fixes[0]} -- not here\n")


@case("tag-differs")
def left_out_and_never_declared(g: Guarded) -> Specs:
    return told(g, more=f"\n\nLeft-Out: skipped {g.other} -- not here\n")


@case("tag-differs")
def there_already_and_never_declared(g: Guarded) -> Specs:
    return told(g, more=f"\n\nLeft-Out: duplicate {g.other} {g.base}\n")


@case("tag-differs")
def duplicate_of_a_commit_that_is_not_on_the_branch(g: Guarded) -> Specs:
    return told(g, (row(g), f"Pick: duplicate {g.fixes[0]} {g.other}"))


@case("tag-differs")
def duplicate_of_another_change(g: Guarded) -> Specs:
    return told(g, (row(g), f"Pick: duplicate {g.fixes[0]} {g.picks[1]}"), (row(g, 1), row(g, 1, "duplicate")))
