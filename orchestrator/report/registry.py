"""What `release prune` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.release.prune import CandidateImage, PruneResult


def prune_lines(found: PruneResult) -> list[str]:
    """A line a candidate, and how many there are to remove."""
    if not found.candidates:
        return [f"{found.repository} has no candidates"]
    width = max(len(each.tag) for each in found.candidates)
    lines = [f"{_word(each, write=found.write):<9} {each.tag:<{width}} {_why(each)}" for each in found.candidates]
    free = sum(not each.kept for each in found.candidates)
    if found.write:
        return [
            *lines,
            f"{free} removed from {found.repository}; the registry frees their space when it collects garbage",
        ]
    return [*lines, f"{free} can be removed" + (": release prune --write" if free else "")]


def _word(each: CandidateImage, *, write: bool) -> str:
    return "kept" if each.kept else "removed" if write else "removable"


def _why(each: CandidateImage) -> str:
    return each.kept or f"{each.digest[:19]}, made {each.created[:10]}, no version and no release at work needs it"
