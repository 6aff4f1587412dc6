"""A release that waits for a person to resolve a conflict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import PausedError
from orchestrator.core.text import word, words

if TYPE_CHECKING:
    from orchestrator.core.pick import Pick
    from orchestrator.session.state import Paused, ReleaseState


def conflict(state: ReleaseState, paused: Paused, pick: Pick | None = None) -> PausedError:
    """The message of a pause: files, and the very commands to type."""
    subject = f" {pick.subject!r}" if pick else ""
    names = " and ".join(sha[:12] for sha in pick.prerequisites) if pick else ""
    needs = f"; with {names} picked first it applies (abort, then `release plan --write`)" if names else ""
    tree = state.worktree.path
    resolve = state.worktree.resolving()
    keeping = state.worktree.keeping()
    keep = f"   | {keeping}   (keeps what one side has not)" if keeping else ""
    known = f"; it was resolved before, look at it: {', '.join(paused.known)}" if paused.known else ""
    files = words(paused.files, ", ")
    return PausedError(
        f"{state.version} is paused: {paused.source[:12]}{subject} conflicts in {files}{needs}{known}",
        where=str(tree),
        remedy=(f"{resolve} && release continue {state.version}   | " if resolve else "")
        + f'release skip {state.version} --reason "..."   | release abort {state.version}{keep}'
        + ("" if resolve else f"   | what fits in {word(str(tree))} is declared as `backport:` of the fix"),
        state="nothing is public; your checkout is untouched",
    )
