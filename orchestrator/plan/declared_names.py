"""How release.yaml writes the versions to come, against the tags of this clone: for `release check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.plan.version_rule import check_version
from orchestrator.session.branch_state import reachable_tags
from orchestrator.session.last_fetch import last_fetched

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from orchestrator.core.results import Problem
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch


def wrong_prefixes(repository: Repository, scratch: Scratch, config: Config) -> list[Problem]:
    """The versions without a tag that are written otherwise than the tags, as the plan says it; nobody is asked.

    Whether one may come next is the plan's to say: those before it may be declared, and not released.
    """
    tags = repository.local_tags()
    tip = last_fetched(repository, config.remote, config.branch) or repository.resolve(f"refs/heads/{config.branch}")
    reachable = reachable_tags(scratch, tip, tags) if tip else ()
    found = [
        problem
        for entry in config.releases
        for problem in check_version(
            entry.version, branch=config.branch, reachable=reachable, existing=tags, where=str(entry.place)
        ).problems
    ]
    return [each for each in found if each.code == "version-prefix"]
