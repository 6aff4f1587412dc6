"""A project to take pictures of: an image with a few heavy layers, and fixes of which some do not apply.

main   A ── F1 (fix) ── N (feature) ── F2 (fix on top of N) ── D (fix that is on the branch too)
release/v2.7   A ── D'      <- v2.7.0 is A
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DOCKERFILE = """FROM {base}
ARG RELEASE_VERSION=""
RUN mkdir -p /etc/release /opt/weights && echo "$RELEASE_VERSION" >/etc/release/version
COPY pack /opt/pack
RUN sh /opt/pack 1
RUN sh /opt/pack 2
RUN sh /opt/pack 3
COPY trainkit /opt/trainkit
"""
# Random bytes do not shrink: a push of them takes its time.
PACK = """set -e  # {nonce}
for part in a b c d e f g h; do
  file=/opt/weights/shard-$1$part
  head -c {size} /dev/urandom >$file
  echo "packed $file, $(wc -c <$file) bytes, sha256 $(sha256sum $file | cut -c 1-12)"
  sleep 0.2
done
"""
LOADER = '''"""Batches ahead of time."""

DEPTH = 4
PINNED = True


def prefetch(batches):
    yield from batches
'''
CONFIG = """version: 1
branch: release/v2.7
source: main
releases:
  v2.7.1:
    summary: stop the data loader's worker when a batch loop ends early
    fixes:
      - commit: {clean}
        reason: jobs that stop early leak one thread for every epoch
  v2.7.2:
    fixes:
      - commit: {later}
        reason: half of the nodes run out of pinned memory
      - commit: {conflict}
        reason: a queue that nobody reads fills the memory of the host
image:
  repository: {repository}
  dockerfile: Dockerfile
  floating: [v2.7]
  smoke:
    - test -s /opt/trainkit/dataloader.py
"""


@dataclass(frozen=True)
class Project:
    """Where the clone is, and the environment to work in it."""

    folder: Path
    env: dict[str, str]

    def git(self, *argv: str) -> str:
        return subprocess.run(
            ["git", *argv], cwd=self.folder, env=self.env, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, subject: str, files: dict[str, str], day: int) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        date = f"2025-06-{day:02}T12:00:00+00:00"
        stamp = self.env | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        subprocess.run(["git", "commit", "-qm", subject], cwd=self.folder, env=stamp, check=True)
        return self.git("rev-parse", "HEAD")


def make(place: Path, size: int, team: str) -> Project:
    """The clone, pushed, with release.yaml in it.  `size` bytes are packed into each of 24 files, in `team`'s image."""
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI", "COLUMNS", "LINES")}
    (place / "gitconfig").write_text("[user]\nname = Robin Releaser\nemail = robin@example.com\n")
    env |= {
        "GIT_CONFIG_GLOBAL": str(place / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1", "TERM": "xterm-256color",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}",
        "RELEASE_REGISTRY_USERNAME": env["RELEASE_LAB_USERNAME"],
        "RELEASE_REGISTRY_PASSWORD": env["RELEASE_LAB_PASSWORD"],
    }  # fmt: skip
    subprocess.run(["git", "init", "-q", "--bare", str(place / "remote.git")], env=env, check=True)
    subprocess.run(
        ["git", "clone", "-q", "remote.git", "training"], cwd=place, env=env, check=True, capture_output=True
    )
    project = Project(place / "training", env)
    project.git("checkout", "-qB", "main")
    _history(project, size, team)
    return project


def _history(project: Project, size: int, team: str) -> None:
    loader, kit = LOADER, "trainkit/dataloader.py"
    files = {
        "Dockerfile": DOCKERFILE.format(base=os.environ["RELEASE_LAB_BUSYBOX"]),
        "pack": PACK.format(size=size, nonce=os.urandom(8).hex()),
    }
    project.commit("feat: the training image", {**files, kit: loader, "trainkit/queue.py": "LIMIT = 64\n"}, 1)
    project.git("branch", "release/v2.7")
    project.git("tag", "-a", "v2.7.0", "-m", "v2.7.0")
    loader = loader.replace(
        "    yield from batches\n", "    try:\n        yield from batches\n    finally:\n        batches.close()\n"
    )
    clean = project.commit("fix(dataloader): stop the worker when a batch loop ends early", {kit: loader}, 3)
    later = project.commit(
        "fix(queue): a limit that fits into pinned memory on every node", {"trainkit/queue.py": "LIMIT = 16\n"}, 4
    )
    loader += "\n\ndef ahead(disk):\n    return DEPTH * disk.speed\n"
    project.commit("feat(dataloader): look further ahead on fast disks", {kit: loader}, 5)
    loader = loader.replace("return DEPTH * disk.speed", "return min(DEPTH * disk.speed, LIMIT)")
    conflict = project.commit("fix(dataloader): never look further ahead than the queue is deep", {kit: loader}, 6)
    repository = f"{os.environ['RELEASE_LAB_REGISTRY']}/{team}/pytorch-cuda"
    config = CONFIG.format(clean=clean[:12], later=later[:12], conflict=conflict[:12], repository=repository)
    project.commit("chore: declare v2.7.1 and v2.7.2", {"release.yaml": config}, 7)
    project.git("push", "-q", "origin", "main", "release/v2.7", "v2.7.0")
