"""Commands that prove what was released: audit, verify; and the page that shows it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.app import command
from orchestrator.cli.options import REGISTRY
from orchestrator.core.errors import Exit, RefusedError, UsageError
from orchestrator.report.console import Console
from orchestrator.session.session import Session

if TYPE_CHECKING:
    from orchestrator.core.results import CheckResult

Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source", metavar="BRANCH",
        help="Where fixes come from, instead of release.yaml's `source:`; may be repeated.",
    ),
]  # fmt: skip
Signed = Annotated[
    bool,
    typer.Option("--require-signed", help="A tag without a signature is a finding."),
]


@command("audit", REGISTRY)
def audit(
    session: Session,
    console: Console,
    range_: Annotated[
        str, typer.Argument(metavar="[BRANCH | VERSION | A..B]", help="A line, what came since, or a range; else all.")
    ] = "",
    sources: Sources = None,
    require_signed: Signed = False,
    every: Annotated[bool, typer.Option("--all", help="Show the proved commits too.")] = False,
    sarif: Annotated[
        str,
        typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0 there; - is stdout."),
    ] = "",
) -> int:
    """Prove every commit, tag, record and image of the release branches again; exit 9 on a finding."""
    from orchestrator.audit.branch import audit_line
    from orchestrator.audit.similarity import range_diffs
    from orchestrator.audit.snapshot import look, ranges
    from orchestrator.report import audit as report

    if sarif == "-" and console.as_json:
        raise UsageError("--json and --sarif - both want stdout", remedy="give --sarif a file", code="two-documents")
    world = look(session, sources or ())
    lines = [audit_line(world, each, require_signed=require_signed) for each in ranges(world, range_)]
    diffs = range_diffs(session.scratch, [each for line in lines for each in line.verdicts])
    config = session.config_path()
    found = [*(problem for line in lines for problem in report.line_problems(line)), *world.problems]
    if sarif:
        _write(session, console, sarif, report.sarif(lines, world.problems, config))
    if sarif != "-":
        console.lines([row for line in lines for row in report.audit_lines(line, diffs, every=every)])
        console.lines([f"{each.code}: {each.message}" for each in world.problems])
        console.lines([f"not checked: {each}" for each in world.unchecked])
        console.lines([report.end_line(lines, world.unchecked)] if not world.problems else [])
    if console.as_json:
        console.document(report.audit_document(lines, world.problems, world.unchecked, diffs))
    console.annotations(found)
    return Exit.MISMATCH if found else Exit.DONE


def _write(session: Session, console: Console, where: str, document: dict[str, Any]) -> None:
    if where == "-":
        console.written(document)
        return
    path = session.directory / Path(where)
    try:
        path.write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"the SARIF file cannot be written: {error.strerror}", where=str(path), remedy="give another path"
        ) from error


@command("verify", REGISTRY)
def verify(
    session: Session,
    console: Console,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")] = "",
    image: Annotated[
        str,
        typer.Option("--image", metavar="REF", help="An image of a registry instead."),
    ] = "",
    remote: Annotated[
        str,
        typer.Option(
            "--remote",
            metavar="URL",
            help="With --image: the git repository whose tag and record to compare with.",
        ),
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="With --image: the public key that it must be signed with; else the keys that the remote pins.",
        ),
    ] = None,
    sources: Sources = None,
    require_signed: Signed = False,
    allow_unchecked: Annotated[
        bool,
        typer.Option(
            "--allow-unchecked",
            help="Exit 0, not 6, when a link could not be checked.",
        ),
    ] = False,
) -> int:
    """Tie a release together: tag, commit, release.yaml, record, digest, labels; exit 9 where two differ."""
    from orchestrator.core.results import CheckState
    from orchestrator.report import audit as report

    if bool(version) == bool(image):
        raise UsageError("give a version, or --image REF", remedy="release verify VERSION", code="what-to-verify")
    if remote and not image:
        raise UsageError("--remote goes with --image", remedy="a version is verified in a clone", code="what-to-verify")
    if key and not image:
        raise UsageError(
            "--key goes with --image",
            remedy="of a version the keys of the protected branch count",
            code="what-to-verify",
        )
    checks = _verify_image(session, image, remote, key) if image else _verify(session, version, sources, require_signed)
    console.lines(report.verify_lines(version or image, checks))
    console.document(
        {"schema_version": 1, "verified": version or image, "result": report.verify_word(checks),
         "checks": [asdict(check) for check in checks]}
    )  # fmt: skip
    states = {check.state for check in checks}
    if CheckState.FAILED in states:
        return Exit.MISMATCH
    return Exit.UNPROVED if CheckState.SKIPPED in states and not allow_unchecked else Exit.DONE


def _verify(session: Session, version: str, sources: list[str] | None, require_signed: bool) -> list[CheckResult]:
    from orchestrator.audit.verify import verify as check

    return check(session, version, sources=sources or (), require_signed=require_signed)


def _verify_image(session: Session, image: str, remote: str, key: Path | None) -> list[CheckResult]:
    """Needs no clone."""
    from orchestrator.audit.verify import verify_image

    return verify_image(session, image, remote, key)


@command("report")
def report(
    session: Session,
    console: Console,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version; with --all none.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All versions of the release branch instead.")] = False,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to; - is stdout. Without it, release-VERSION.html here.",
        ),
    ] = "",
    opened: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    contents: Annotated[
        bool, typer.Option("--contents", help="Packages too, and which changed; the images are pulled for that.")
    ] = False,
) -> int:
    """Write one HTML page of a release: the way to the digest, picks with their changes, audit, layers, times."""
    from orchestrator.report.page import line_page, release_page
    from orchestrator.report.page.told import tell, tell_line

    if bool(version) == every:
        raise UsageError(
            "a version or --all is wanted, not both" if every else "no version was given",
            remedy="release report VERSION, or: release report --all",
            code="report-of-what",
        )
    if output == "-" and console.as_json:
        raise UsageError("--json and --output - both want stdout", remedy="give --output a file", code="two-documents")
    if every and contents:
        raise UsageError(
            "--contents is of one version", remedy="release report VERSION --contents", code="report-of-what"
        )
    if every:
        line = tell_line(session, session.config().branch)
        name, text = line.branch.replace("/", "-"), line_page(line)
    else:
        name, text = version.replace("/", "-"), release_page(tell(session, version, contents=contents))
    if output == "-":
        console.verbatim(text)
        return Exit.DONE
    path = session.directory / (output or f"release-{name}.html")
    _put(path, text)
    console.lines([str(path)])
    console.document({"schema_version": 1, "file": str(path)})
    if opened and typer.launch(path.absolute().as_uri()) != 0:
        console.note(f"no browser could be started; open it yourself: {path}")
    return Exit.DONE


def _put(path: Path, text: str) -> None:
    """Write it, over an earlier page and over nothing else."""
    from orchestrator.report.page import is_ours

    try:
        if path.exists() and not is_ours(path.read_text("utf-8", "replace")):
            raise RefusedError(
                "it is there, and no page of this command", where=str(path), remedy="--output FILE writes another",
                code="file-exists", state="nothing was written",
            )  # fmt: skip
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            f"the page cannot be written: {error.strerror}", where=str(path), remedy="give another path: --output FILE",
            code="bad-path",
        ) from error  # fmt: skip
