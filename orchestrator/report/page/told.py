"""All that can be told of one version, or of a whole line, put together for a page: record, proofs, changes."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from orchestrator.audit.branch import audit_line, signatures
from orchestrator.audit.similarity import range_diffs
from orchestrator.audit.snapshot import Range, look, ranges
from orchestrator.audit.tags import of_line
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ReleaseError
from orchestrator.core.versions import TagVersion
from orchestrator.release.notes import config_released, repository_page
from orchestrator.session import yanks
from orchestrator.session.published import NoRecordError, read_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.attest.bill import Bill
    from orchestrator.attest.differences import Change
    from orchestrator.audit.branch import BranchAudit
    from orchestrator.audit.snapshot import Snapshot
    from orchestrator.core.record import Record
    from orchestrator.core.results import CheckResult
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.session import Session
    from orchestrator.session.yanks import Yank

DIFF_LINES = 400  # shown of one commit; the rest is counted
ALL_LINES = 40_000  # shown of all of them


@dataclass(frozen=True, kw_only=True)
class ChangedContents:
    """The bill of each image with what changed since the version before; else why there is none."""

    images: tuple[tuple[Bill, tuple[Change, ...]], ...] = ()
    lacks: str = ""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One version.  `diffs` are the changes of its commits by id, `adapted` what a resolution made of its source."""

    record: Record
    yank: Yank | None
    before: Record | None  # the record of the version before, None where there is none
    audit: BranchAudit
    unchecked: tuple[str, ...]
    diffs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    adapted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    page: str = ""  # the repository's page on its forge
    signatures: tuple[CheckResult, ...] = ()  # of its images; none where nobody asks for any
    contents: ChangedContents | None = None  # None where nobody asked


@dataclass(frozen=True, kw_only=True)
class Line:
    """The versions of a line with their records, newest first, and the yanks."""

    branch: str
    records: tuple[Record, ...]
    yanks: Mapping[str, Yank]
    without: tuple[str, ...]  # versions of the line that have no record


def tell(session: Session, version: str, *, contents: bool = False) -> Told:
    """`contents`: what is inside too, for which the engine pulls what it does not have.

    Raises NoRecordError for a version that was not released by this tool.
    """
    world = look(session)
    record = read_record(session, version, world.remote)
    scratch = session.scratch
    # to this version alone: what came later is another page's
    wanted = Range(branch=record.branch, tip=record.commit, base=record.base, whole=False)
    audit = audit_line(world, wanted, require_signed=False)
    results = [pick.result for pick in record.picks if pick.result]
    config = config_released(session, world.remote, version, record.commit)
    before = _record(world, str(record.previous or ""))
    return Told(
        record=record, yank=_yanks(world).get(version), before=before,
        audit=audit, unchecked=(*audit.unchecked, *world.unchecked),
        page=repository_page(session, world.remote, config), signatures=tuple(signatures(world, record, config)),
        contents=_contents(session, record, before) if contents and record.images else None,
        diffs=_diffs(scratch, [*results, record.commit]), adapted=range_diffs(scratch, audit.verdicts),
    )  # fmt: skip


def _contents(session: Session, record: Record, before: Record | None) -> ChangedContents:
    from orchestrator.attest.differences import compared
    from orchestrator.attest.released.bills import bills

    try:
        old = bills(session, str(before.version)) if before and before.images else ()
        return ChangedContents(images=tuple(compared(old, bills(session, str(record.version)))))
    except ReleaseError as error:
        return ChangedContents(lacks=error.message)


def tell_line(session: Session, branch: str) -> Line:
    """Every version of a release branch."""
    world = look(session)
    [wanted, *_] = ranges(world, branch)
    inside = set(session.scratch.rev_list(wanted.tip, *([f"^{wanted.base}"] if wanted.base else []), "--"))
    names = [name for name in of_line(wanted.branch, list(world.tags)) if world.tags[name].commit in inside]
    names.sort(key=lambda name: TagVersion.from_text(name).order, reverse=True)
    records = [found for name in names if (found := _record(world, name))]
    with_record = {str(record.version) for record in records}
    return Line(
        branch=wanted.branch, records=tuple(records), yanks=_yanks(world),
        without=tuple(name for name in names if name not in with_record),
    )  # fmt: skip


def _record(world: Snapshot, version: str) -> Record | None:
    if version in world.records or not version:
        return world.records.get(version)
    try:
        return read_record(world.session, version, world.remote)
    except NoRecordError:
        return None


def _yanks(world: Snapshot) -> dict[str, Yank]:
    session = world.session
    refs = world.remote_refs.refs if world.remote_refs else session.repository.refs(yanks.PREFIX.rstrip("/"))
    return yanks.known(session.repository, session.scratch, world.remote, refs)


def _diffs(scratch: Scratch, commits: Sequence[str]) -> dict[str, list[str]]:
    """What each changed, as git shows it, by one git process."""
    found: dict[str, list[str]] = {}
    left = ALL_LINES
    wanted = [sha for sha in dict.fromkeys(commits) if scratch.has(sha)]
    output = scratch.git.run(
        "log", "--no-walk=unsorted", "--stdin", "--first-parent", "--diff-merges=first-parent", "--no-color", "-M",
        "--no-ext-diff", "--no-textconv", "--stat", "-p", "--format=%x00%H", stdin="\n".join(wanted).encode() + b"\n",
    )  # fmt: skip
    for part in output.stdout.decode("utf-8", "replace").split("\0")[1:]:
        sha, _, text = part.partition("\n")
        lines = text.strip("\n").split("\n")
        most = min(DIFF_LINES, left)
        found[sha] = lines[:most] + ([f"... {len(lines) - most} more lines: git show {sha}"] if lines[most:] else [])
        left -= min(len(lines), most)
    return found
