"""The docker tier: `python tools/test_docker.py`, two halves side by side, each in a lab of its own.

An engine of its own, because tests look at all that an engine has.  Where an engine is borrowed (tools/lab says when)
there is one for both, and the halves run one after the other.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run by its path, it knows no package

from tools.lab import engine

TESTS = ROOT / "tests/docker"
# The files that build and run the project's own image, and some to make both halves take as long.
FIRST = ("contents", "locks", "patches", "reproducible", "runtime", "rebuild", "rollback")
BY_HAND = "cdi"  # needs an engine newer than Debian 12's, which it names: docs/smoke.md


def main() -> int:
    """The first exit code that is not 0."""
    files = {path.stem.removeprefix("test_"): path for path in sorted(TESTS.glob("test_*.py"))}
    half = [files[name] for name in FIRST]
    rest = [path for name, path in files.items() if name not in (*FIRST, BY_HAND)]
    if engine.borrowed():
        return subprocess.run(argv([*rest, *half]), check=False).returncode
    with tempfile.TemporaryFile() as log:
        first = subprocess.Popen(argv(half), stdout=log, stderr=subprocess.STDOUT)
        try:
            code = subprocess.run(argv(rest), check=False).returncode
        finally:
            other = first.wait()  # ctrl-C has reached it too
            log.seek(0)
            print(log.read().decode(errors="replace"), flush=True)
    return code or other


def argv(files: list[Path]) -> list[str]:
    lab = [sys.executable, str(ROOT / "tools/lab"), "run", "--"]
    return [*lab, str(ROOT / ".venv/bin/pytest"), "-m", "docker", *(str(path) for path in files)]


if __name__ == "__main__":
    sys.exit(main())
