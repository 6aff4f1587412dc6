"""Patch releases of a CUDA image: declared cherry-picks, a tag, a proved image, a push."""

from functools import cache
from pathlib import Path

__version__ = "0.2.0.dev0"

# What decides of the words of tags, records, changelogs and yanks.
_WORDS = ("core", "landing", "picks", "plan", "session/yanks.py")


@cache
def tool_version() -> str:
    """The version as records name it: the same tool writes, and reads, the same words.

    A development version has the digest of its sources, since two builds of it may not: `0.2.0.dev0+1a2b3c4d`.
    """
    return f"{__version__}+{digest(Path(__file__).parent)}" if ".dev" in __version__ else __version__


def digest(package: Path) -> str:
    """Eight digits for the words of a build whose modules lie in `package`."""
    import hashlib

    found = hashlib.sha256()
    for room in _WORDS:
        place = package / room
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:8]
