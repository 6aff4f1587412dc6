"""What the rooms below may ask of whoever sits at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.core.results import Progress
    from orchestrator.session.journal import JournalRecord


class Terminal(Protocol):
    """What a release needs of the person in front of it, if there is one."""

    interactive: bool  # whether somebody can be asked

    def progress(self, progress: Progress) -> None: ...
    def record(self, record: JournalRecord) -> None: ...
    def note(self, text: str) -> None: ...
    def show_plan(self, plan: Plan) -> None: ...
    def show_pick(self, pick: Pick, *, which: str, stat: Sequence[str], subjects: Mapping[str, str]) -> None: ...
    def show_text(self, lines: Sequence[str]) -> None:
        """Something long, such as a diff: a page at a time on a terminal."""

    def ask(self, question: str) -> str | None:
        """The line that was typed, None at the end of input or when nobody can be asked."""

    def confirm(self, question: str) -> bool | None:
        """The answer, None when nobody can be asked."""
