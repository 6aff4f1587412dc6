"""Install the Debian packages of commands that a tier's tests need: `python tools/provide.py COMMAND...`.

Where nothing can be installed the tests that need one fail and say which.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run by its path, it knows no package

from tools.lab import packages, talk


def main() -> int:
    try:
        if packages.can_install():
            packages.ensure(sys.argv[1:])
    except talk.LabError as error:
        print(f"provide: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
