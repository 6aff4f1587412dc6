"""Commands that release: cut, continue, skip, abort, publish; and rebuild, which builds without releasing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.app import command
from orchestrator.cli.forge import announce_end
from orchestrator.cli.options import (
    BREAK_FREEZE,
    BUILD,
    EFFORT,
    LAND,
    REGISTRY,
    Reason,
    Started,
    Version,
    Yes,
)
from orchestrator.core.errors import UsageError, worst
from orchestrator.report.console import Console
from orchestrator.session.session import Session

if TYPE_CHECKING:
    from orchestrator.release.cut import Cut


@command("cut", REGISTRY, EFFORT, BREAK_FREEZE, LAND, BUILD)
def cut(
    session: Session,
    console: Console,
    version: Version = "",
    yes: Yes = False,
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Refuse unless this plan still holds.")] = None,
    interactive: Annotated[
        bool,
        typer.Option("-i", "--interactive", help="Show each pick, with its diff, and ask for it."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Same as `plan`.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Same as `release continue`.")] = False,
    skip_pick: Annotated[bool, typer.Option("--skip", help="Same as `release skip`; needs --reason.")] = False,
    abort_it: Annotated[bool, typer.Option("--abort", help="Same as `release abort`.")] = False,
    reason: Reason = "",
) -> int | None:
    """Make a release, or go on with one that was broken off."""
    from orchestrator.cli.plan import plan as planning
    from orchestrator.release import cut as cutting
    from orchestrator.release import resume as resuming

    if sum((dry_run, go_on, skip_pick, abort_it)) > 1:
        raise UsageError("give only one of --dry-run, --continue, --skip, --abort", code="options-exclude")
    if interactive and (plan or dry_run or go_on or skip_pick or abort_it):
        raise UsageError(
            "--interactive goes with none of --plan, --dry-run, --continue, --skip, --abort",
            remedy="a plan file says yes to every pick already, and a paused release remembers the answers",
            code="options-exclude",
        )
    if dry_run:
        return planning(session, console, version)
    if abort_it:
        abort(session, console, version)
        return None
    if go_on:
        done = resuming.resume(session, version, yes=yes)
    elif skip_pick:
        done = resuming.skip(session, version, reason=reason, yes=yes)
    else:
        plan_file = session.directory / plan if plan else None
        done = cutting.cut(session, version, yes=yes, plan_file=plan_file, each=interactive)
    show_end(console, done)
    announce_end(session, console, done)
    return None


@command("continue", REGISTRY, EFFORT, BREAK_FREEZE, LAND, BUILD)
def go_on(
    session: Session,
    console: Console,
    version: Started = "",
    yes: Yes = False,
) -> None:
    """Take the resolution in the release's worktree and go on with all remaining picks."""
    from orchestrator.release.resume import resume

    done = resume(session, version, yes=yes)
    show_end(console, done)
    announce_end(session, console, done)


@command("skip", REGISTRY, EFFORT, BREAK_FREEZE, LAND, BUILD)
def skip(
    session: Session,
    console: Console,
    version: Started = "",
    reason: Reason = "",
    yes: Yes = False,
) -> None:
    """Leave the conflicting pick out, with a reason for the record, and go on."""
    from orchestrator.release.resume import skip as leave_out

    done = leave_out(session, version, reason=reason, yes=yes)
    show_end(console, done)
    announce_end(session, console, done)


@command("abort")
def abort(session: Session, console: Console, version: Started = "") -> None:
    """Undo a release that is not public; the repository is as it was before."""
    from orchestrator.release.modes.landing import STAYS
    from orchestrator.release.resume import FINISHED
    from orchestrator.release.resume import abort as forget

    name, left = forget(session, version)
    public, landed = (any(said in line for line in left) for said in (FINISHED, STAYS))
    how = " here" if public else "; no tag and no image was public" if landed else "; nothing was public"
    console.lines([f"{name} is forgotten{how}", *left])
    console.document({"schema_version": 1, "aborted": name, "left": left})


@command("publish", REGISTRY, BREAK_FREEZE)
def publish(
    session: Session,
    console: Console,
    version: Annotated[
        str,
        typer.Argument(metavar="VERSION", help="The version, such as v2.7.1; without it the tag that CI runs for."),
    ] = "",
    platform: Annotated[
        str,
        typer.Option(
            metavar="PLATFORM",
            help="Build that one of `image.platforms` alone, such as linux/arm64; the last job joins them.",
        ),
    ] = "",
    outputs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what CI jobs hand on there, a `key=value` a line."),
    ] = None,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a summary in Markdown there.")] = None,
    landed: Annotated[
        bool,
        typer.Option(
            "--landed",
            help="What landed by a pull request and has no record yet: the CI job on a push to a release branch.",
        ),
    ] = False,
    no_build: Annotated[
        bool,
        typer.Option(
            "--no-build",
            help="The cut builds the image (`image.built-by: cut`): prove it, and build nothing.",
        ),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="With --no-build: how long to wait for the image of the cut.",
        ),
    ] = 0,
) -> None:
    """Build, prove and push the image of a tag that is public, or of what landed: the CI job on a push."""
    from orchestrator.release.publish import publish as bring_out
    from orchestrator.release.publish import publish_landed

    outputs = _in_a_directory(session, "--outputs", outputs)
    summary = _in_a_directory(session, "--summary", summary)
    if landed and version:
        raise UsageError("--landed goes without a version", remedy="release publish --landed", code="options-exclude")
    if no_build and (landed or platform):
        raise UsageError("--no-build goes without --landed and --platform: they build", code="options-exclude")
    if wait and not no_build:
        raise UsageError("--wait goes with --no-build", code="options-exclude")
    if landed:
        done = publish_landed(session, platform)
    else:
        done = bring_out(session, version, platform, build=not no_build, wait=wait)
    if done is None:
        console.lines(["nothing that was proposed has landed and lacks its record: nothing to publish"])
        console.document({"schema_version": 1, "released": False, "version": ""})
        return
    show_end(console, done, outputs=outputs, summary=summary)
    announce_end(session, console, done)


def _in_a_directory(session: Session, option: str, path: Path | None) -> Path | None:
    """Where a file is to be written.  Raises UsageError for what cannot be one, before anything is public."""
    if path is None:
        return None
    path = session.directory / path
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            f"{option} is no file in a directory that is there", where=str(path), remedy=f"give {option} another path",
            code="bad-output",
        )  # fmt: skip
    return path


def show_end(console: Console, done: Cut, *, outputs: Path | None = None, summary: Path | None = None) -> None:
    """The end of a release: what it is called, everywhere."""
    from orchestrator.core.plan import TO_BE_BUILT
    from orchestrator.report.markdown import summary_markdown

    plan = done.plan
    reference, digest = next(iter(done.digests.items()), ("", ""))
    nothing = "; nothing was uploaded" if done.digests else ""
    word = f"is released already{nothing}" if done.already else "is released"
    if done.waits_for:
        word = f"is not whole yet: {done.waits_for}"
    if done.built_by:
        word = f"is tagged{' already' if done.already else ''}; {TO_BE_BUILT[done.built_by]}"
    console.lines(
        [
            f"{plan.version} {word}",
            f"  commit  {plan.head} on {plan.branch}",
            *(f"  image   {name}@{value}" for name, value in done.digests.items()),
            *([f"  here    release publish {plan.version}"] if done.built_by else []),
            *(f"  note    {note}" for note in done.notes),
        ]
    )
    is_whole = not (done.already or done.waits_for or done.built_by)
    values = {
        "released": "true" if is_whole else "false",
        "version": plan.version,
        "tag": plan.version,
        "commit_sha": plan.head,
        "previous_version": plan.previous,
        "image": str(reference),
        "digest": digest,
    }
    console.document(
        {
            "schema_version": 1,
            **values,
            "released": is_whole,
            "waits_for": done.waits_for,
            "built_by": done.built_by,
            "tag_object": done.tag_object,
            "branch": plan.branch,
            "images": {str(name): digest for name, digest in done.digests.items()},
            "notes": list(done.notes),
        }
    )
    if done.waits_for:  # the outputs are those of the job that names the image
        values = {}
    console.outputs(values, summary_markdown(plan, done.digests), outputs=outputs, summary_file=summary)


DryRun = Annotated[bool, typer.Option("-n", "--dry-run", help="Say what would be done; change nothing.")]


@command("yank", REGISTRY)
def yank(
    session: Session,
    console: Console,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to take back.")],
    reason: Annotated[str, typer.Option("--reason", metavar="REASON", help="Why; everybody will read it.")] = "",
    floating_to: Annotated[
        str,
        typer.Option(
            "--floating-to",
            metavar="VERSION",
            help="Where its floating tags go; `none` leaves them. Without it: the last good version of the line.",
        ),
    ] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take a release back: mark it, and move its floating tags back by digest; nothing is deleted."""
    from orchestrator.release.yank import yank as take_back
    from orchestrator.report.record import yanked_lines
    from orchestrator.session.yanks import document

    done = take_back(session, version, reason=reason, floating_to=floating_to, yes=yes, dry_run=dry_run)
    console.lines(yanked_lines(done, dry_run=dry_run))
    console.document(
        {
            **document(done.yank),
            "yanked": not dry_run and not done.already,
            "dry_run": dry_run,
            "moved": list(done.moved),
            "left": list(done.left),
        }
    )


@command("promote", REGISTRY, BREAK_FREEZE)
def promote(
    session: Session,
    console: Console,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="What was tested, such as v2.7.1-rc.2.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its final name, such as v2.7.1.")],
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="Although a newer candidate is there."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int | None:
    """Give a tested candidate its final name: a tag on the same commit, image tags on the same digests, no build."""
    from orchestrator.plan import document as plans
    from orchestrator.release.promotion import prepare
    from orchestrator.release.promotion import promote as give_name
    from orchestrator.report.plan import plan_lines

    if dry_run:
        plan = prepare(session, candidate, version, allow_older=allow_older)
        console.lines(plan_lines(plan))
        console.document(plans.encode(plan))
        console.problems(plan.problems)
        return worst(plan.problems)
    done = give_name(session, candidate, version, yes=yes, allow_older=allow_older)
    show_end(console, done)
    announce_end(session, console, done)
    return None
