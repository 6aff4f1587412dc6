"""Replay recorded releases of a repository and compare with plain git: `replay.py --repo DIR --data FILE`.

The format of FILE is that of tests/replay/data/history.json.  Exit 1 when anything differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.replay import replaying


def main() -> int:
    """Print counts, seconds (ours and the recorded ones of plain git) and every difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", type=Path, required=True, help="a clone (its .git, or a bare repository)")
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    gitdir = args.repo / ".git" if (args.repo / ".git").is_dir() else args.repo
    releases = replaying.load(args.data)["releases"]
    begun = time.monotonic()
    outcome = replaying.replay(gitdir / "objects", releases)
    seconds = time.monotonic() - begun
    plain = sum(release["replay"]["wall_s"] for release in releases)
    print(f"{outcome.releases} releases, {outcome.picks} picks, {outcome.states}")
    print(f"{seconds:.1f} s here; recorded for plain git, elsewhere: {plain:.1f} s")
    for line in outcome.differences:
        print(f"differs: {line}")
    return 1 if outcome.differences else 0


if __name__ == "__main__":
    sys.exit(main())
