"""Commands that change nothing: check, schema, init (one new file), plan, status, show, doctor."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.app import command
from orchestrator.cli.options import BUILD, EFFORT, LAND, Version, Yes, allowed_effort
from orchestrator.core.errors import Exit, RefusedError, ReleaseError, UsageError, worst
from orchestrator.report.console import Console
from orchestrator.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.plan import Plan
    from orchestrator.core.results import Problem
    from orchestrator.release.steps.verify import VerifyResult


@command("plan", EFFORT, LAND, BUILD)
def plan(
    session: Session,
    console: Console,
    version: Version = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the plan there.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Declare proved prerequisites in release.yaml.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Run the `verify:` commands on each pick too.")] = False,
    markdown: Annotated[
        str,
        typer.Option(metavar="FILE", help="Write it as Markdown for a pull request too; `-`: stdout."),
    ] = "",
    declared: Annotated[
        bool,
        typer.Option(
            "--declared",
            help="The lowest declared version that has no tag yet; exit 0 where every one has.",
        ),
    ] = False,
    comment: Annotated[
        int | None,
        typer.Option(
            "--comment",
            metavar="NUMBER",
            min=1,
            help="Say it as a comment on this pull or merge request too, always the same one; what fails is noted.",
        ),
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            "--base",
            metavar="COMMIT",
            help="With --comment: the commit that the request is to be merged into. Where the request does not change"
            " release.yaml, nothing is planned, and only a comment that is there already is changed to say so.",
        ),
    ] = "",
) -> int:
    """Show exactly what a cut would do, with every problem.  Changes nothing at all, without --write."""
    from orchestrator.picks.undeclared import next_declared
    from orchestrator.plan import document as plans
    from orchestrator.plan.planner import judged
    from orchestrator.release.preflight import heavy_bases, judge_builds
    from orchestrator.release.prepare import prepare
    from orchestrator.report.plan import plan_lines, proof_lines
    from orchestrator.session.committed import is_as_at

    if declared and version:
        raise UsageError("--declared goes without a version", code="options-exclude")
    if base and not comment:
        raise UsageError("--base goes with --comment", code="options-exclude")
    if base and is_as_at(session.repository, base, session.config_path()):
        said = f"{session.config_name} is as on the branch that this request is for: it declares nothing"
        return _nothing_declared(session, console, said, markdown, comment)
    if declared and not (version := next_declared(session)):
        said = "every declared version has its tag: nothing to plan"
        return _nothing_declared(session, console, said, markdown, comment)
    made = _settled(session, console, version) if write else prepare(session, version, looking=True)
    made = judged(made, judge_builds(session, made))
    proof = _prove(session, console, made) if verify else None
    if out:
        plans.save(made, session.directory / out)
    problems = [*made.problems, proof.problem] if proof and proof.problem else [*made.problems]
    text = _as_markdown(made, problems) if markdown or comment else ""
    if markdown == "-":
        console.verbatim(text)
    else:
        heavy = heavy_bases(made, session.connections, offline=session.options.offline)
        console.lines([*plan_lines(made, heavy), *(proof_lines(proof) if proof else [])])
        _save(session, markdown, text)
    if comment:
        _comment(session, console, comment, text)
    encoded = {**plans.encode(made), "problems": [plans.public(problem) for problem in problems]}
    console.document({**encoded, **(_verified(proof) if proof else {})})
    console.problems(problems)
    console.detail(proof.tail if proof else "")
    return worst(problems)


def _settled(session: Session, console: Console, version: str) -> Plan:
    from orchestrator.release.declare import settle

    settled = settle(session, version)
    for diff in settled.diffs:
        console.verbatim(f"{diff}\n")
    for note in settled.notes:
        console.note(f"note: {note}")
    return settled.plan


def _verified(proof: VerifyResult) -> dict[str, Any]:
    return {"verified": {"commands": proof.commands, "trees": proof.trees, "ran": proof.ran, "tail": proof.tail}}


def _as_markdown(plan: Plan, problems: Sequence[Problem]) -> str:
    from orchestrator.report.markdown import plan_markdown

    return plan_markdown(plan, problems)


def _save(session: Session, path: str, text: str) -> None:
    if not path:
        return
    try:
        (session.directory / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--markdown {path}: {error.strerror}", remedy="a file in a directory that is there", code="bad-file"
        ) from error


def _comment(session: Session, console: Console, number: int, text: str, *, make: bool = True) -> None:
    """It keeps no plan from being made: a fork's pipeline has no token, and a forge may be down."""
    from orchestrator.forges.comments import keep_comment, open_request
    from orchestrator.landing.request import connect
    from orchestrator.report.markdown import MARK

    forge, why = connect(session, session.config().remote)
    if forge is None:
        console.note(f"note: no comment on {number}: {why}")
        return
    try:
        open_request(forge, number)
        done = keep_comment(forge, number, MARK, text.removeprefix(f"{MARK}\n"), make=make)
    except ReleaseError as error:
        console.note(f"note: no comment on {number}: {error.message}")
        return
    console.note(f"the comment on {number} {done}" if done else f"no comment on {number}: there is nothing to say")


def _nothing_declared(session: Session, console: Console, said: str, markdown: str, comment: int | None) -> int:
    console.lines([said])
    if markdown != "-":
        _save(session, markdown, f"{said}\n")
    if comment:
        _comment(session, console, comment, f"{said}\n", make=False)
    console.document({"schema_version": 1, "version": "", "problems": []})
    return Exit.DONE


def _prove(session: Session, console: Console, plan: Plan) -> VerifyResult:
    from orchestrator.release.steps.verify import verify
    from orchestrator.session.state import releases_directory

    logs = releases_directory(session.repository) / "logs/plan"
    return verify(plan, session.scratch, logs=logs, report=lambda progress: console.note(progress.text))


@command("declare")
def declare(
    session: Session,
    console: Console,
    version: Version = "",
    from_branch: Annotated[
        bool,
        typer.Option(
            "--from-branch",
            help="What came to the release branch since its last version, each by its source.",
        ),
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Write it into release.yaml.")] = False,
) -> None:
    """Declare what stands on the release branch: shows the entries, and with --write puts them into release.yaml."""
    from orchestrator.release.declare import declare_branch
    from orchestrator.report.history import declared_lines

    if not from_branch:
        raise UsageError(
            "nothing says what to declare",
            remedy="--from-branch: what is on the branch; commits of the source: release candidates --write VERSION",
            code="nothing-to-declare",
        )
    made = declare_branch(session, version, write_it=write)
    for note in made.found.notes:
        console.note(f"note: {note}")
    console.lines(declared_lines(made))
    console.document(
        {
            "schema_version": 1,
            "version": made.version,
            "branch": made.branch,
            "base": made.base,
            "commits": [
                {"sha": each.change.sha, "subject": each.subject, "sources": each.sources, "by": each.by}
                for each in made.found.origins
            ],
            "entries": [asdict(each) for each in made.found.entries],
            "written": made.written,
        }
    )


@command("duplicates")
def duplicates(
    session: Session,
    console: Console,
    range_: Annotated[
        str, typer.Argument(metavar="[A..B | BRANCH]", help="What to examine; without it the source branches.")
    ] = "",
) -> int:
    """List commits that are on the release branch already under other ids; exit 9 when there are any."""
    from orchestrator.picks.duplicates import duplicates as find
    from orchestrator.report import text as report

    answer = find(session, range_)
    console.lines(report.duplicate_lines(answer))
    console.document({"schema_version": 1, **asdict(answer)})
    return Exit.MISMATCH if answer.duplicates else Exit.DONE


@command("log")
def log(
    session: Session,
    console: Console,
    sha: Annotated[str, typer.Argument(metavar="SHA", help="A fix, or a pick of it.")],
) -> None:
    """Say in which releases a fix is: by notes, by the tags that hold it, and by its duplicates."""
    from orchestrator.picks.released import whereabouts
    from orchestrator.report.history import whereabouts_lines

    found = whereabouts(session, sha)
    for note in found.notes:
        console.note(f"note: {note}")
    console.lines(whereabouts_lines(found))
    console.document({"schema_version": 1, **asdict(found)})


@command("candidates")
def candidates(
    session: Session,
    console: Console,
    shas: Annotated[
        list[str] | None, typer.Argument(metavar="SHA", help="Judge these commits, on whatever branch they are.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Conventional Commit types: fix,perf."),
    ] = None,
    paths: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="GLOB", help="Those that change such a path."),
    ] = None,
    author: Annotated[str, typer.Option(metavar="RE", help="Those whose `Name <mail>` matches.")] = "",
    grep: Annotated[str, typer.Option(metavar="RE", help="Those whose message matches.")] = "",
    trailers: Annotated[
        list[str] | None,
        typer.Option(
            "--trailer",
            metavar="KEY[=GLOB]",
            help="Those with such a trailer: Backport=v2.7.",
        ),
    ] = None,
    shipped: Annotated[bool, typer.Option("--shipped", help="Those that change what the image is made of.")] = False,
    since: Annotated[str, typer.Option(metavar="REF", help="Only what REF does not have.")] = "",
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Advisories, as for `release scan`: which vulnerability a commit corrects is shown.",
        ),
    ] = None,
    closing: Annotated[bool, typer.Option("--closing", help="Only those that correct one of --data.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Show the newest N at most.")] = 50,
    effort: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="How long to look for what they need; 0: not at all."),
    ] = 5.0,
    write: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
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
        advisories=tuple(session.directory / each for each in data or ()), closing=closing,
    )  # fmt: skip
    if closing and not data:
        raise UsageError(
            "--closing needs --data: what corrects a vulnerability is in advisories",
            remedy="give --data PATH, as for `scan` (docs/vulnerabilities.md)",
            code="no-data",
        )
    found = find(session, filters)
    console.lines(candidate_lines(found))
    for note in found.notes:
        console.note(f"note: {note}")
    picked = chosen(found, write, named=bool(shas)) if write else []
    if picked and not shas and not yes:
        _confirm(console, len(picked), write)
    diff = add(session, found, write, picked) if picked else ""
    console.verbatim(diff)
    if write and not picked:
        console.note(f"nothing to declare for {write}")
    console.document(
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
    console.problems(found.problems)
    return worst(found.problems)


def _confirm(console: Console, number: int, version: str) -> None:
    answer = console.confirm(f"Declare the {number} clean one{'' if number == 1 else 's'} for {version}?")
    if not answer:
        raise RefusedError(
            "nobody can be asked: there is no terminal" if answer is None else "not confirmed",
            remedy="name the commits to declare, or give --yes",
            code="not-confirmed",
            state="release.yaml is unchanged",
        )
