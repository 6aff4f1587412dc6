"""Live progress of one task on a terminal, drawn by rich on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import filesize
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from orchestrator.core.results import Progress as Report

_MOST = 8  # moving parts shown at a time: a screen at 3 a.m. is small


class Live:
    """A heading with a spinner, and a bar for each moving part (layers, build steps)."""

    def __init__(self, title: str) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}"),
            TimeElapsedColumn(),
            console=RichConsole(stderr=True),
            transient=True,
        )
        self._heading = self._bars.add_task(title[:48], total=None, amount="")
        self._title = title
        self._items: dict[str, TaskID] = {}
        self._bars.start()

    def show(self, report: Report) -> None:
        """Move the bar of the report's item; a line without one goes behind the heading."""
        if report.current is None or not report.item:
            text = report.text.strip().splitlines()
            self._bars.update(self._heading, description=f"{self._title}: {text[-1] if text else ''}"[:64])
            return
        if report.item not in self._items:
            self._make_room()
            self._items[report.item] = self._bars.add_task(report.item[:40], total=report.total, amount="")
        self._bars.update(
            self._items[report.item],
            completed=report.current,
            total=report.total,
            description=f"  {report.text.strip()[:48]}",
            amount=_amount(report),
        )

    def _make_room(self) -> None:
        if len(self._items) >= _MOST:
            oldest = next(iter(self._items))
            self._bars.remove_task(self._items.pop(oldest))

    def stop(self) -> None:
        self._bars.stop()


def _amount(report: Report) -> str:
    """`3/9` for steps, sizes for bytes: a count of steps is never as large as a layer."""
    if report.current is None or report.total is None:
        return ""
    if report.total < 1024:
        return f"{report.current}/{report.total}"
    return f"{filesize.decimal(report.current)} of {filesize.decimal(report.total)}"
