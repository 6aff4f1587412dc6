"""What `release init` finds in a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.config.template import StarterFacts
from orchestrator.core.remote_url import page_of
from orchestrator.core.versions import parse_tag

if TYPE_CHECKING:
    from orchestrator.git.repository import Repository


def starter_facts(repository: Repository) -> StarterFacts:
    """Branches, remote, newest version tag and Dockerfiles."""
    remotes = repository.git.run("remote").lines()
    remote = "origin" if "origin" in remotes or not remotes else remotes[0]
    names = {
        ref.removeprefix("refs/heads/").removeprefix(f"refs/remotes/{remote}/")
        for ref in repository.refs("refs/heads", f"refs/remotes/{remote}")
    }
    branches = sorted(names - {"HEAD"})
    versions = [(parsed.version, tag) for tag in repository.local_tags() if (parsed := parse_tag(tag))]
    files = repository.git.run("ls-files", "-z").fields()
    return StarterFacts(
        branches=tuple(branches),
        default_branch=next((name for name in ("main", "master") if name in branches), "main"),
        remote=remote,
        latest_tag=max(versions)[1] if versions else "",
        dockerfiles=tuple(path for path in files if path.rpartition("/")[2].startswith("Dockerfile")),
        project=repository.top.name,
        page=page_of(repository.remote_url(remote)),
    )
