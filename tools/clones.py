"""What it costs to plan in a partial clone, and to complete the clone instead: bytes and seconds (docs/clones.md).

    python tools/clones.py [TIMES]

The server is a bare repository of this machine with the history of the tests.  Bytes are those of the packs that came;
seconds are the best of so many times, of the fetch alone.  The plan is held to that of a full clone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.session.clone.test_contents import DATA, RELEASE, VERSION, cloned
from tests.support.story import Repo, make_repo

RELEASE_PROGRAM = Path(sys.executable).parent / "release"
SECONDS = re.compile(r"fetched .* from origin, [0-9.]+ MB in ([0-9.]+) s")
WAYS = {
    "--filter=blob:none": ("fetch", "--refetch", "--no-filter", "origin"),
    "--filter=tree:0": ("fetch", "--refetch", "--no-filter", "origin"),
    "--depth=1": ("fetch", "--unshallow", "origin", "+refs/heads/*:refs/remotes/origin/*"),
}


def server(place: Path) -> Repo:
    """At the release before that which is planned."""
    remote = make_repo(place, bare=True)
    bundle = str(DATA / "history.bundle")
    remote.git("fetch", "--quiet", bundle, "main:refs/heads/main", "refs/tags/*:refs/tags/*")
    remote.git("fetch", "--quiet", bundle, "release/1.7:refs/heads/people")
    remote.git("update-ref", "refs/heads/release/1.7", RELEASE["prev_sha"])
    newest = int(VERSION.rpartition(".")[2])
    remote.git("tag", "--delete", *(tag for tag in remote.git("tag").split() if int(tag.rpartition(".")[2]) >= newest))
    remote.git("config", "uploadpack.allowFilter", "true")
    return remote


def packs(repo: Repo) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (repo.path / ".git/objects/pack").glob("*.pack")}


def cost(repo: Repo, *command: str) -> tuple[int, float, subprocess.CompletedProcess[str]]:
    """(bytes of new packs, seconds, what it said) of a command in a clone."""
    before, begun = packs(repo), time.monotonic()
    done = subprocess.run(command, cwd=repo.path, capture_output=True, text=True, check=True, env=dict(os.environ))
    took = time.monotonic() - begun
    return sum(size for name, size in packs(repo).items() if name not in before), took, done


def planned(repo: Repo) -> tuple[int, float, dict[str, Any]]:
    """(bytes that were fetched, seconds of that by its own word, the plan)."""
    size, _, done = cost(repo, str(RELEASE_PROGRAM), "plan", VERSION, "--json")
    took = sum(float(seconds) for seconds in SECONDS.findall(done.stderr))
    return size, took, {**json.loads(done.stdout), "notes": []}


def main(times: int) -> int:
    """Exit 1 where a plan is another one."""
    with tempfile.TemporaryDirectory(prefix="clones-") as where:
        root = Path(where)
        remote = server(root / "remote.git")
        full = planned(cloned(remote, root / "full"))[2]
        for kind, complete in WAYS.items():
            rows = [planned(cloned(remote, root / f"{kind}{each}", kind)) for each in range(times)]
            whole = [cost(cloned(remote, root / f"{kind}{each}-all", kind), "git", *complete) for each in range(times)]
            print(
                f"{kind:20} to plan {rows[0][0] / 1e6:.1f} MB in {min(row[1] for row in rows):.1f} s;"
                f" git {' '.join(complete)}: {whole[0][0] / 1e6:.1f} MB in {min(row[1] for row in whole):.1f} s"
            )
            if any(plan != full for *_, plan in rows):
                print(f"{kind}: another plan than that of a full clone")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
