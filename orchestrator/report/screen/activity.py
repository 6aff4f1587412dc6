"""What is at work, as its progress tells: the step, the end of its log, and the layers with their bytes."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import field
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.report.record import size

if TYPE_CHECKING:
    from orchestrator.core.results import Progress

_LOG = 5  # lines of a step's own text
_STEP = re.compile(r"(?:\[[^\]]*\] )?(?:(?:Step|STEP) \d+/\d+ ?: )?(?P<what>.*)", re.DOTALL)  # docker, podman, BuildKit
_THERE = ("already exists", "mounted from")  # a layer of which nothing moves


@dataclass
class Transfer:
    """One layer on its way.  `current` never falls: unpacking, or a second try, starts at nothing again."""

    total: int = 0
    current: int = 0
    status: str = ""

    @property
    def is_done(self) -> bool:
        return bool(self.total) and self.current >= self.total


@dataclass
class Activity:
    """Takes progress in; says how far things are."""

    step: str = ""
    number: int = 0
    steps: int = 0
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG))
    layers: dict[str, Transfer] = field(default_factory=dict)

    def take(self, report: Progress) -> None:
        if report.in_bytes:
            self._layer(report)
        elif report.current is not None and report.total is not None:
            found = _STEP.fullmatch(report.text.strip())
            self.step = found["what"].partition("\n")[0] if found else ""
            self.number, self.steps = report.current, report.total
            self.log.clear()
        else:
            self.log += [line for line in report.text.splitlines() if line.strip()]

    def _layer(self, report: Progress) -> None:
        layer = self.layers.setdefault(short(report.item), Transfer())
        layer.status = report.text
        layer.total = max(layer.total, report.total or 0)
        layer.current = max(layer.current, report.current or 0)
        if report.text in ("Pushed", "Pull complete", "done"):
            layer.current = layer.total

    @property
    def moving(self) -> dict[str, Transfer]:
        """The layers whose bytes are known."""
        return {name: layer for name, layer in self.layers.items() if layer.total}

    @property
    def bytes_total(self) -> int:
        return sum(layer.total for layer in self.layers.values())

    @property
    def bytes_moved(self) -> int:
        return sum(layer.current for layer in self.layers.values())

    def counted(self) -> str:
        """`3 of 13 layers, 5 there already`."""
        there = sum(any(word in layer.status.lower() for word in _THERE) for layer in self.layers.values())
        done = sum(layer.is_done or layer.status == "Pushed" for layer in self.layers.values())
        return f"{done} of {len(self.layers) - there} layers" + (f", {there} there already" if there else "")

    def told(self) -> str:
        """All of it on one line, for a log."""
        if self.layers:
            return f"{self.counted()}, {size(self.bytes_moved)} of {size(self.bytes_total)}"
        where = f"step {self.number}/{self.steps} {self.step}".rstrip() if self.steps else ""
        return ": ".join(part for part in (where[:80], self.log[-1][:120] if self.log else "") if part)


def short(item: str) -> str:
    """A layer's name as people know it: twelve digits of its id."""
    found = re.search(r"(?:sha256:)?([0-9a-f]{12})[0-9a-f]*", item)
    return found[1] if found else item[:24]
