"""What single commits of a release branch are: picks as they were judged, and release commits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import with_origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.git.objects import Commit
    from orchestrator.picks.classify import Classification
    from orchestrator.picks.sources import Source

_RELEASE = re.compile(r"chore\(release\): (\S+)")


def released_version(commit: Commit) -> str:
    """The version that a release commit names, "" for any other commit."""
    found = _RELEASE.fullmatch(commit.text.partition("\n")[0])
    return found[1] if found else ""


def first_release(commits: Sequence[Commit]) -> Sequence[Commit]:
    """The commits up to the first release commit, all where there is none."""
    end = next((number for number, commit in enumerate(commits, 1) if released_version(commit)), len(commits))
    return commits[:end]


def differs(commit: Commit, source: Source, verdict: Classification) -> str:
    """In what a commit is not the pick, "" where it is; whoever picked, and when, is free."""
    if not verdict.tree or commit.tree != verdict.tree:
        return "its files differ"
    if commit.author != verdict.like.author:
        return "its author differs"
    return "" if commit.message == with_origin(verdict.like.message, source.commit.sha) else "its message differs"
