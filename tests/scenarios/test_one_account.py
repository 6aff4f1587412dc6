"""Whatever is released, everybody who judges releases calls right; what was tampered with, everybody finds.

Random walks by hypothesis, told by a seed.  RELEASE_WALKS is how many, RELEASE_SEED which ones, RELEASE_STEPS how long.
A failing one is made shorter, for five minutes at most, and printed as a program; RELEASE_SHRINK=0 prints it as it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.sample import SAMPLED
from tests.support.walk.machine import Tally, Walk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history

SEED = int(os.environ.get("RELEASE_SEED", "1"))
WALKS = int(os.environ.get("RELEASE_WALKS", "1" if SAMPLED else "3"))
STEPS = int(os.environ.get("RELEASE_STEPS", "5"))
QUIETLY = settings(
    max_examples=WALKS,
    stateful_step_count=STEPS,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink) if os.environ.get("RELEASE_SHRINK") != "0" else (Phase.generate,),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.normal,
)


def test_every_judge_agrees(tmp_path: Path, record_property: pytest.FixtureRequest) -> None:
    tally = Tally(tmp_path)

    @seed(SEED)
    class Seeded(Walk):
        def __init__(self) -> None:
            super().__init__(tally)

    try:
        run_state_machine_as_test(Seeded, settings=QUIETLY)
    finally:
        print(tally.said)  # noqa: T201  # `pytest -rP` shows it
    assert tally.walks >= WALKS
    assert tally.releases
