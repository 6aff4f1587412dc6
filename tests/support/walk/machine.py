"""The state machine: hypothesis draws what is released, how, who judges it where, and which byte is another."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.support.walk.judges import PLACES
from tests.support.walk.tampering import WHAT, Tampering
from tests.support.walk.world import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.walk.releases import Released
    from tests.support.walk.world import Line


@dataclass
class Tally:
    """What all walks of a run did; `states` are (what happened, kind of entry, kind of clone)."""

    root: Path
    walks: int = 0
    releases: int = 0
    tampered: int = 0
    states: Counter[tuple[str, ...]] = field(default_factory=Counter)

    @property
    def said(self) -> str:
        return f"{self.walks} walks, {self.releases} releases, {self.tampered} tampered, {len(self.states)} states"


class Walk(RuleBasedStateMachine):
    """A remote with two release lines, and what people do with it."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        tally.walks += 1
        self.tally = tally
        self.world = Tampering(tally.root / f"walk-{tally.walks}")

    @rule(
        which=st.sampled_from((0, 0, 1)),
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
        candidate=st.booleans(),
        turned=st.booleans(),
        kill=st.integers(-8, 12),
        abort=st.sampled_from((False, False, False, True)),
        whole=st.sampled_from((False, True)),
        place=st.sampled_from(PLACES),
    )
    def release(
        self, which: int, kinds: list[str], candidate: bool, turned: bool, kill: int, abort: bool, whole: bool,
        place: str,
    ) -> None:  # fmt: skip
        """Declare fixes, and cut a version or a candidate."""
        line = self.world.lines[which]
        made = self.world.release(line, kinds, candidate=candidate, turned=turned, kill=max(kill, 0), abort=abort,
                                  whole=whole)  # fmt: skip
        self.tally.releases += 1
        self.world.judged(made, place)

    @precondition(lambda self: self._candidates())
    @rule(kill=st.integers(-4, 8), place=st.sampled_from(PLACES))
    def promote(self, kill: int, place: str) -> None:
        """Give the last candidate of a line its final name."""
        made = self.world.promote(self._candidates()[0], max(kill, 0))
        self.tally.releases += 1
        self.world.judged(made, place)

    @precondition(lambda self: self._last())
    @rule(place=st.sampled_from(PLACES))
    def yank(self, place: str) -> None:
        """Take the last final version back."""
        made = self._last()
        assert made
        self.world.yank(made)
        self.world.judged(made, place)

    @precondition(lambda self: self.world.released)
    @rule(back=st.integers(0, 9), what=st.sampled_from(WHAT), at=st.integers(0, 9999))
    def tamper(self, back: int, what: str, at: int) -> None:
        """One byte of a release is another."""
        made = self.world.released[-1 - back % len(self.world.released)]
        before = len(self.world.said)
        self.world.tampered(made, what, at)
        self.tally.tampered += len(self.world.said) - before

    def teardown(self) -> None:
        self.tally.states += self.world.states
        shutil.rmtree(self.world.root)

    def _candidates(self) -> list[Line]:
        return [line for line in self.world.lines if line.candidate]

    def _last(self) -> Released | None:
        made = next(iter(self.world.released[-1:]), None)
        final = made and "-" not in made.version and made.version not in made.line.yanked
        return made if final else None
