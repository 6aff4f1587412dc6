"""Pull images one after the other, print the seconds of each, and forget them again."""

from __future__ import annotations

import subprocess
import sys
import time


def main() -> int:
    names, seconds = sys.argv[1:], []
    try:
        for name in names:
            started = time.monotonic()
            subprocess.run(["docker", "pull", "--quiet", name], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.monotonic() - started)
    finally:
        subprocess.run(["docker", "image", "rm", *names], check=False, capture_output=True)
    print(*(f"{each:.3f}" for each in seconds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
