"""The display of what is at work, drawn at three widths by a clock that the test moves."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator.core.results import Progress
from orchestrator.report.screen.live import Live

MB = 1_000_000


class Screen:
    """A display of so many columns."""

    def __init__(self, width: int) -> None:
        self.seconds = 0.0
        self._out = io.StringIO()
        self._console = Console(file=self._out, width=width, no_color=True)
        self.live = Live("build registry.example.com/team/pytorch-cuda:v2.7.1", self._console, lambda: self.seconds)
        self.live.stop()

    def lines(self) -> list[str]:
        self._out.seek(0)
        self._out.truncate()
        self._console.print(self.live.drawn())
        return [line.rstrip() for line in self._out.getvalue().splitlines()]


@pytest.fixture(params=[80, 100, 160])
def screen(request: pytest.FixtureRequest) -> Screen:
    return Screen(request.param)


def test_a_build_shows_the_step_and_its_own_text(screen: Screen) -> None:
    screen.live.show(Progress(text="Step 4/9 : RUN pip install -r /locks.txt", item="build", current=4, total=9))
    for number in range(7):
        screen.live.show(Progress(text=f"Collecting package-{number}", item="build", is_log=True))
    heading, step, *log = screen.lines()
    assert "build registry.example.com/team/pytorch-cuda:v2.7.1" in heading
    assert "4/9" in step
    assert "RUN pip install -r /locks.txt" in step
    assert log == [f"    Collecting package-{number}" for number in range(2, 7)]


def test_a_push_shows_each_layer_and_a_total(screen: Screen) -> None:
    for name in ("a" * 12, "b" * 12, "c" * 12):
        screen.live.show(Progress(text="Preparing", item=name, in_bytes=True))
    screen.live.show(Progress(text="Layer already exists", item="c" * 12, in_bytes=True))
    for second in range(1, 5):
        screen.seconds = float(second)
        for name, size in (("a" * 12, 100 * MB), ("b" * 12, 300 * MB)):
            screen.live.show(
                Progress(text="Pushing", item=name, current=second * size // 20, total=size, in_bytes=True)
            )
    rows = {line.split()[0]: line for line in screen.lines()[1:]}
    assert list(rows) == ["total", "a" * 12, "b" * 12]
    assert "80.0/400.0 MB" in rows["total"]
    assert "20.0 MB/s" in rows["total"]
    assert "0:00:16" in rows["total"]
    assert "60.0/300.0 MB" in rows["b" * 12]
    assert "15.0 MB/s" in rows["b" * 12]


def test_many_layers_keep_the_display_small(screen: Screen) -> None:
    for number in range(40):
        name = f"{number:012x}"
        screen.live.show(Progress(text="Pushing", item=name, current=MB, total=2 * MB, in_bytes=True))
        if number % 2:
            screen.live.show(Progress(text="Pushed", item=name, in_bytes=True))
    assert len(screen.lines()) <= 10
    assert "60.0/80.0 MB" in screen.lines()[1]


def test_no_line_is_wider_than_the_screen() -> None:
    screen = Screen(80)
    screen.live.titled("build " + "x" * 200)
    screen.live.show(Progress(text="Step 1/2 : RUN " + "y" * 200, item="build", current=1, total=2))
    screen.live.show(Progress(text="z" * 200, item="build", is_log=True))
    assert [len(line) <= 80 for line in screen.lines()] == [True] * 3
