"""Known vulnerabilities of a released version: its bills of materials against advisories and VEX statements."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from orchestrator.attest.released.bills import bills
from orchestrator.attest.scan import advisory, matching, snapshot, vex
from orchestrator.attest.scan.findings import find
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.session.committed import VEX_FOLDER, CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.attest.bill import Bill
    from orchestrator.attest.scan.advisory import Advisory
    from orchestrator.attest.scan.findings import ImageFindings
    from orchestrator.attest.scan.vex import VexStatement
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class ScanRequest:
    """`data` are files and folders of advisories; without any the service at `address` is asked, and what it answers is
    kept in the folder `save`, where one is given.
    """

    version: str
    variant: str = ""
    platform: str = ""
    data: tuple[Path, ...] = ()
    address: str = ""
    save: Path | None = None


def scan(session: Session, request: ScanRequest) -> tuple[ImageFindings, ...]:
    """What is known against the images of a version.

    Raises UsageError for what cannot be read and for --offline without data, RemoteError for a service that does not
    answer.
    """
    if session.options.offline and not request.data:
        raise UsageError(
            "--offline, and no advisories are given",
            remedy="give a snapshot: --data FILE; one is made by: release scan VERSION --save DIR",
            code="no-advisories",
        )
    if request.save and request.data:
        raise UsageError("--save keeps what the service answers, and --data asks none", remedy="leave one of them out",
                         code="two-sources")  # fmt: skip
    if request.save:
        _empty(request.save)
    statements = list(_statements(session, request.version))  # first: it needs no engine, and may be wrong
    found = bills(session, request.version, request.variant, request.platform)
    advisories = _advisories(request, found)
    return tuple(find(each, advisories, statements) for each in found)


def _advisories(request: ScanRequest, found: Sequence[Bill]) -> list[Advisory]:
    components = {each.purl: each for bill in found for each in bill.components}
    if request.data:
        return snapshot.load(request.data, {matching.key_of(each) for each in components.values()})
    from orchestrator.attest.scan.osv_dev import ADDRESS, OsvService

    records = OsvService(request.address or ADDRESS).records(list(components.values()))
    if request.save:
        for record, data in records:
            (request.save / f"{advisory.key(record.id)}.json").write_bytes(data)
    return [each for each, _ in records]


def _empty(folder: Path) -> None:
    """Make the folder; what is in it already would be taken for a part of the snapshot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = any(os.scandir(folder))
    except OSError as error:
        raise UsageError(f"cannot be used: {error.strerror}", where=str(folder), remedy="give another folder to --save",
                         code="bad-folder") from error  # fmt: skip
    if there:
        raise UsageError("is not empty", where=str(folder), remedy="give --save a new folder", code="bad-folder")


def _statements(session: Session, version: str) -> Iterator[VexStatement]:
    """What stands in `vex/` at the tag and at HEAD: what was found out after the release is said there."""
    for name in dict.fromkeys((f"refs/tags/{version}", "HEAD")):
        if commit := session.repository.resolve(name):
            files = CommittedFiles(session.scratch, session.scratch.tree_of(commit)).below(VEX_FOLDER)
            for path, data in sorted(vex.documents_in(files).items()):
                yield from vex.read(f"{name.removeprefix('refs/tags/')}:{path}", data)
