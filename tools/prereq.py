"""Find the prerequisites of recorded cases again, prove each: `python tools/prereq.py --repo DIR --data FILE`.

FILE is in the format of tests/replay/data/history.json (`prerequisites`) or a list of such cases.  Prints how many
lists make the fix apply, how many are no longer than the recorded one, and the seconds that finding took.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.replay import needing


def main() -> int:
    """Exit 1 when a proposed list does not prove, which must never be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", type=Path, required=True, help="a git directory that holds the history")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--effort", type=float, default=10.0)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    objects = args.repo / ("objects" if (args.repo / "objects").is_dir() else ".git/objects")
    done = [needing.find(objects, case, args.effort) for case in needing.cases(json.loads(args.data.read_text()))]
    for one in done:
        if args.verbose or not one.proved:
            print(f"{one.fix[:12]} {one.seconds:6.2f}s recorded {one.recorded} found {one.commits} near {one.near}")
    proved = [one for one in done if one.proved]
    short = [one for one in proved if len(one.commits) <= len(one.recorded)]
    times = [one.seconds for one in done]
    print(
        f"{len(done)} cases: {len(proved)} proved ({len(proved) / len(done):.1%}), "
        f"{len(short)} no longer than recorded ({len(short) / len(done):.1%}); "
        f"median {statistics.median(times):.2f} s, longest {max(times):.2f} s"
    )
    return 1 if any(one.commits and not one.proved for one in done) else 0


if __name__ == "__main__":
    sys.exit(main())
