"""Commands that change nothing: check, schema, init (one new file), plan, status, show, doctor."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path  # noqa: TC003  # typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.app import Effort, Invocation, allowed_effort, command
from orchestrator.core.errors import Exit, ProblemsError, UsageError, worst

if TYPE_CHECKING:
    from orchestrator.core.results import Plan
    from orchestrator.release.verifying import Proof
    from orchestrator.session.session import Desk

Version = Annotated[str, typer.Argument(metavar="VERSION", help="The version, such as v2.7.1.")]


@command("init")
def init(call: Invocation) -> None:
    """Write a commented release.yaml from what is found in the repository; never over an existing one."""
    from orchestrator.config.template import starter
    from orchestrator.git.repository import Repository
    from orchestrator.release.init import starter_facts

    repository = Repository.discover(call.directory)
    try:
        target = call.directory / call.common.config if call.common.config else repository.top / "release.yaml"
        text = starter(starter_facts(repository))
    finally:
        repository.close()
    try:
        with target.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{target.name} is there already", where=str(target), remedy="edit it, or: release check", code="exists"
        ) from error
    call.console.lines([str(target)])
    call.console.note("next: declare the fixes in it, then release check, and release plan")
    call.console.document({"schema_version": 1, "file": str(target)})


@command("check")
def check(call: Invocation) -> None:
    """Check release.yaml, the locks and patches that it names, the builds it speaks of: every fault, with its place."""
    from orchestrator.image.inputs import lock_problems_here, patch_problems_here

    with call.desk() as desk:
        config = desk.config()
        if config.image:
            place = (config.image, desk.repository.top, desk.job.config or desk.config_file.name)
            problems = (*lock_problems_here(*place), *patch_problems_here(*place))
            if problems:
                raise ProblemsError(problems)
        call.console.lines([f"{desk.config_file.name} is valid: {len(config.releases)} release(s) declared"])
        call.console.document(
            {"schema_version": 1, "valid": True, "releases": [entry.version for entry in config.releases]}
        )


@command("schema")
def schema(call: Invocation) -> None:
    """Print the JSON Schema of release.yaml, for editors."""
    from orchestrator.config.reader import schema as make

    text = json.dumps(make(), indent=2)
    call.console.lines(text.splitlines())
    call.console.document(make())


@command("plan")
def plan(
    call: Invocation,
    version: Version = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="RELEASE_OUT", help="Write the plan there.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", envvar="RELEASE_WRITE", help="Declare proved prerequisites in release.yaml.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", envvar="RELEASE_VERIFY", help="Run the `verify:` commands on each pick too.")
    ] = False,
    effort: Effort = 10.0,
    markdown: Annotated[
        str,
        typer.Option(
            metavar="FILE", envvar="RELEASE_MARKDOWN", help="Write it as Markdown for a pull request too; `-`: stdout."
        ),
    ] = "",
    declared: Annotated[
        bool,
        typer.Option(
            "--declared",
            envvar="RELEASE_DECLARED",
            help="The lowest declared version that has no tag yet; exit 0 where every one has.",
        ),
    ] = False,
) -> int:
    """Show exactly what a cut would do, with every problem.  Changes nothing at all, without --write."""
    from orchestrator.guard.policy_source import without_freeze
    from orchestrator.plan import document as plans
    from orchestrator.release.cut import next_declared, prepare
    from orchestrator.release.declare import settle
    from orchestrator.report import markdown as report_markdown
    from orchestrator.report import text as report

    call.effort = allowed_effort(effort)
    if declared and version:
        raise UsageError("--declared goes without a version", code="options-exclude")
    with call.desk() as desk:
        if declared and not (version := next_declared(desk)):
            return _nothing_declared(call, markdown)
        if write:
            settled = settle(desk, version)
            made = settled.plan
            for diff in settled.diffs:
                call.console.lines([*diff.splitlines(), ""])
            for note in settled.notes:
                call.console.note(f"note: {note}")
        else:
            made = prepare(desk, version)
        made = without_freeze(made)
        proof = _prove(call, desk, made) if verify else None
    if out:
        plans.save(made, call.directory / out)
    problems = [*made.problems, proof.problem] if proof and proof.problem else [*made.problems]
    text = report_markdown.plan_markdown(made, problems) if markdown else ""
    if markdown == "-":
        call.console.lines(text.splitlines())
    else:
        call.console.lines([*report.plan_lines(made), *(report.proof_lines(proof) if proof else [])])
        _save(call, markdown, text)
    encoded = {**plans.encode(made), "problems": [plans.public(problem) for problem in problems]}
    if proof:
        verified = {"commands": proof.commands, "trees": proof.trees, "ran": proof.ran, "tail": proof.tail}
        encoded = {**encoded, "verified": verified}
    call.console.document(encoded)
    call.console.problems(problems)
    if proof:
        call.console.detail(proof.tail)
    return worst(problems)


def _save(call: Invocation, path: str, text: str) -> None:
    if not path:
        return
    try:
        (call.directory / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--markdown {path}: {error.strerror}", remedy="a file in a directory that is there", code="bad-file"
        ) from error


def _nothing_declared(call: Invocation, markdown: str) -> int:
    said = "every declared version has its tag: nothing to plan"
    call.console.lines([said])
    if markdown != "-":
        _save(call, markdown, f"{said}\n")
    call.console.document({"schema_version": 1, "version": "", "problems": []})
    return Exit.DONE


def _prove(call: Invocation, desk: Desk, plan: Plan) -> Proof:
    from orchestrator.release.verifying import verify
    from orchestrator.session.state import releases_directory

    logs = releases_directory(desk.repository) / "logs/plan"
    return verify(plan, desk.scratch, logs=logs, report=lambda progress: call.console.note(progress.text))


@command("duplicates")
def duplicates(
    call: Invocation,
    range_: Annotated[
        str, typer.Argument(metavar="[A..B | BRANCH]", help="What to examine; without it the source branches.")
    ] = "",
) -> int:
    """List commits that are on the release branch already under other ids; exit 9 when there are any."""
    from orchestrator.picks.duplicates import duplicates as find
    from orchestrator.report import text as report

    with call.desk() as desk:
        answer = find(desk, range_)
    call.console.lines(report.duplicate_lines(answer))
    call.console.document({"schema_version": 1, **asdict(answer)})
    return Exit.MISMATCH if answer.duplicates else Exit.DONE


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
    from orchestrator.release.status import read_record, read_yank, remote_name
    from orchestrator.report import text as report
    from orchestrator.session.yanks import document

    with call.desk() as desk:
        remote = remote_name(desk)
        record = read_record(desk, version, remote)
        yank = read_yank(desk, version, remote)
    record["yanked"] = document(yank) if yank else None
    call.console.lines(report.record_lines(record))
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


@command("smoke")
def smoke(
    call: Invocation,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image of the engine: name, or id.")],
    gpus: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            envvar="RELEASE_GPUS",
            help="GPUs for the checks: `all`, ids such as `0,1`, or CDI names such as `nvidia.com/gpu=all`.",
        ),
    ] = "",
    lock: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", envvar="RELEASE_LOCK", help="The lock it must hold: a file, or a folder of *.txt."
        ),
    ] = None,
    patches: Annotated[
        Path | None,
        typer.Option(metavar="DIR", envvar="RELEASE_PATCHES", help="The folder of patches that it must have."),
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(metavar="NAME", envvar="RELEASE_CHECK", help="Only this check; may be repeated.")
    ] = None,
) -> int:
    """Make the built-in checks of what is inside an image: packages, CUDA, services, GPUs."""
    from orchestrator.image.smoking import smoke_image
    from orchestrator.report import text as report

    with call.desk() as desk:
        results = smoke_image(desk, image, gpus=gpus, lock=lock, patches=patches, names=tuple(check or ()))
    call.console.lines(report.check_lines(results))
    call.console.document({"schema_version": 1, "image": image, "checks": [asdict(result) for result in results]})
    return Exit.UNPROVED if any(result.state == "failed" for result in results) else Exit.DONE


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
