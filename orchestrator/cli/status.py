"""Commands that tell how things stand: status, show, notes, doctor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli.app import command
from orchestrator.cli.options import REGISTRY, Released, Version
from orchestrator.core.errors import Exit, UsageError, worst
from orchestrator.report.console import Console
from orchestrator.session.session import Session


@command("status")
def status(
    session: Session,
    console: Console,
    version: Annotated[
        str,
        typer.Argument(metavar="VERSION", help="The version, such as v2.7.1; without it all that are in progress."),
    ] = "",
) -> int:
    """Say what is done, what is missing, and what to type."""
    from orchestrator.release.status import record_problems, standings
    from orchestrator.report import text as report

    found = standings(session, version)
    problems = record_problems(session, found)
    console.lines(report.standing_lines(found))
    console.document({"schema_version": 1, "releases": [asdict(each) for each in found]})
    console.problems(problems)
    return worst(problems)


@command("show")
def show(session: Session, console: Console, version: Released) -> None:
    """Show the record of a release: picks, tag, tree, digests, checks, seconds."""
    from orchestrator.report.record import record_lines
    from orchestrator.session.published import read_stored_record, read_yank, remote_name
    from orchestrator.session.yanks import document

    remote = remote_name(session)
    record, stored = read_stored_record(session, version, remote)
    yank = read_yank(session, version, remote)
    console.lines(record_lines(record, yank))
    console.document({**stored, "yanked": document(yank) if yank else None})


@command("notes")
def notes(
    session: Session,
    console: Console,
    version: Version = "",
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="`md`, `json` or `html`.")] = "md",
) -> int:
    """Print the release notes of a released version, or of a planned one; without VERSION of the next patch."""
    from orchestrator.release.notes import release_notes
    from orchestrator.report import notes

    if form not in notes.FORMATS:
        raise UsageError(
            f"--format {form!r} is not known", remedy=f"one of: {', '.join(notes.FORMATS)}", code="bad-format"
        )
    console.as_json |= form == "json"
    found, problems = release_notes(session, version)
    console.verbatim(notes.render(found, form) if found.picks or not problems else "")
    console.document(notes.document(found))
    console.problems(problems)
    return worst(problems)


@command("doctor", REGISTRY)
def doctor(
    session: Session,
    console: Console,
    image: Annotated[
        str,
        typer.Option(
            "--image",
            metavar="REF",
            help="Say instead which drivers and GPUs this image of the engine can run on.",
        ),
    ] = "",
    pipelines: Annotated[
        bool,
        typer.Option(
            "--ci",
            help="Look instead at the pipelines of `release ci init`, and at what the forge has for them.",
        ),
    ] = False,
    repository: Annotated[
        str,
        typer.Option(metavar="OWNER/NAME", help="With --ci: the repository on the forge."),
    ] = "",
    url: Annotated[str, typer.Option(metavar="URL", help="With --ci: the forge's API.")] = "",
) -> int:
    """Run every preflight check alone and report all of them, each with its remedy."""
    from orchestrator.release.setup.doctor import examine, image_build
    from orchestrator.report import text as report

    if image and pipelines:
        raise UsageError("give only one of --image, --ci", code="options-exclude")
    if image:
        pins, build = image_build(session, image)
        console.lines(report.machine_lines(image, pins, build))
        console.document(report.machine_document(image, pins, build))
        return Exit.DONE
    if pipelines:
        from orchestrator.release.setup.pipeline_checks import examine_pipelines

        findings = examine_pipelines(session, repository=repository, url=url)
    else:
        findings = examine(session)
    console.lines(report.finding_lines(findings))
    console.document({"schema_version": 1, "checks": [asdict(finding.result) for finding in findings]})
    return worst([finding.problem for finding in findings if finding.result.state == "failed"])
