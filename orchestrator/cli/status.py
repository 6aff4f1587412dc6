"""Commands that tell how things stand: status, show, notes, doctor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli.app import command
from orchestrator.cli.invocation import Invocation
from orchestrator.cli.options import Version
from orchestrator.core.errors import Exit, UsageError, worst
from orchestrator.report.record import record_lines


@command("status")
def status(call: Invocation, version: Version = "") -> None:
    """Say what is done, what is missing, and what to type."""
    from orchestrator.release.status import standings
    from orchestrator.report import text as report

    with call.desk() as desk:
        found = standings(desk, version)
    call.console.lines(report.standing_lines(found))
    call.console.document({"schema_version": 1, "releases": [asdict(each) for each in found]})


@command("show")
def show(call: Invocation, version: Annotated[str, typer.Argument(help="A released version.")]) -> None:
    """Show the record of a release: picks, tag, tree, digests, checks, seconds."""
    from orchestrator.session.published import read_record, read_yank, remote_name
    from orchestrator.session.yanks import document

    with call.desk() as desk:
        remote = remote_name(desk)
        record = read_record(desk, version, remote)
        yank = read_yank(desk, version, remote)
    record["yanked"] = document(yank) if yank else None
    call.console.lines(record_lines(record))
    call.console.document(record)


@command("notes")
def notes(
    call: Invocation,
    version: Version = "",
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", envvar="RELEASE_FORMAT", help="`md`, `json` or `html`.")
    ] = "md",
) -> int:
    """Print the release notes of a released version, or of a planned one; without VERSION of the next patch."""
    from orchestrator.release.notes import release_notes
    from orchestrator.report import notes

    if form not in notes.FORMATS:
        raise UsageError(
            f"--format {form!r} is not known", remedy=f"one of: {', '.join(notes.FORMATS)}", code="bad-format"
        )
    call.console.as_json |= form == "json"
    with call.desk() as desk:
        found, problems = release_notes(desk, version)
    call.console.lines(notes.render(found, form).splitlines() if found.picks or not problems else [])
    call.console.document(notes.document(found))
    call.console.problems(problems)
    return worst(problems)


@command("doctor", registry=True)
def doctor(
    call: Invocation,
    image: Annotated[
        str,
        typer.Option(
            "--image",
            metavar="REF",
            envvar="RELEASE_DOCTOR_IMAGE",
            help="Say instead which drivers and GPUs this image of the engine can run on.",
        ),
    ] = "",
) -> int:
    """Run every preflight check alone and report all of them, each with its remedy."""
    from orchestrator.release.doctor import examine, image_build
    from orchestrator.report import text as report

    with call.desk() as desk:
        if image:
            pins, build = image_build(desk, image)
            call.console.lines(report.machine_lines(image, pins, build))
            call.console.document(report.machine_document(image, pins, build))
            return Exit.DONE
        findings = examine(desk)
    call.console.lines(report.finding_lines(findings))
    call.console.document({"schema_version": 1, "checks": [asdict(finding.result) for finding in findings]})
    return worst([finding.problem for finding in findings if finding.result.state == "failed"])
