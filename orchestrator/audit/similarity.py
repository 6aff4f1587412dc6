"""How much of one change another one carries: lines added and removed, wherever they stand.

Where a person resolved a conflict, files may have moved and surroundings differ, but the lines of the fix are there.
Lines that any change may hold (a brace, `return nil`) say nothing and are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from orchestrator.audit.verdicts import Kind
from orchestrator.git import diff
from orchestrator.git.process import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.audit.verdicts import CommitVerdict
    from orchestrator.git.diff import FileDiff
    from orchestrator.git.scratch import Scratch

Tokens = Counter[tuple[str, bytes]]

_WORDS = re.compile(rb"\w+")
_NUMBER = re.compile(rb"[0-9]+")  # the same bump on another branch goes from and to other versions
_TELLING = 6  # characters that a line needs to say something
_AT_ONCE = 40  # commits in one process: small parts end together, and their patches are held in memory


def tokens(scratch: Scratch, commits: Mapping[str, str]) -> dict[str, Tokens]:
    """Commit -> what it adds and removes against the parent given ("" for a root commit)."""
    ids = list(commits)
    number = max(2, -(-len(ids) // _AT_ONCE))
    parts = [{sha: commits[sha] for sha in ids[first::number]} for first in range(number)]
    found: dict[str, Tokens] = {}
    for each in side_by_side(lambda part: _read(scratch, part), parts):
        found |= each
    return found


def _read(scratch: Scratch, commits: Mapping[str, str]) -> dict[str, Tokens]:
    return {sha: Counter(_tokens(patches)) for sha, patches in diff.of(scratch, commits).items()}


def inverse(change: Tokens) -> Tokens:
    """Of the change that takes this one back."""
    return Counter({("-" if sign == "+" else "+", text): number for (sign, text), number in change.items()})


def likeness(source: Tokens, target: Tokens) -> float:
    """The share of the smaller change that is in both, 0 to 1; nothing is like nothing."""
    least = min(source.total(), target.total())
    return (source & target).total() / least if least else 0.0


def _tokens(patches: Sequence[FileDiff]) -> Iterable[tuple[str, bytes]]:
    found = [each for patch in patches for each in _of_lines(patch)]
    telling = [each for each in found if len(each[1]) >= _TELLING]
    return telling or found or (("=", _name(patch)) for patch in patches)


def _of_lines(patch: FileDiff) -> Iterable[tuple[str, bytes]]:
    if not patch.hunks:  # binary, a mode, an empty file
        yield "=", _name(patch)
    for hunk in patch.hunks:
        for sign, texts in (("-", hunk.removed), ("+", hunk.added)):
            for text in texts:
                if words := _words(text):
                    yield sign, words


@lru_cache(maxsize=1 << 16)  # most lines of a pick are those of its source
def _words(text: bytes) -> bytes:
    return _NUMBER.sub(b"0", b" ".join(_WORDS.findall(text)))


def _name(patch: FileDiff) -> bytes:
    return (patch.new or patch.old).rpartition("/")[2].encode("utf-8", "surrogateescape")


# ------------------------------------------------------------------ shown

_SHOWN: Final = 20  # commits; each costs a process
_LINES: Final = 60  # of each


def range_diffs(scratch: Scratch, verdicts: Sequence[CommitVerdict]) -> dict[str, list[str]]:
    """Commit -> the range-diff of its source and itself, of the newest adapted ones that nobody answers for."""
    wanted = [each for each in verdicts if each.kind is Kind.ADAPTED and not each.ok and each.source]
    shown = [each for each in wanted[-_SHOWN:] if len(scratch.commit(each.source).parents) == 1]
    diffs = side_by_side(lambda each: _range_diff(scratch, each), shown)
    return {each.sha: diff for each, diff in zip(shown, diffs, strict=True)}


def _range_diff(scratch: Scratch, verdict: CommitVerdict) -> list[str]:
    sides = (f"{verdict.source}^..{verdict.source}", f"{verdict.sha}^..{verdict.sha}")
    output = scratch.git.attempt("range-diff", "--no-color", "--creation-factor=100", "--no-notes", *sides)
    lines = output.lines() if output.status == 0 else []
    return (
        lines
        if len(lines) <= _LINES
        else [*lines[:_LINES], f"... {len(lines) - _LINES} more lines: git range-diff {' '.join(sides)}"]
    )
