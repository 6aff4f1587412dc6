"""What is at work, on a terminal: the step with its own text, the layers with bytes, speed and time left, drawn by rich
on stderr.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live as RichLive
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text
from rich.theme import Theme

from orchestrator.report.screen.activity import Activity

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from orchestrator.core.results import Progress as Report

_MOST = 8  # layers shown at a time: a screen at 3 a.m. is small
# rich paints speeds red and times yellow; here red is what went wrong, and yellow what wants care.
_MEANINGS = {
    "progress.data.speed": "none", "progress.download": "none", "progress.remaining": "none",
    "progress.elapsed": "none", "progress.spinner": "green", "bar.complete": "green", "bar.finished": "green",
    "bar.pulse": "green",
}  # fmt: skip
_WIDE = 100  # columns from which on a layer's status is shown too


class Live:
    """A heading, the step and the end of its log, a row for the whole transfer and one for each layer."""

    def __init__(
        self, title: str, console: RichConsole | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or RichConsole(stderr=True, theme=Theme(_MEANINGS))
        self._live: RichLive | None = None
        self._activity = Activity()
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._heading = Progress(
            SpinnerColumn(), _text("{task.description}", rest), TimeElapsedColumn(), get_time=clock, expand=True
        )
        self._title = self._heading.add_task(title, total=None)
        self._steps = Progress(
            _text("  step"), MofNCompleteColumn(), BarColumn(bar_width=16), _text("{task.description}", rest),
            get_time=clock, expand=True,
        )  # fmt: skip
        self._step: TaskID | None = None
        status = [_text("{task.fields[status]}")] if self._console.width >= _WIDE else []
        self._bytes = Progress(
            _text("  {task.description}"), BarColumn(bar_width=None, table_column=Column(ratio=1)), DownloadColumn(),
            TransferSpeedColumn(), TimeRemainingColumn(), *status, get_time=clock, expand=True,
        )  # fmt: skip
        self._total: TaskID | None = None
        self._rows: dict[str, TaskID] = {}
        self.start()

    def start(self) -> None:
        """Begin to draw, below what was written meanwhile: an old RichLive would wipe that away."""
        self.stop()
        self._live = RichLive(
            get_renderable=self.drawn, console=self._console, transient=True, refresh_per_second=8,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    @property
    def is_drawn(self) -> bool:
        return self._live is not None

    def titled(self, title: str) -> None:
        """Another heading above the same work."""
        self._heading.update(self._title, description=title)

    def show(self, report: Report) -> None:
        self._activity.take(report)
        if self._activity.steps:
            self._show_step()
        if self._activity.moving:
            self._show_layers()

    def _show_step(self) -> None:
        here = self._activity
        if self._step is None:
            self._step = self._steps.add_task("", total=here.steps)
        self._steps.update(self._step, completed=here.number, total=here.steps, description=here.step)

    def _show_layers(self) -> None:
        here = self._activity
        if self._total is None:
            self._total = self._bytes.add_task("total", total=here.bytes_total, status="")
        self._bytes.update(self._total, completed=here.bytes_moved, total=here.bytes_total, status=here.counted())
        for name, layer in here.moving.items():
            if name not in self._rows and not layer.is_done and self._has_room():
                self._rows[name] = self._bytes.add_task(name, total=layer.total, status="")
            if name in self._rows:
                self._bytes.update(
                    self._rows[name], completed=layer.current, total=layer.total, status=layer.status.lower()
                )

    def _has_room(self) -> bool:
        """A layer that is done makes room; its bytes stay in the total."""
        if len(self._rows) < _MOST:
            return True
        done = [name for name in self._rows if self._activity.layers[name].is_done]
        for name in done[:1]:
            self._bytes.remove_task(self._rows.pop(name))
        return bool(done)

    def drawn(self) -> Group:
        """What the screen shows now."""
        log = [Text(f"    {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in self._activity.log]
        parts: list[RenderableType] = [self._heading, *([self._steps] if self._step is not None else []), *log]
        return Group(*parts, *([self._bytes] if self._total is not None else []))


def _text(form: str, column: Column | None = None) -> TextColumn:
    return TextColumn(form, markup=False, table_column=column or Column(no_wrap=True))
