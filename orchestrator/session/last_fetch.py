"""What this clone last heard of a remote, and when: believed where the remote is not asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.git.repository import Repository


def last_fetched(repository: Repository, remote: str, branch: str) -> str:
    """The remote's branch as it was last fetched, wherever this clone's refspecs keep it; "" when it was not."""
    usual = repository.resolve(f"refs/remotes/{remote}/{branch}")
    kept = _kept_as(repository, remote, branch) if not usual else []
    return usual or next((sha for name in kept if (sha := repository.resolve(name))), "")


def _kept_as(repository: Repository, remote: str, branch: str) -> list[str]:
    """Where the fetch refspecs put a branch of the remote."""
    found, ref = [], f"refs/heads/{branch}"
    for source, target in _refspecs(repository, remote):
        before, star, after = source.partition("*")
        if not star and ref == source:
            found.append(target)
        elif star and ref.startswith(before) and ref.endswith(after):
            found.append(target.replace("*", ref[len(before) : len(ref) - len(after)], 1))
    return [name for name in found if name]


def _refspecs(repository: Repository, remote: str) -> list[tuple[str, str]]:
    """(source, target) of what `git fetch` brings from a remote."""
    specs = (spec for _, spec in repository.config_items(rf"^remote\.{re.escape(remote)}\.fetch$"))
    return [(source, target) for source, _, target in (spec.lstrip("+").partition(":") for spec in specs)]


def last_fetch(repository: Repository, remote: str) -> int:
    """When this clone last heard of a remote, in seconds; 0 where nothing tells.

    `FETCH_HEAD` is written by every fetch, of whatever remote; reflogs by those that brought news.
    """
    targets = (target.partition("*")[0] for _, target in _refspecs(repository, remote) if target)
    places = [repository.common_dir / "logs" / name for name in {f"refs/remotes/{remote}", *targets}]
    logs = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    times = [0, *(_last_entry(path) for path in logs)]
    if len(repository.git.run("remote").lines()) == 1:
        heads = [repository.common_dir / "FETCH_HEAD", *repository.common_dir.glob("worktrees/*/FETCH_HEAD")]
        times += [int(path.stat().st_mtime) for path in heads if path.exists()]
    return max(times)


def _last_entry(reflog: Path) -> int:
    """When a reflog was last written, by its own word."""
    words = reflog.read_bytes().rstrip(b"\n").rpartition(b"\n")[2].partition(b"\t")[0].split(b" ")
    return int(words[-2]) if len(words) > 3 and words[-2].isdigit() else 0
