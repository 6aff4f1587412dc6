"""Which tool wrote a record: the same one writes, and reads, the same words.

Builds of one development version do not: they are told apart by the sources that say how words are written and read.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from orchestrator import __version__

_PACKAGE: Final = Path(__file__).parents[2]
_ROOMS: Final = ("core", "landing", "picks", "plan", "session/yanks.py")  # what decides of tags, records and changelogs


@cache
def tool_version() -> str:
    """The version as records name it; a development version has the digest of its sources: `0.2.0.dev0+1a2b3c4d`."""
    return f"{__version__}+{digest(_PACKAGE)}" if ".dev" in __version__ else __version__


def digest(package: Path) -> str:
    """Eight digits for the words of a build whose modules lie in `package`."""
    found = hashlib.sha256()
    for room in _ROOMS:
        place = package / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:8]
