"""cosign of newer Debians, unpacked into the lab's cache: 2.5 (trixie) and 3.1 (sid).

This machine's packages stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.lab import newer_docker, slots, talk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUITES = ("trixie", "sid")


def programs(cache: Path) -> dict[str, Path]:
    """Suite -> the program, made once.  Raises LabError where one cannot be had."""
    with slots.locked(cache / "cosign.lock"):
        return {suite: _program(cache, suite) for suite in SUITES}


def _program(cache: Path, suite: str) -> Path:
    root = cache / f"cosign-{suite}"
    if not root.exists():
        newer_docker.make(suite, root, ("cosign",))
    return root / "usr/bin/cosign"


def unavailable(environment: Mapping[str, str]) -> str:
    """Why it cannot be had here, or ""."""
    if "RELEASE_LAB_SLOT" not in environment:
        return "no lab: `python3 tools/lab run -- COMMAND` starts one"
    try:
        programs(slots.cache())
    except talk.LabError as error:
        return str(error)
    return ""
