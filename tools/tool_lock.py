"""What the GitHub Action and the image of the tool install: uv.lock as pip reads it.  `make tool-lock` writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "images/release-tool/requirements.txt"
_EXPORT: Final = (
    "export", "--frozen", "--offline", "--quiet", "--no-default-groups", "--no-emit-project", "--all-extras",
    "--group", "build", "--no-header", "--no-annotate",
)  # fmt: skip


def exported() -> str:
    """The libraries of the project, its extras and what builds it, with their hashes."""
    uv = Path(sys.executable).parent / "uv"
    return subprocess.run([uv, *_EXPORT], cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    LOCK.write_text(exported())
