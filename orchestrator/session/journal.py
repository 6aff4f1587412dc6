"""What a release has done so far: append-only JSON lines, each on disk before the next step begins.

A torn last line never happened; any other bad line is an error with its place.  The journal holds no secret, and
task keys, never positions.  One lock a repository: an flock, so that a killed process holds nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from pathlib import Path
from threading import RLock
from typing import IO, TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import LockedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

FORMAT = 1
_MOMENT = 0.02  # seconds
KINDS = ("opened", "started", "finished", "failed", "closed")


class DamagedStateError(UsageError):
    """What a release keeps in this clone cannot be read: `release abort`, and `publish`, know how to go on from it."""

    default_code = "journal-damaged"


@dataclass(frozen=True, kw_only=True)
class JournalRecord:
    """One line.  `task` is a key of the plan's order, "" for opened and closed; `body` is JSON data."""

    kind: str
    task: str = ""
    at: str = ""  # UTC, RFC 3339
    body: Mapping[str, Any]


class Journal:
    """The journal file of one release.  `now` gives the time stamp; observers see each record after it is safe."""

    def __init__(self, path: Path, now: Callable[[], str]) -> None:
        self.path = path
        self.now = now
        self.observers: list[Callable[[JournalRecord], None]] = []
        self.records: list[JournalRecord] = _read(path)
        self._lock = RLock()

    def append(self, kind: str, task: str = "", **body: Any) -> JournalRecord:
        """Write a record and wait until it is on the disk.  Several threads may do so."""
        with self._lock:
            return self._append(kind, task, body)

    def _append(self, kind: str, task: str, body: Mapping[str, Any]) -> JournalRecord:
        record = JournalRecord(kind=kind, task=task, at=self.now(), body=body)
        line = json.dumps(
            {"format": FORMAT, "kind": kind, "task": task, "at": record.at, **body}, sort_keys=True, ensure_ascii=False
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(self.path)
        with self.path.open("ab") as out:
            out.write(line.encode("utf-8", "backslashreplace") + b"\n")  # a byte of a path becomes JSON's own escape
            out.flush()
            os.fsync(out.fileno())
        self.records.append(record)
        for observer in self.observers:
            observer(record)
        return record

    def restart(self) -> None:
        """Set the file aside, numbered, and begin an empty one: the plan has changed."""
        if self.path.exists():
            self.path.rename(self.aside)
        self.records = []

    @property
    def aside(self) -> Path:
        """Where the file is set aside: the next number that is free."""
        number = 1
        while (old := self.path.with_name(f"journal.{number}.jsonl")).exists():
            number += 1
        return old

    def plan(self) -> Mapping[str, Any] | None:
        """The stored plan, None before `opened`; of a proposed release that landed, the plan of what landed."""
        return next((record.body["plan"] for record in reversed(self.records) if record.kind == "opened"), None)

    def outcome(self, task: str) -> Mapping[str, Any] | None:
        """What the task's last `finished` record holds."""
        done = [record for record in self.records if record.kind == "finished" and record.task == task]
        return done[-1].body["outcome"] if done else None

    def seconds(self, task: str) -> float:
        """How long the task took when it last ran to its end."""
        done = [record.body.get("seconds", 0.0) for record in self.records if record.task == task]
        return float(max(done, default=0.0))

    def touched(self, task: str) -> bool:
        """Whether the task was ever started."""
        return any(record.task == task for record in self.records)

    @property
    def closed(self) -> bool:
        return bool(self.records) and self.records[-1].kind == "closed"


def _read(path: Path) -> list[JournalRecord]:
    if not path.exists():
        return []
    data = path.read_bytes()
    lines = data.split(b"\n")[:-1]  # what follows the last newline is torn, or nothing
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]


def _parse(line: bytes, where: str) -> JournalRecord:
    try:
        data = json.loads(line)
    except ValueError:
        data = None
    if not isinstance(data, dict) or (data.get("kind"), "plan" in data) == ("opened", False):
        raise DamagedStateError(
            "the journal has a line that is no record",
            where=where,
            remedy=f"somebody edited or damaged it; forget the release, if it is not public: {forgotten_by(where)}",
        )
    if data.get("format") != FORMAT or data.get("kind") not in KINDS:
        raise of_another_tool(
            f"the journal has a record of an unknown kind (format {data.get('format')!r}, {data.get('kind')!r})", where
        )
    head = {key: str(data.pop(key, "")) for key in ("kind", "task", "at")}
    data.pop("format")
    return JournalRecord(kind=head["kind"], task=head["task"], at=head["at"], body=data)


def forgotten_by(where: str) -> str:
    """The command that forgets the release of which a file is kept at `where` (a path, perhaps with a line)."""
    return f"release abort {Path(where).parent.name}"


def of_another_tool(message: str, where: str) -> DamagedStateError:
    """The error for a journal that this version cannot read."""
    return DamagedStateError(
        message,
        where=where,
        remedy="finish the release with the version of the tool that began it, "
        f"or forget it, if it is not public: {forgotten_by(where)}",
        code="journal-format",
    )


def put_aside(path: Path) -> None:
    """Keep a damaged file where nobody reads it again."""
    aside = path.parent / "damaged"
    aside.mkdir(exist_ok=True)
    path.replace(aside / f"{len(list(aside.iterdir()))}-{path.name}")


def _cut_torn_line(path: Path) -> None:
    """Drop what a crash left after the last newline, so that the next record begins a line."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole != len(data):
        with path.open("r+b") as file:
            file.truncate(whole)


class Lock:
    """At most one release, or other `work`, at a time.  Use as a context manager; raises LockedError."""

    def __init__(self, path: Path, holder: str, work: str = "release") -> None:
        self.path = path
        self.holder = holder
        self.work = work
        self._file: IO[str] | None = None

    def __enter__(self) -> Lock:
        self._file = self._held()
        while not self._is_there(self._file):  # its holder removed it between our open and our lock
            self._file.close()
            self._file = self._held()
        self._file.truncate(0)
        self._file.write(self.holder)
        self._file.flush()
        return self

    def at_work(self) -> str:
        """Who holds it at this moment, "" when nobody does."""
        with contextlib.suppress(FileNotFoundError), self.path.open() as file:
            if who := file.read().strip():  # an ended command leaves it empty, a killed one does not
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return who
        return ""

    def _held(self) -> IO[str]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        for again in (True, True, False):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if again:  # `at_work` of another process has it for a moment
                    time.sleep(_MOMENT)
                    continue
                file.seek(0)
                who = file.read().strip() or "another process"
                file.close()
                remedy = "wait until it has ended"
                raise LockedError(
                    f"another {self.work} is running here: {who}", where=str(self.path), remedy=remedy
                ) from error
        return file

    def _is_there(self, file: IO[str]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # releases keep their state beside it: then it stays
                self._file.truncate(0)
                if [path.name for path in self.path.parent.iterdir()] == [self.path.name]:
                    self.path.unlink()
                    self.path.parent.rmdir()
            self._file.close()
