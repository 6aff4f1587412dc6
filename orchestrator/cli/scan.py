"""The command that asks what is known against the images of a version."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.app import command
from orchestrator.cli.options import REGISTRY
from orchestrator.core.errors import Exit, UsageError
from orchestrator.report.console import Console
from orchestrator.session.session import Session


class Severity(StrEnum):
    """From which severity on an open finding ends with exit 6."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"
    NEVER = "never"


@command("scan", REGISTRY)
def scan(
    session: Session,
    console: Console,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Advisories: OSV records, a folder or zip of them, or Debian's tracker; else osv.dev is asked.",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the service's answers there, as a snapshot."),
    ] = None,
    service: Annotated[str, typer.Option(metavar="URL", help="Another service with OSV's interface.")] = "",
    variant: Annotated[str, typer.Option(metavar="NAME", help="Only this variant of its images.")] = "",
    platform: Annotated[str, typer.Option(metavar="OS/ARCH", help="Only the image of this platform.")] = "",
    fail_on: Annotated[
        Severity,
        typer.Option(help="Exit 6 at an open finding of this severity or a worse one."),
    ] = Severity.NEVER,
    every: Annotated[bool, typer.Option("--all", help="Show also what is answered by VEX or a patch.")] = False,
    sarif: Annotated[
        str,
        typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0 there; - is stdout."),
    ] = "",
) -> int:
    """Hold what is inside the images of a version to known vulnerabilities, with the VEX statements in `vex/`."""
    from orchestrator.attest.released.vulnerabilities import ScanRequest
    from orchestrator.attest.released.vulnerabilities import scan as look
    from orchestrator.report import scan as report

    if sarif == "-" and console.as_json:
        raise UsageError("--json and --sarif - both want stdout", remedy="give --sarif a file", code="two-documents")
    request = ScanRequest(
        version=version, variant=variant, platform=platform, address=service,
        data=tuple(session.directory / each for each in data or ()), save=session.directory / save if save else None,
    )  # fmt: skip
    found = look(session, request)
    if sarif == "-":
        console.written(report.scan_sarif(found, session.config_path()))
    else:
        if sarif:
            _write(session.directory / sarif, json.dumps(report.scan_sarif(found, session.config_path()), indent=2))
        console.lines(report.scan_lines(found, every=every))
    console.document(report.scan_document(version, found))
    bad = fail_on is not Severity.NEVER and any(each.at_least(fail_on.value) for each in found)
    return Exit.UNPROVED if bad else Exit.DONE


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n")
    except OSError as error:
        raise UsageError(
            f"the SARIF file cannot be written: {error.strerror}", where=str(path), remedy="give another path",
            code="bad-file",
        ) from error  # fmt: skip
