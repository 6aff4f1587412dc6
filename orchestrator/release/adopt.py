"""A release that was begun in this clone and finished elsewhere, by a CI job or from another clone; or for another
product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RefusedError, ReleaseError
from orchestrator.core.plan import RECORD
from orchestrator.core.record import record_ref
from orchestrator.core.text import word
from orchestrator.git.push import publish_tag_locally
from orchestrator.session.journal import Journal
from orchestrator.session.published import PublishedReleases
from orchestrator.session.state import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.plan import Plan
    from orchestrator.core.reference import Reference
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What the remote has: the tag object, and the digests of the record by image reference."""

    tag_object: str
    digests: Mapping[Reference, str]
    said: str = "was finished elsewhere: its record is"


def finished_elsewhere(session: Session, plan: Plan, journal: Journal) -> Finished | None:
    """The release of this very commit with its record on the remote, where this clone did not come so far itself.

    Raises RemoteError where the remote does not answer, MismatchError for a record that is not the tag's.
    """
    if journal.outcome(RECORD) or session.options.offline:
        return None
    ref = f"refs/tags/{plan.version}"
    refs = session.repository.ls_remote(plan.remote, ref, f"{ref}^{{}}", record_ref(plan.version))
    if refs.tag_commit(plan.version) != plan.head:
        return None
    if not session.repository.keeps_records and not plan.images:
        return Finished(tag_object=refs.refs[ref], digests={}, said="is complete: its tag, which is all of it, is")
    if record_ref(plan.version) not in refs.refs:
        return None
    record = PublishedReleases(session, plan.remote).proved(plan.version)
    digests = {image.reference: image.digest for image in record.images}
    return Finished(tag_object=refs.refs[ref], digests=digests)


def close(session: Session, plan: Plan, journal: Journal, found: Finished) -> str:
    """Take it over: tag, record and branch of this clone follow, the journal ends.  Returns a line about the branch."""
    kept = [record_ref(plan.version)] if session.repository.keeps_records else []
    for ref in (f"refs/tags/{plan.version}", *kept):  # a record of a broken-off try may be here
        session.repository.fetch_ref(plan.remote, ref)
    old, new = plan.branch_move
    note = publish_tag_locally(
        session.repository,
        remote=plan.remote, tag=plan.version, tag_object=found.tag_object, branch=plan.branch, old=old, new=new,
    )  # fmt: skip
    if not journal.closed:
        journal.append("closed")
    return note


def refuse_another_product(session: Session, version: str) -> None:
    """Raises RefusedError where the version was begun here by another release.yaml, and this one declares it too.

    What was begun is obeyed as it was planned, which another product would take for its own.
    """
    data = Journal(ReleaseState(session.repository, version).journal_path, session.now).plan() if version else None
    begun, path = str((data or {}).get("config_path", "")), session.config_path()
    if not data or begun in ("", path):
        return
    try:
        config = session.config()
    except ReleaseError:  # what was begun needs no file
        return
    if config.branch != data["branch"] and config.release(version):
        raise RefusedError(
            f"{version} is a release of {word(begun)} on {word(str(data['branch']))}, and {word(path)} declares it too,"
            f" for {config.branch}",
            where=str(config.place),
            remedy="two products need two names: give one of them a `tag-prefix:` of its own"
            f"   | release -c {word(begun)} cut {version}   (the one that was begun)",
            code="version-of-another-product",
            state="nothing was changed",
        )
