"""A program in a real pseudo-terminal, and what its screen shows, as SVG."""

from __future__ import annotations

import fcntl
import html
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pyte.screens import Char

ROWS = 60
_PATIENCE = 300.0
# The colours of xterm's names on a dark ground; each has at least 4.5:1 against it.
_GROUND, _INK = "#101418", "#d8dee9"
_COLOURS = {
    "red": "#ff7b72", "green": "#7ee787", "brown": "#e3b341", "blue": "#79c0ff", "magenta": "#d2a8ff",
    "cyan": "#6fd6e6", "white": "#f0f6fc", "black": "#8f9bab", "brightblack": "#8f9bab",
}  # fmt: skip
_CELL, _ROW, _SIZE, _EDGE = 8.4, 18, 14, 12  # pixels; 8.4 is 0.6 of the size: how wide a monospaced letter is


class FaintScreen(pyte.Screen):
    """pyte knows no faint text (SGR 2): it is shown as an own colour."""

    def select_graphic_rendition(self, *attrs: int) -> None:
        super().select_graphic_rendition(*attrs)
        if tuple(attrs) == (2,):
            super().select_graphic_rendition(90)


@dataclass
class Shown:
    """A screen of so many columns that a program writes to."""

    columns: int
    _screen: pyte.Screen = field(init=False)
    _stream: pyte.ByteStream = field(init=False)

    def __post_init__(self) -> None:
        self._screen = FaintScreen(self.columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def svg(self) -> str:
        """The screen as far as something stands on it."""
        rows = self.text.count("\n") + 1
        width, height = self.columns * _CELL + 2 * _EDGE, rows * _ROW + 2 * _EDGE
        lines = "".join(self._row(number) for number in range(rows))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
            f'viewBox="0 0 {width:.0f} {height}">\n'
            f'<rect width="100%" height="100%" rx="6" fill="{_GROUND}"/>\n'
            f'<g font-family="\'DejaVu Sans Mono\',Menlo,Consolas,monospace" font-size="{_SIZE}" fill="{_INK}" '
            f">\n{lines}</g>\n</svg>\n"
        )

    def _row(self, number: int) -> str:
        cells = [self._screen.buffer[number][column] for column in range(self.columns)]
        y = _EDGE + number * _ROW + _SIZE
        return "".join(
            f'<text x="{_EDGE + start * _CELL:.1f}" y="{y}" textLength="{len(text) * _CELL:.1f}"{look}>'
            f"{html.escape(text).replace(' ', '&#160;')}</text>\n"
            for start, text, look in _runs(cells)
        )


def _runs(cells: Sequence[Char]) -> Iterator[tuple[int, str, str]]:
    """Stretches of one look: where each begins, its text, its attributes; blanks at the ends are nothing."""
    at = 0
    for look, group in groupby(cells, key=_look):
        text = "".join(cell.data for cell in group)
        bare = text.strip()
        if bare:
            yield at + len(text) - len(text.lstrip()), bare, look
        at += len(text)


def _look(cell: Char) -> str:
    fill = _COLOURS.get(cell.fg) or (f"#{cell.fg}" if len(cell.fg) == 6 else "")  # `default` has seven letters
    return (f' fill="{fill}"' if fill else "") + (' font-weight="bold"' if cell.bold else "")


def run(
    argv: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    columns: int,
    until: Callable[[str], bool] | None = None,
) -> Shown:
    """The screen after the program; with `until` the first one that it holds for: the program goes on to its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    shown, caught = Shown(columns), None
    shown.feed(f"$ {' '.join(argv)}\r\n".encode())
    process = subprocess.Popen(
        argv, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    deadline = time.monotonic() + _PATIENCE
    for data in _read(ours, deadline):
        shown.feed(data)
        if until and caught is None and until(shown.text):
            caught = Shown(columns)
            caught._screen = _copy(shown._screen)
    os.close(ours)
    if process.poll() is None and time.monotonic() > deadline:
        process.send_signal(signal.SIGTERM)
    process.wait()
    if until and caught is None:
        print(f"{' '.join(argv)} never showed what was waited for; this is its end", file=sys.stderr)
    return caught or shown


def _copy(screen: pyte.Screen) -> pyte.Screen:
    other = FaintScreen(screen.columns, screen.lines)
    for number in range(screen.lines):
        for column in range(screen.columns):
            other.buffer[number][column] = screen.buffer[number][column]
    return other


def _read(descriptor: int, deadline: float) -> Iterator[bytes]:
    """In small pieces, so that a moment is not missed."""
    while time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                data = os.read(descriptor, 4096)
            except OSError:  # nobody holds the other side any more
                return
            if not data:
                return
            yield data


def logged(argv: Sequence[str], folder: Path, env: Mapping[str, str], columns: int) -> Shown:
    """What a runner's log holds, where there is no terminal."""
    done = subprocess.run(
        argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip
    shown = Shown(columns)
    shown.feed(f"$ {' '.join(argv)}\r\n".encode())
    shown.feed(done.stdout.replace(b"\n", b"\r\n"))
    return shown
