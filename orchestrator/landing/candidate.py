"""The names under which a release is proposed on the remote: a branch for the forge, and the tag object for us.

The tag object says what was decided, and keeps the proposed commits there when the forge has removed the branch: of a
squash they are what the release is proved by.  A third name keeps the sources: topic branches may be gone by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError
from orchestrator.core.plan import CANDIDATES, candidate_ref, candidate_sources_ref
from orchestrator.git.records import push as records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.plan import Plan
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

PRIVATE = "no version is tagged, and no image is public"


@dataclass(frozen=True, kw_only=True)
class ProposedRefs:
    """What the remote has of a proposed version: the tag object, the commit of the branch; "" for none."""

    version: str
    tag_object: str
    branch: str
    branch_head: str
    sources: str = ""  # the commit that keeps them


def candidate(repository: Repository, remote: str, version: str, branch: str) -> ProposedRefs:
    """What is proposed there."""
    ref, sources, head = candidate_ref(version), candidate_sources_ref(version), f"refs/heads/{branch}"
    refs = repository.ls_remote(remote, ref, sources, head).refs
    found = (refs.get(each, "") for each in (ref, head, sources))
    return ProposedRefs(
        version=version, tag_object=next(found), branch=branch, branch_head=next(found), sources=next(found)
    )


def propose(repository: Repository, plan: Plan, tag_object: str, before: ProposedRefs, sources: str) -> None:
    """Push all; `before` is what was there, which is pushed over.  `sources` is the commit that keeps them.

    Raises RefusedError where somebody moved one meanwhile, RemoteError where the server takes it not.
    """
    moves = {
        f"refs/heads/{plan.request}": (plan.head, before.branch_head),
        candidate_ref(plan.version): (tag_object, before.tag_object),
    }
    if sources:
        moves[candidate_sources_ref(plan.version)] = (sources, before.sources)
    try:
        records.move_refs(repository, remote=plan.remote, moves=moves, state=PRIVATE)
    except RemoteError as error:
        raise records.hinted(error, repository, "`records: branch NAME`") from None


def keep(repository: Repository, remote: str, version: str, tag_object: str) -> None:
    """Have the tag object, and with it the commits as they were planned, on the remote: of a squash they are the proof.

    Raises RemoteError where the server takes it not.
    """
    ref = candidate_ref(version)
    before = repository.ls_remote(remote, ref).refs.get(ref, "")
    records.move_refs(repository, remote=remote, moves={ref: (tag_object, before)}, state=PRIVATE, hooks=False)


def withdraw(repository: Repository, remote: str, found: ProposedRefs, *, branch: bool) -> None:
    """Remove what was proposed; the branch too where it is still what was proposed."""
    moves = {candidate_ref(found.version): ("", found.tag_object)}
    if found.sources:
        moves[candidate_sources_ref(found.version)] = ("", found.sources)
    if branch and found.branch_head:
        moves[f"refs/heads/{found.branch}"] = ("", found.branch_head)
    records.move_refs(repository, remote=remote, moves=moves, state=PRIVATE, hooks=False)


def bring(repository: Repository, scratch: Scratch, remote: str, versions: Sequence[str]) -> None:
    """Have what was proposed as these versions in a scratch store, where the remote keeps it.

    Raises RemoteError when the remote cannot be read.
    """
    there = repository.ls_remote(remote, *map(candidate_ref, versions)).refs
    lacking = [ref for ref, sha in there.items() if ref.startswith(CANDIDATES) and not scratch.has(sha)]
    if lacking:
        repository.bring(scratch, remote, lacking)
