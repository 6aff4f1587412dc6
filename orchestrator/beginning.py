"""What `release init` finds in a repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.starter import StarterFacts
from orchestrator.versions import line_of_branch, parse_tag

if TYPE_CHECKING:
    from orchestrator.git.repository import Repository


def starter_facts(repository: Repository) -> StarterFacts:
    """Branches, remote, newest version tag and Dockerfiles."""
    remotes = repository.git.run("remote").lines()
    remote = "origin" if "origin" in remotes or not remotes else remotes[0]
    names = [
        re.sub(rf"^refs/(heads|remotes/{re.escape(remote)})/", "", ref)
        for ref in repository.refs("refs/heads", f"refs/remotes/{remote}")
    ]
    branches = sorted(set(names) - {"HEAD"})
    tags = [(parsed.version, tag) for tag in repository.local_tags() if (parsed := parse_tag(tag))]
    files = repository.git.run("ls-files", "-z").fields()
    return StarterFacts(
        branches=tuple(branches),
        release_branches=tuple(name for name in branches if line_of_branch(name)),
        remote=remote,
        latest_tag=max(tags)[1] if tags else "",
        dockerfiles=tuple(path for path in files if path.rpartition("/")[2].startswith("Dockerfile")),
        source="main" if "main" in branches else "master" if "master" in branches else "",
    )
