"""Where the release notes of a version come from: its record, else its tag, else the plan."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import MismatchError, ReleaseError, UsageError
from orchestrator.core.record import differences, record_ref
from orchestrator.core.remote_url import compare_page, page_of
from orchestrator.core.tag_message import tagged_account, tagged_reason
from orchestrator.plan.account import account_of, described
from orchestrator.release.prepare import prepare
from orchestrator.session.committed import CommittedFiles
from orchestrator.session.published import NoRecordError, read_record, remote_name, tag_facts

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from orchestrator.core.pick import Pick, Skipped
    from orchestrator.core.record import Record
    from orchestrator.core.results import Problem
    from orchestrator.session.session import Session


_SINCE = re.compile(r"^Picked onto \S+ since (\S+):$", re.MULTILINE)


def release_notes(session: Session, version: str) -> tuple[Notes, tuple[Problem, ...]]:
    """The notes, and for a planned version what is wrong with its plan."""
    remote = remote_name(session)
    if version:
        with suppress(NoRecordError):
            return _from_record(session, remote, _agreeing(session, remote, read_record(session, version, remote))), ()
        if tag := _tag(session, remote, version):
            return _from_tag(session, remote, version, tag), ()
    plan = prepare(session, version, looking=True)
    notes = Notes(
        version=plan.version,
        previous=plan.previous,
        summary=plan.summary,
        commit=plan.head,
        released=False,
        picks=plan.picks,
        skipped=plan.skipped,
        images=tuple((str(image.reference), "") for image in plan.images),
        page=repository_page(session, remote, session.config()),
    )
    return notes, plan.problems


def _agreeing(session: Session, remote: str, record: Record) -> Record:
    """The record, which says what the version's tag says, where that can be had.  Raises MismatchError."""
    scratch, version = session.scratch, str(record.version)
    tag = _tag(session, remote, version)
    kind, data = scratch.read(tag) if tag and scratch.has(tag) else ("", b"")
    commit = data.decode("utf-8", "replace").partition("\n")[0].removeprefix("object ") if kind == "tag" else tag
    for each in differences(record, tag_facts(scratch, version, tag, commit)) if scratch.is_commit(commit) else ():
        raise MismatchError(
            f"the record of {version} {each.fault}",
            where=record_ref(version),
            remedy=f"one of the two is not what was released, and neither is told: release verify {version}",
            code="tag-differs",
        )
    return record


def _from_record(session: Session, remote: str, record: Record) -> Notes:
    version = str(record.version)
    return Notes(
        version=version,
        previous=str(record.previous or ""),
        summary=record.summary,
        commit=record.commit,
        released=True,
        picks=record.picks,
        skipped=record.skipped,
        images=tuple((str(image.reference), image.digest) for image in record.images),
        freeze_broken=record.freeze_broken,
        page=repository_page(session, remote, config_released(session, remote, version, record.commit)),
    )


# ------------------------------------------------------------------ a tag without a record


def _tag(session: Session, remote: str, version: str) -> str:
    """The tag object, or the commit of a lightweight one, with its objects here; "" when there is no such tag."""
    ref = f"refs/tags/{version}"
    if sha := session.repository.refs(ref).get(ref, ""):
        return sha
    if session.options.offline or not session.repository.remote_url(remote):
        return ""
    sha = session.repository.ls_remote(remote, ref).refs.get(ref, "")
    if sha and not session.scratch.has(sha):
        session.repository.bring(session.scratch, remote, [ref])
    return sha


def _from_tag(session: Session, remote: str, version: str, tag: str) -> Notes:
    """Picks as the tag lists them, with reasons and approvals of release.yaml at the tag."""
    kind, data = session.scratch.read(tag)
    head, _, text = data.decode("utf-8", "replace").partition("\n\n")
    commit = head.partition("\n")[0].removeprefix("object ") if kind == "tag" else tag
    config = config_released(session, remote, version, commit)
    account = None
    if config and kind == "tag":
        account = account_of(session.scratch, session.repository, version, text, config)
    if account is None and not tagged_account(text):
        raise UsageError(
            f"{version} was not released by this tool: there is no record, and its tag lists no picks",
            where=f"refs/tags/{version}",
            remedy=f"see what it is: git show {version}",
            code="not-ours",
        )
    since = _SINCE.search(text)
    return Notes(
        version=version,
        previous=since[1] if since else "",
        summary=account.entry.summary if account else "",
        commit=commit,
        released=True,
        picks=account.picks if account else described(session.scratch, text),
        skipped=account.skipped if account else (),
        freeze_broken=tagged_reason(text),
        page=repository_page(session, remote, config),
    )


def config_released(session: Session, remote: str, version: str, commit: str) -> Config | None:
    """release.yaml as it was released; None where it is not here or not to be read."""
    if not session.scratch.is_commit(commit):
        _tag(session, remote, version)
    try:
        tree = session.scratch.tree_of(commit)
        return CommittedFiles(session.scratch, tree).config(session.config_path(), version)
    except ReleaseError:
        return None


def repository_page(session: Session, remote: str, config: Config | None) -> str:
    """The repository's page: declared, else told from the remote's URL."""
    return (config.repository_url if config else "") or page_of(session.repository.remote_url(remote))


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What is told of a version.  `page` is the repository's page on its forge, "" where none is known."""

    version: str
    previous: str
    summary: str
    commit: str
    released: bool  # else planned
    picks: tuple[Pick, ...]
    skipped: tuple[Skipped, ...] = ()
    images: tuple[tuple[str, str], ...] = ()  # reference, digest ("" as long as it is planned)
    freeze_broken: str = ""
    page: str = ""

    @property
    def compare(self) -> str:
        """The page with all changes since the version before; only a public tag has one."""
        return (
            compare_page(self.page, self.previous, self.version)
            if self.page and self.previous and self.released
            else ""
        )
