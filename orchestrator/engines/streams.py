"""What an engine's build, pull and push streams mean.  Pure: events in, values and errors out.

An engine answers 200 first and fails afterwards, inside the stream; nothing but reading every event tells.
"""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from contextlib import contextmanager
from dataclasses import field
from typing import IO, TYPE_CHECKING, Any, Self

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UnprovedError
from orchestrator.core.results import Progress
from orchestrator.core.text import ANSI, one_line
from orchestrator.engines.failures import disk_full, shared_memory_full
from orchestrator.engines.refusals import base_missing, pull_limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

Event = dict[str, Any]

TAIL_LINES = 30
# Docker: `Step 2/3 : RUN true`; podman: `STEP 2/3: RUN true`, with several stages `[1/2] STEP 2/3: RUN true`.
_STEP = re.compile(
    r"(?:\[(?P<stages>\d+/\d+)\] )?(?:Step|STEP) (?P<number>\d+)/(?P<total>\d+) ?: (?P<what>.*)", re.DOTALL
)
_DOCKER_EXIT = "non-zero code"
_PODMAN_FAILED = 'building at STEP "{}": '
_PODMAN_EXIT = re.compile(r"while running runtime: exit status (\d+)\s*")
_RED = "\x1b[91m"  # how the classic builder marks what a step wrote to stderr
MADE = r"(?: --->|-->) ([0-9a-f]{11,12})"  # an image of a step, as the log has it: docker's way, or podman's
_LAYER = re.compile(r"[0-9a-f]{12}")  # an event's id can be a tag too
_BUILT = re.compile(r"Successfully built ([0-9a-f]+)")


def error_of(event: Event) -> tuple[str, int | None]:
    """An event's error text and exit code; ("", None) when it is no error.

    `errorDetail` comes first: it alone has the code, and some stores leave `error` out.
    """
    detail = event.get("errorDetail")
    if isinstance(detail, dict) and (detail.get("message") or detail.get("code")):
        return str(detail.get("message") or event.get("error") or "unknown error"), detail.get("code")
    return (str(event["error"]), None) if event.get("error") else ("", None)


def _exit_of(text: str, code: int | None, step: str) -> tuple[str, str]:
    """The exit status of the step that failed, "" where something else did; and the text without the step in it."""
    if code is not None and _DOCKER_EXIT in text:
        return str(code), text
    why = text.removeprefix(_PODMAN_FAILED.format(step))
    status = _PODMAN_EXIT.fullmatch(why)
    return (status[1] if status else ""), why


def pushed_digest(event: Event) -> str:
    """The digest that a push has given a tag, as the engine says at its end; "" for every other event."""
    aux = event.get("aux")
    digest = aux.get("Digest") if isinstance(aux, dict) else ""
    return digest if isinstance(digest, str) else ""


class BuildLog:
    """Follows a build: keeps the full log in a file, tells progress, remembers the image and the step."""

    def __init__(self, path: Path, report: Callable[[Progress], None]) -> None:
        self.path = path
        self.made: list[str] = []  # short ids that the engine named, found in its cache or made, in order
        self._aux = ""
        self._built = ""
        self._report = report
        self._file: IO[str] | None = None
        self._partial = {"out": "", "err": ""}  # lines that have not ended, by stream
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._printed: deque[str] = deque(maxlen=TAIL_LINES)  # by the step that runs
        self._step = ""
        self._step_count = ""

    def __enter__(self) -> Self:
        self._file = new_log(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._line_end()
        finally:
            if self._file is not None:
                with writing(self.path):
                    self._file.close()

    @property
    def image(self) -> str:
        """The id of what was built, "" until the engine has said that all is done.

        A stream that breaks off after a stage has an `aux` too, so that alone is no proof.
        """
        whole = self._built and self._aux.removeprefix("sha256:").startswith(self._built)
        return self._aux if whole else self._built

    def take(self, event: Event) -> None:
        """One event.  Raises UnprovedError when it is an error, RemoteError when a disk is full."""
        text, code = error_of(event)
        if text:
            self._line_end()
            failure = self.failure(text, code)
            self._line(text)
            failure.detail = "\n".join(self._tail)
            raise failure
        if "aux" in event:
            self._aux = event["aux"].get("ID", "") or self._aux  # the last one is the final stage
        elif "stream" in event:
            self._text(str(event["stream"]))
        elif event.get("status") and not event.get("progressDetail"):
            name = f"{event['id']}: " if event.get("id") else ""
            self._line(f"{name}{event['status']}")

    def failure(self, text: str, code: int | None = None) -> UnprovedError | RemoteError:
        """The error for a build that ended with `text`."""
        status, text = _exit_of(text, code, self._step)
        printed = "\n".join(self._printed)
        remedy = shared_memory_full(printed, self._step) if status else ""
        # The text of a failed RUN repeats the command, so for these only what the command printed counts.
        full = None if remedy else disk_full(printed if status else text, str(self.path))
        elsewhere = None if status else pull_limited(text, str(self.path)) or base_missing(text, str(self.path))
        if known := full or elsewhere:
            return known
        step = f"{self._step_count} {one_line(self._step, 80)}"
        if not self._step:
            message = f"the build failed before its first step: {one_line(text)}"
        else:
            message = f"{step} exited {status}" if status else f"{step} failed: {one_line(text)}"
        return UnprovedError(
            message,
            where=str(self.path),
            remedy=remedy or "read the log above; the full one is in the file named",
            code="build-failed",
        )

    def _text(self, text: str) -> None:
        stream = "err" if text.startswith(_RED) else "out"
        *lines, self._partial[stream] = (self._partial[stream] + ANSI.sub("", text)).split("\n")
        for line in lines:
            self._line(line)

    def _line_end(self) -> None:
        for stream, partial in self._partial.items():
            self._partial[stream] = ""
            self._line(partial)

    def _line(self, line: str) -> None:
        line = ANSI.sub("", line).rstrip("\r")
        if not line:
            return
        if self._file is not None:
            with writing(self.path):
                self._file.write(f"{line}\n")
        self._tail.append(line)
        self._printed.append(line)
        if match := _STEP.fullmatch(line):
            stage = f"stage {match['stages']}, " if match["stages"] else ""
            self._step_count = f"{stage}step {match['number']}/{match['total']}"
            self._step = match["what"]
            self._printed.clear()
            current, total = int(match["number"]), int(match["total"])
            self._report(Progress(text=line, item="build", current=current, total=total))
            return
        if built := _BUILT.fullmatch(line):
            self._built = built[1]
        if made := re.fullmatch(MADE, line):
            self.made.append(made[1])
        self._report(Progress(text=line, item="build", is_log=True))


def new_log(path: Path) -> IO[str]:
    """A log file of this user's own, in place of what was there, written by lines: what a killed run has made stands
    there (trials.py)."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # so that the mode below holds, and no link is written through
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return os.fdopen(descriptor, "w", buffering=1, encoding="utf-8", errors="replace")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError of the log file into one clear line."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise RemoteError(
            f"the build log cannot be written: {error.strerror}",
            where=str(path),
            remedy="free space on this disk" if full else "make that folder writable",
            code="disk-full" if full else "log-unwritable",
        ) from error


@dataclass
class Layers:
    """Follows a pull or a push layer by layer and knows when something last *moved*.

    Events are not progress: an engine can repeat "Waiting" ten times a second for ever.  Moving is a status
    that this layer has not had yet, or more bytes than ever under it.  A new status (such as "Retrying in 5
    seconds") starts the bytes again, so that a layer sent twice counts twice.
    """

    report: Callable[[Progress], None]
    clock: Callable[[], float]
    moved_at: float = field(init=False)
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _peak: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moved_at = self.clock()

    def take(self, event: Event) -> None:
        """One event that is no error."""
        status = str(event.get("status") or "")
        if not status:
            return
        layer = str(event.get("id") or "")
        detail = event.get("progressDetail") or {}
        current, total = detail.get("current"), detail.get("total")
        if self._moved(layer, status, current or 0):
            self.moved_at = self.clock()
            moves = bool(total) or bool(_LAYER.fullmatch(layer))
            self.report(
                Progress(text=status, item=layer, current=current, total=total, is_log=not layer, in_bytes=moves)
            )

    def stalled_for(self) -> float:
        """Seconds since something moved."""
        return self.clock() - self.moved_at

    def _moved(self, layer: str, status: str, current: int) -> bool:
        seen = self._seen.setdefault(layer, set())
        if status not in seen:
            seen.add(status)
            self._peak[layer] = current
            return True
        if current > self._peak[layer]:
            self._peak[layer] = current
            return True
        return False
