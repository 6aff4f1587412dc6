"""What was worked out before, kept by immutable ids: losing it costs time, never truth.

One SQLite file in the git common dir, shared by all worktrees.  Rows are read when asked for and written in one
transaction at the end, so two processes never wait for each other for long; a file that is damaged, locked or not
writable counts as empty.  Each value carries a checksum: a row that was tampered with or cut off is not there.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FORMAT = 1  # in the file's user_version; another number means another layout, and the file starts anew
LIMIT = 64 * 1024 * 1024  # bytes; over it, the older half of the rows goes
_PATIENCE = 2.0  # seconds to wait for another process that writes
_TABLE = "CREATE TABLE IF NOT EXISTS found (kind TEXT, key TEXT, value BLOB, sum INTEGER, PRIMARY KEY (kind, key))"


class Cache:
    """Values by kind and key; `path` None keeps them in memory only."""

    def __init__(self, path: Path | None = None, *, limit: int = LIMIT) -> None:
        self.path = path
        self.limit = limit
        self._new: dict[tuple[str, str], bytes] = {}
        self._file: sqlite3.Connection | None = None
        self._broken = path is None

    def get(self, kind: str, keys: Iterable[str]) -> dict[str, bytes]:
        """The values known for these keys; a key without one is left out."""
        wanted = list(dict.fromkeys(keys))
        found = {key: self._new[kind, key] for key in wanted if (kind, key) in self._new}
        rest = [key for key in wanted if key not in found]
        if rest and not self._broken:
            with self._forgiving():
                if self._open():
                    found |= self._select(kind, rest)
        return found

    def put(self, kind: str, values: Mapping[str, bytes]) -> None:
        """Remember values; they reach the file at `save`."""
        self._new |= {(kind, key): value for key, value in values.items()}

    def save(self) -> None:
        """Write what is new, in one transaction.  A file that cannot be written is left alone."""
        if not self._new or self.path is None:
            return
        with self._forgiving():
            if file := self._open(create=True):
                rows = [(kind, key, value, _sum(key, value)) for (kind, key), value in self._new.items()]
                with file:
                    file.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?)", rows)
                self._new.clear()
                self._shrink(file)

    def close(self) -> None:
        """Save, then let go of the file."""
        self.save()
        if self._file is not None:
            self._file.close()
            self._file = None

    # -------------------------------------------------------------- the file

    def _select(self, kind: str, keys: list[str]) -> dict[str, bytes]:
        if self._file is None:
            return {}
        rows = self._file.execute(
            "SELECT key, value, sum FROM found WHERE kind = ? AND key IN (SELECT value FROM json_each(?))",
            [kind, json.dumps(keys)],
        )
        return {key: value for key, value, check in rows if isinstance(value, bytes) and _sum(key, value) == check}

    def _open(self, *, create: bool = False) -> sqlite3.Connection | None:
        if self._file is None and not self._broken and self.path and (create or self.path.exists()):
            import sqlite3

            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(self.path, timeout=_PATIENCE)
            self._file.execute("PRAGMA synchronous = OFF")
            if self._file.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
                with self._file:
                    self._file.execute("DROP TABLE IF EXISTS found")
                    self._file.execute(_TABLE)
                    self._file.execute(f"PRAGMA user_version = {FORMAT}")
        return self._file

    def _shrink(self, file: sqlite3.Connection) -> None:
        """Halve a file over its limit: the oldest rows go."""
        (pages,), (size,) = (file.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
        if pages * size > self.limit:
            with file:
                file.execute("DELETE FROM found WHERE rowid IN (SELECT rowid FROM found ORDER BY rowid LIMIT "
                             "(SELECT (COUNT(*) + 1) / 2 FROM found))")  # fmt: skip
            file.execute("VACUUM")

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        """Whatever the file does, the answer is at worst "not known"."""
        import sqlite3

        try:
            yield
        except sqlite3.OperationalError:  # locked, read-only, disk full: go on without it
            self._let_go()
        except (sqlite3.DatabaseError, OSError):  # no database at all: throw it away
            self._let_go()
            with contextlib.suppress(OSError):
                if self.path:
                    self.path.unlink()

    def _let_go(self) -> None:
        self._broken = True
        if self._file is not None:
            self._file.close()
            self._file = None


def _sum(key: str, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32(key.encode()))
