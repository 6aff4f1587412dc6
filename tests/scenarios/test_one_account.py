"""Whatever is released, everybody who judges releases calls right; what was tampered with, everybody finds.

Random walks, told by their seeds.  RELEASE_WALKS is the number of walks, RELEASE_SEED the first seed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.walk import Walk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history

FIRST = int(os.environ.get("RELEASE_SEED", "1"))
WALKS = int(os.environ.get("RELEASE_WALKS", "3"))
RELEASES = 3  # in a walk


@pytest.mark.parametrize("seed", range(FIRST, FIRST + WALKS))
def test_every_judge_agrees(tmp_path: Path, seed: int) -> None:
    walk = Walk(tmp_path / "walk", seed)
    for _ in range(RELEASES):
        version = walk.release()
        walk.judges(version)
    walk.tampered(version)
    assert walk.said, f"seed {seed} did nothing"
