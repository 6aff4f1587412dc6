"""What `docker buildx build --progress=rawjson` tells: JSON lines of steps, then plain lines that say what failed."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.results import Progress
from orchestrator.core.text import ANSI
from orchestrator.engines.streams import TAIL_LINES, writing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

# `[2/5] RUN true`, `[final 2/5] RUN true`, `[linux/arm64 final 2/5] RUN true`
_STEP: Final = re.compile(
    r"\[(?P<stage>[^\]]{0,200}?) ?(?P<number>\d{1,6})/(?P<total>\d{1,6})\] (?P<what>.*)", re.DOTALL
)
_PLACE: Final = re.compile(
    r"(?!ERROR: |WARNING: )(?P<place>\S.*:\d+)"
)  # `Dockerfile:2`, on a line of its own above the excerpt
_SYNTAX: Final = re.compile(r"\s*\d+ \| >>> #\s*syntax\s*=.*")  # in the excerpt, the line that failed
_CANCELLED: Final = "context canceled"


@dataclass
class Vertex:
    """One vertex of BuildKit's graph, in the order in which they were named."""

    number: int
    name: str
    printed: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    partial: str = ""
    running: bool = False
    announced: bool = False  # it may be started more than once
    error: str = ""

    @property
    def is_run(self) -> bool:
        """Whether it runs somebody's command, which may be silent for as long as it likes."""
        match = _STEP.fullmatch(self.name)
        return match is not None and match["what"].startswith("RUN")

    @property
    def is_fetch(self) -> bool:
        """Whether it fetches from a server that the Dockerfile names: what is below, an address, a git repository."""
        match = _STEP.fullmatch(self.name)
        return match is not None and match["what"].startswith(("ADD ", "FROM "))

    @property
    def title(self) -> str:
        """`step 2/5 RUN true`, with the stage where there are several."""
        match = _STEP.fullmatch(self.name)
        if match is None:
            return self.name
        stage = f"stage {match['stage']}, " if match["stage"] else ""
        return f"{stage}step {match['number']}/{match['total']} {match['what']}"


@dataclass
class Follower:
    """Writes the log, tells progress, and remembers what a failure is told with."""

    file: IO[str]
    path: Path
    report: Callable[[Progress], None]
    clock: Callable[[], float]
    locate: Callable[[str], str] = lambda _: ""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    plain: list[str] = field(default_factory=list)  # what came that is no JSON: errors, warnings
    moved_at: float = field(init=False)
    _steps: dict[str, Vertex] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moved_at = self.clock()

    def take(self, line: str) -> None:
        """One line of the program's stderr."""
        self.moved_at = self.clock()
        event = _event(line)
        if event is None:
            if line.strip():
                self.plain.append(ANSI.sub("", line))
                self._write(line)
            return
        for vertex in _objects(event, "vertexes"):
            self._vertex(vertex)
        for status in _objects(event, "statuses"):
            self._status(status)
        for log in _objects(event, "logs"):
            self._log(log)

    @property
    def running(self) -> list[Vertex]:
        return [step for step in self._steps.values() if step.running]

    @property
    def failed(self) -> Vertex | None:
        """The step that the build ended at; those that were only cancelled then do not count."""
        found = [step for step in self._steps.values() if step.error and _CANCELLED not in step.error]
        return found[-1] if found else None

    @property
    def printed(self) -> str:
        """The end of what the last RUN printed."""
        steps = [step for step in self._steps.values() if step.is_run]
        lines = [*steps[-1].printed, *([steps[-1].partial] if steps[-1].partial else [])] if steps else []
        return "".join(f"{line}\n" for line in lines)

    @property
    def error(self) -> str:
        """What the program says at its end, "" for nothing."""
        said = [line for line in self.plain if line.startswith("ERROR: ")]
        return said[-1].removeprefix("ERROR: ").removeprefix("failed to build: ") if said else ""

    @property
    def place(self) -> str:
        """`Dockerfile:2` of the instruction that failed, "" where it is not known; BuildKit tells none of a fetch."""
        found = [match["place"] for line in self.plain if (match := _PLACE.fullmatch(line))]
        return found[-1] if found else self.locate(self.failed.name) if self.failed else ""

    @property
    def is_frontends(self) -> bool:
        """Whether it failed at the image that `# syntax=` names."""
        return any(_SYNTAX.fullmatch(line) for line in self.plain)

    # -------------------------------------------------------------- events

    def _vertex(self, vertex: dict[str, Any]) -> None:
        key, name = str(vertex.get("digest") or ""), str(vertex.get("name") or "")
        if key not in self._steps:
            self._steps[key] = Vertex(number=len(self._steps) + 1, name=name)
        step = self._steps[key]
        starts = bool(vertex.get("started")) and not vertex.get("completed")
        if starts and not step.announced:
            step.announced = True
            self._write(f"#{step.number} {name}")
            self._announce(name)
        was_running, step.running = step.running, starts
        if vertex.get("completed") and (was_running or vertex.get("cached") or vertex.get("error")):
            self._completed(step, vertex)

    def _announce(self, name: str) -> None:
        match = _STEP.fullmatch(name)
        current, total = (int(match["number"]), int(match["total"])) if match else (None, None)
        self.report(Progress(text=ANSI.sub("", name), item="build", current=current, total=total, is_log=match is None))

    def _completed(self, step: Vertex, vertex: dict[str, Any]) -> None:
        if step.partial:
            self._line(step, step.partial)
            step.partial = ""
        step.error = str(vertex.get("error") or "")
        how = f"ERROR: {step.error}" if step.error else "CACHED" if vertex.get("cached") else "DONE"
        self._write(f"#{step.number} {how}")

    def _status(self, status: dict[str, Any]) -> None:
        current, total = status.get("current"), status.get("total")
        if total and isinstance(current, int) and isinstance(total, int):
            text = "done" if status.get("completed") else "moving"
            item = str(status.get("id") or "")
            self.report(Progress(text=text, item=item, current=current, total=total, in_bytes=True))

    def _log(self, log: dict[str, Any]) -> None:
        step = self._steps.setdefault(str(log.get("vertex") or ""), Vertex(number=len(self._steps) + 1, name=""))
        try:
            text = base64.b64decode(str(log.get("data") or "")).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return
        *lines, step.partial = (step.partial + text).split("\n")
        for line in lines:
            self._line(step, line)

    def _line(self, step: Vertex, line: str) -> None:
        clean = ANSI.sub("", line).rstrip("\r").rpartition("\r")[2]
        if clean:
            step.printed.append(clean)
            self._write(clean)
            self.report(Progress(text=clean, item="build", is_log=True))

    def _write(self, line: str) -> None:
        clean = ANSI.sub("", line)
        self.tail.append(clean)
        with writing(self.path):
            self.file.write(f"{clean}\n")


def _event(line: str) -> dict[str, Any] | None:
    """An event of the progress; None for a line that is none."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _objects(event: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = event.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
