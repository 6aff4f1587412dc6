"""Prerequisites in a real history: each list is proved by a replay of its own, and is as short as what people found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.replay import needing, replaying
from tests.support.story import Repo

pytestmark = pytest.mark.replay
DATA = Path(__file__).parent / "data"
CASES = needing.cases(replaying.load(DATA / "history.json"))[::3]  # a third: they take 0.2 s each


def test_lists_prove_and_are_short(tmp_path: Path) -> None:
    path = tmp_path / "history.git"
    Repo(DATA).git("clone", "--quiet", "--bare", str(DATA / "history.bundle"), str(path))
    done = [needing.find(path / "objects", case, 600.0) for case in CASES]
    assert len(done) > 5
    assert all(one.proved for one in done if one.commits), "a list that does not apply was proposed"
    proved = [one for one in done if one.proved]
    assert len(proved) >= 0.95 * len(done), [one.fix for one in done if not one.proved]
    assert sum(len(one.commits) <= len(one.recorded) for one in proved) >= 0.85 * len(done)
