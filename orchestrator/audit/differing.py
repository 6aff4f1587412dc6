"""Where an adapted pick differs from its source: git's own range-diff."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.audit.verdicts import Kind
from orchestrator.git.process import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.audit.verdicts import Verdict
    from orchestrator.git.scratch import Scratch

_SHOWN = 20  # of them; each costs a process
_LINES = 60  # of each


def range_diffs(scratch: Scratch, verdicts: Sequence[Verdict]) -> dict[str, list[str]]:
    """Commit -> the range-diff of its source and itself, of the newest adapted ones that nobody answers for."""
    wanted = [each for each in verdicts if each.kind is Kind.ADAPTED and not each.ok and each.source]
    shown = [each for each in wanted[-_SHOWN:] if len(scratch.commit(each.source).parents) == 1]
    diffs = side_by_side(lambda each: _range_diff(scratch, each), shown)
    return {each.sha: diff for each, diff in zip(shown, diffs, strict=True)}


def _range_diff(scratch: Scratch, verdict: Verdict) -> list[str]:
    sides = (f"{verdict.source}^..{verdict.source}", f"{verdict.sha}^..{verdict.sha}")
    output = scratch.git.attempt("range-diff", "--no-color", "--creation-factor=100", "--no-notes", *sides)
    lines = output.lines() if output.status == 0 else []
    return (
        lines
        if len(lines) <= _LINES
        else [*lines[:_LINES], f"... {len(lines) - _LINES} more lines: git range-diff {' '.join(sides)}"]
    )
