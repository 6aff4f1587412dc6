"""Commands that ask history: log, candidates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli.app import Invocation, allowed_effort, command
from orchestrator.cli.release import Yes  # noqa: TC001  # typer reads annotations at run time
from orchestrator.core.errors import RefusedError, worst


@command("log")
def log(call: Invocation, sha: Annotated[str, typer.Argument(metavar="SHA", help="A fix, or a pick of it.")]) -> None:
    """Say in which releases a fix is: by notes, by the tags that hold it, and by its duplicates."""
    from orchestrator.picks.released import whereabouts
    from orchestrator.report.history import whereabouts_lines

    with call.desk() as desk:
        found = whereabouts(desk, sha)
    for note in found.notes:
        call.console.note(f"note: {note}")
    call.console.lines(whereabouts_lines(found))
    call.console.document({"schema_version": 1, **asdict(found)})


@command("candidates")
def candidates(
    call: Invocation,
    shas: Annotated[
        list[str] | None, typer.Argument(metavar="SHA", help="Judge these, on whatever branch they are.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", envvar="RELEASE_TYPE", help="Conventional Commit types: fix,perf."),
    ] = None,
    paths: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="GLOB", envvar="RELEASE_PATH", help="Those that change such a path."),
    ] = None,
    author: Annotated[
        str, typer.Option(metavar="RE", envvar="RELEASE_AUTHOR", help="Those whose `Name <mail>` matches.")
    ] = "",
    grep: Annotated[str, typer.Option(metavar="RE", envvar="RELEASE_GREP", help="Those whose message matches.")] = "",
    trailers: Annotated[
        list[str] | None,
        typer.Option(
            "--trailer",
            metavar="KEY[=GLOB]",
            envvar="RELEASE_TRAILER",
            help="Those with such a trailer: Backport=v2.7.",
        ),
    ] = None,
    shipped: Annotated[
        bool, typer.Option("--shipped", envvar="RELEASE_SHIPPED", help="Those that change what the image is made of.")
    ] = False,
    since: Annotated[
        str, typer.Option(metavar="REF", envvar="RELEASE_SINCE", help="Only what REF does not have.")
    ] = "",
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, envvar="RELEASE_LIMIT", help="Show the newest N at most.")
    ] = 50,
    effort: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, envvar="RELEASE_EFFORT", help="To look for what they need; 0: do not."),
    ] = 5.0,
    write: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            envvar="RELEASE_WRITE_VERSION",
            help="Declare them for VERSION in release.yaml: those named, else the clean ones.",
        ),
    ] = "",
    yes: Yes = False,
) -> int:
    """List what should perhaps be picked: commits of the sources that the branch lacks, each with its forecast."""
    from orchestrator.picks.candidates import Filters, chosen, find
    from orchestrator.release.declare import add
    from orchestrator.report.history import candidate_lines

    filters = Filters(
        shas=tuple(shas or ()), types=tuple(types or ()), paths=tuple(paths or ()), author=author, grep=grep,
        trailers=tuple(trailers or ()), shipped=shipped, since=since, limit=limit, effort=allowed_effort(effort),
    )  # fmt: skip
    with call.desk() as desk:
        found = find(desk, filters)
        call.console.lines(candidate_lines(found))
        for note in found.notes:
            call.console.note(f"note: {note}")
        picked = chosen(found, write, named=bool(shas)) if write else []
        if picked and not shas and not yes:
            _confirm(call, len(picked), write)
        diff = add(desk, found.config, write, picked) if picked else ""
    call.console.lines(diff.splitlines())
    if write and not picked:
        call.console.note(f"nothing to declare for {write}")
    call.console.document(
        {
            "schema_version": 1,
            "branch": found.branch,
            "base": found.base,
            "candidates": [asdict(candidate) for candidate in found.candidates],
            "duplicates": found.already,
            "more": found.more,
            "unsearched": found.unsearched,
            "written": {"version": write, "commits": [each.sha for each in picked]} if picked else None,
        }
    )
    call.console.problems(found.problems)
    return worst(found.problems)


def _confirm(call: Invocation, number: int, version: str) -> None:
    answer = call.console.confirm(f"Declare the {number} clean one{'' if number == 1 else 's'} for {version}?")
    if not answer:
        raise RefusedError(
            "nobody can be asked: there is no terminal" if answer is None else "not confirmed",
            remedy="name the commits to declare, or give --yes",
            code="not-confirmed",
            state="release.yaml is unchanged",
        )
