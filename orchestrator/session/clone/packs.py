"""How much came over the wire: the packs that are there now and were not before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orchestrator.git.repository import Repository


class Packs:
    """The packs of a clone at one moment."""

    KEPT: Final = ("-c", "fetch.unpackLimit=1")  # also of few objects: they stay in the pack that they came in

    def __init__(self, repository: Repository) -> None:
        self._place = repository.common_dir / "objects/pack"
        self._before = self._sizes()

    def _sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self._place.glob("*.pack")}

    def said(self, seconds: float) -> str:
        """What has come since, and in what time: `1.2 MB in 0.4 s`."""
        size = sum(size for name, size in self._sizes().items() if name not in self._before)
        return f"{size / 1e6:.1f} MB in {seconds:.1f} s"
