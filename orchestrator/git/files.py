"""Removing what a stranger's program may have made."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def remove(path: Path) -> None:
    """Remove a directory or file, also where somebody took the right to write in it away."""
    if path.is_file() or path.is_symlink():
        path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.is_dir():
        with contextlib.suppress(OSError):
            path.chmod(0o700)
            for root, names, _ in os.walk(path):
                for name in names:
                    if not (below := Path(root, name)).is_symlink():
                        below.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
