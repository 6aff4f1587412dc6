"""The cache: what is there is right, what is wrong is not there, and it stays small."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.git.cache import FORMAT, Cache
from tests.support.cli import release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "release" / "cache.sqlite"


def keep(path: Path, kind: str = "k", **values: bytes) -> None:
    cache = Cache(path)
    cache.put(kind, values)
    cache.close()


def test_what_was_put_is_there_in_this_process_and_the_next(path: Path) -> None:
    cache = Cache(path)
    cache.put("k", {"a": b"1", "b": b""})
    assert cache.get("k", ["a", "b", "c", "a"]) == {"a": b"1", "b": b""}
    assert not path.exists(), "nothing is written before the end"
    cache.close()
    assert Cache(path).get("k", ["a", "b", "c"]) == {"a": b"1", "b": b""}
    assert Cache(path).get("other kind", ["a"]) == {}


def test_asking_makes_no_file(path: Path) -> None:
    cache = Cache(path)
    assert cache.get("k", ["a"]) == {}
    cache.close()
    assert not path.parent.exists()


def test_a_changed_value_is_not_there(path: Path) -> None:
    keep(path, a=b"right", b=b"right")
    with sqlite3.connect(path) as file:
        file.execute("UPDATE found SET value = ? WHERE key = 'a'", [b"wrong"])
        file.execute("UPDATE found SET value = 'text' WHERE key = 'b'")
    assert Cache(path).get("k", ["a", "b"]) == {}


def test_a_row_moved_to_another_key_is_not_there(path: Path) -> None:
    keep(path, a=b"value")
    with sqlite3.connect(path) as file:
        file.execute("UPDATE found SET key = 'b'")
    assert Cache(path).get("k", ["b"]) == {}


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_none_is_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert Cache(path).get("k", ["a"]) == {}
    keep(path, a=b"1")
    keep(path, a=b"1")
    assert Cache(path).get("k", ["a"]) == {"a": b"1"}


def test_another_format_starts_anew(path: Path) -> None:
    keep(path, a=b"1")
    with sqlite3.connect(path) as file:
        file.execute(f"PRAGMA user_version = {FORMAT + 1}")
    assert Cache(path).get("k", ["a"]) == {}


@pytest.mark.hostile
@pytest.mark.wide
def test_whatever_becomes_of_the_file_a_plan_says_the_same(tale: Story) -> None:
    """Locked by another process, a directory in its place, no right to write, garbage, two plans at once."""
    tale.release_yaml(f"      - commit: {tale.fix}")
    path = tale.clone.path / ".git/release/cache.sqlite"

    def plan() -> dict[str, Any]:
        ran = release("plan", "--json", cwd=tale.clone.path)
        assert (ran.code, ran.err) == (0, "")
        return ran.json

    first = plan()
    locker = sqlite3.connect(path, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    assert plan() == first
    locker.close()
    path.unlink()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: plan(), range(2))) == [first, first]
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    path.write_bytes(path.read_bytes()[:5000])
    assert plan() == first
    path.unlink(missing_ok=True)
    path.mkdir()
    assert plan() == first
    path.rmdir()
    path.parent.rename(path.parent.with_name("away"))
    path.parent.write_text("a file where the directory goes\n")  # root may write everywhere, but not here
    assert plan() == first


def test_it_stays_under_its_limit_and_the_oldest_goes(path: Path) -> None:
    for number in range(8):
        cache = Cache(path, limit=200_000)
        cache.put("k", {str(number): bytes([number]) * 60_000})
        cache.close()
        assert path.stat().st_size < 300_000
    found = Cache(path).get("k", map(str, range(8)))
    assert "7" in found
    assert "0" not in found
