"""Runs inside an image, by the image's own Python: what is installed and under which licences, as one line.

Only the standard library of Python 3.9; it is sent as text (`python3 -c`), so it imports nothing of this project.
The line is compressed JSON in base64: engines keep little of what a container prints.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import sys
import zlib
from pathlib import Path
from typing import Any

LONGEST = 100  # characters of a licence's name: some packages put the whole text there


def distributions() -> list[dict[str, Any]]:
    """What pip's own report of installed packages says: name, version, and every word about the licence."""
    found = []
    for each in importlib.metadata.distributions():
        about = each.metadata
        if about["Name"]:
            found.append(
                {
                    "name": about["Name"],
                    "version": each.version,
                    "expression": about["License-Expression"] or "",
                    "license": " ".join((about["License"] or "").split())[: LONGEST + 1],
                    "classifiers": [
                        line for line in about.get_all("Classifier") or [] if line.startswith("License ::")
                    ],
                }
            )
    return found


def debian_licences() -> dict[str, list[str]]:
    """Debian package -> the short names of the licences in its copyright file, where that has the form of DEP 5."""
    found: dict[str, list[str]] = {}
    for path in sorted(Path("/usr/share/doc").glob("*/copyright")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        if lines and lines[0].startswith("Format:"):
            names = {line.partition(":")[2].strip() for line in lines if line.startswith("License:")}
            found[path.parent.name] = sorted(name for name in names if 0 < len(name) <= LONGEST)
    return found


if __name__ == "__main__":
    found = json.dumps({"python": distributions(), "debian": debian_licences()})
    sys.stdout.write("\n" + base64.b64encode(zlib.compress(found.encode())).decode() + "\n")
