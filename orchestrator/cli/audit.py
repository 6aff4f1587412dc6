"""Commands that prove what was released: audit, verify."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.app import command
from orchestrator.cli.invocation import Invocation
from orchestrator.core.errors import Exit, UsageError

if TYPE_CHECKING:
    from orchestrator.core.results import CheckResult

Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source", metavar="BRANCH", envvar="RELEASE_SOURCE",
        help="Where fixes come from, instead of release.yaml's `source:`; may be repeated.",
    ),
]  # fmt: skip
Signed = Annotated[
    bool,
    typer.Option("--require-signed", envvar="RELEASE_REQUIRE_SIGNED", help="A tag without a signature is a finding."),
]


@command("audit", registry=True)
def audit(
    call: Invocation,
    range_: Annotated[
        str, typer.Argument(metavar="[BRANCH | VERSION | A..B]", help="A line, what came since, or a range; else all.")
    ] = "",
    sources: Sources = None,
    require_signed: Signed = False,
    every: Annotated[bool, typer.Option("--all", envvar="RELEASE_ALL", help="Show the proved commits too.")] = False,
    sarif: Annotated[
        str,
        typer.Option("--sarif", metavar="FILE", envvar="RELEASE_SARIF", help="Write SARIF 2.1.0 there; - is stdout."),
    ] = "",
) -> int:
    """Prove every commit, tag, record and image of the release branches again; exit 9 on a finding."""
    from orchestrator.audit.branch import audit_line, range_diffs
    from orchestrator.audit.snapshot import look, ranges
    from orchestrator.report import audit as report

    if sarif == "-" and call.common.as_json:
        raise UsageError("--json and --sarif - both want stdout", remedy="give --sarif a file", code="two-documents")
    with call.desk() as desk:
        world = look(desk, sources or ())
        lines = [audit_line(world, each, require_signed=require_signed) for each in ranges(world, range_)]
        diffs = range_diffs(desk.scratch, [each for line in lines for each in line.verdicts])
        config = desk.config_path()
    found = [*(problem for line in lines for problem in report.line_problems(line)), *world.problems]
    if sarif:
        _write(call, sarif, report.sarif(lines, world.problems, config))
    if sarif != "-":
        call.console.lines([row for line in lines for row in report.audit_lines(line, diffs, every=every)])
        call.console.lines([f"{each.code}: {each.message}" for each in world.problems])
        call.console.lines([f"not checked: {each}" for each in world.unchecked])
        call.console.lines([report.end_line(lines, world.unchecked)] if not world.problems else [])
    if call.common.as_json:
        call.console.document(report.audit_document(lines, world.problems, world.unchecked, diffs))
    call.console.annotations(found)
    return Exit.MISMATCH if found else Exit.DONE


def _write(call: Invocation, where: str, document: dict[str, Any]) -> None:
    if where == "-":
        call.console.written(document)
        return
    path = call.directory / Path(where)
    try:
        path.write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"the SARIF file cannot be written: {error.strerror}", where=str(path), remedy="give another path"
        ) from error


@command("verify", registry=True)
def verify(
    call: Invocation,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")] = "",
    image: Annotated[
        str,
        typer.Option("--image", metavar="REF", envvar="RELEASE_VERIFY_IMAGE", help="An image of a registry instead."),
    ] = "",
    remote: Annotated[
        str,
        typer.Option(
            "--remote",
            metavar="URL",
            envvar="RELEASE_VERIFY_REMOTE",
            help="With --image: the git repository whose tag and record to compare with.",
        ),
    ] = "",
    sources: Sources = None,
    require_signed: Signed = False,
    allow_unchecked: Annotated[
        bool,
        typer.Option(
            "--allow-unchecked",
            envvar="RELEASE_ALLOW_UNCHECKED",
            help="Exit 0, not 6, when a link could not be checked.",
        ),
    ] = False,
) -> int:
    """Tie a release together: tag, commit, release.yaml, record, digest, labels; exit 9 where two differ."""
    from orchestrator.core.results import CheckState
    from orchestrator.report import audit as report

    if bool(version) == bool(image):
        raise UsageError("give a version, or --image REF", remedy="release verify v2.7.1", code="what-to-verify")
    if remote and not image:
        raise UsageError("--remote goes with --image", remedy="a version is verified in a clone", code="what-to-verify")
    checks = _verify_image(call, image, remote) if image else _verify(call, version, sources, require_signed)
    call.console.lines(report.verify_lines(version or image, checks))
    call.console.document(
        {"schema_version": 1, "verified": version or image, "result": report.verify_word(checks),
         "checks": [asdict(check) for check in checks]}
    )  # fmt: skip
    states = {check.state for check in checks}
    if CheckState.FAILED in states:
        return Exit.MISMATCH
    return Exit.UNPROVED if CheckState.SKIPPED in states and not allow_unchecked else Exit.DONE


def _verify(call: Invocation, version: str, sources: list[str] | None, require_signed: bool) -> list[CheckResult]:
    from orchestrator.audit.verify import verify as check

    with call.desk() as desk:
        return check(desk, version, sources=sources or (), require_signed=require_signed)


def _verify_image(call: Invocation, image: str, remote: str) -> list[CheckResult]:
    """Needs no clone."""
    from orchestrator.audit.verify import verify_image
    from orchestrator.core.reference import parse_repository
    from orchestrator.registry.client import Registry
    from orchestrator.registry.credentials import find
    from orchestrator.registry.retry import RetryPolicy

    job = call.job()

    def door(repository: str) -> Registry:
        parsed = parse_repository(repository)
        login = partial(find, parsed.host, job.env)
        return Registry(
            parsed, credentials=login, plain_http=job.plain_http, patience=RetryPolicy(tell=call.console.note)
        )

    return verify_image(image, door, remote)
