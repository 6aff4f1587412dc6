"""A release whose commits were signed: what they were before, which is what its plan promised, and proof of that.

A signature cannot be known before it is made, and with it no id.  Without signatures, on what they stood on, the
commits have the ids that the plan told: that is recomputed here, from the commits alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.tag_message import signed_from, tagged_account
from orchestrator.git.objects import without_signature
from orchestrator.git.signing.commits import broken
from orchestrator.landing.forms import below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.git.scratch import Scratch


def unsigned(scratch: Scratch, commits: Sequence[str]) -> list[str]:
    """A line of commits, oldest first, as it was before any of it was signed; in the store from now on.

    What no signature is in or below keeps its id.
    """
    found: list[str] = []
    for sha in commits:
        data = scratch.read(sha)[1]
        plain = without_signature(data, found[-1] if found else "")
        found.append(sha if plain == data else scratch.write_raw("commit", plain))
    return found


def fault_of_tag(scratch: Scratch, message: str, head: str) -> str:
    """As `signing_fault`, by the message of the tag that is on `head`."""
    return signing_fault(scratch, signed_from(message), head, sum(row.made for row in tagged_account(message)))


def signing_fault(scratch: Scratch, told: str, head: str, made: int) -> str:
    """What is wrong with a release whose tag says what its commit was before it was signed; as the end of a sentence.

    `made` is the number of picks below its release commit.  With "" as `told` it says nothing of the kind.
    """
    if not told:
        return ""
    chain = below(scratch, head, made + 1)
    if not chain:
        return "says that it was signed, and its history is another one"
    if bare := next((sha for sha in chain if not scratch.commit(sha).signed), ""):
        return f"says that its commits are signed, and {bare[:12]} is not"
    if (plain := unsigned(scratch, chain)[-1]) != told:
        return f"says that it was {told[:12]} before it was signed, and without signatures it is {plain[:12]}"
    bad = next((sha for sha, is_broken in broken(scratch, (), chain).items() if is_broken), "")
    return f"has a signature that is not of its commit, {bad[:12]}" if bad else ""
