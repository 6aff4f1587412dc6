"""Commands that release: cut, continue, skip, abort, publish; and rebuild, which builds without releasing."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.app import BreakFreeze, Effort, Invocation, allowed_effort, command, given_reason
from orchestrator.cli.plan import Version  # noqa: TC001  # typer reads annotations at run time
from orchestrator.core.errors import Exit, UsageError

if TYPE_CHECKING:
    from orchestrator.release.cut import Cut

Yes = Annotated[bool, typer.Option("-y", "--yes", envvar="RELEASE_YES", help="Do not ask.")]
Reason = Annotated[str, typer.Option("--reason", envvar="RELEASE_REASON", help="Why a pick is skipped.")]


@command("cut", registry=True)
def cut(
    call: Invocation,
    version: Version = "",
    yes: Yes = False,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="RELEASE_PLAN", help="Refuse unless this plan still holds.")
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option(
            "-i", "--interactive", envvar="RELEASE_INTERACTIVE", help="Show each pick, with its diff, and ask for it."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", envvar="RELEASE_DRY_RUN", help="Same as `plan`.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Same as `release continue`.")] = False,
    skip_pick: Annotated[bool, typer.Option("--skip", help="Same as `release skip`; needs --reason.")] = False,
    abort_it: Annotated[bool, typer.Option("--abort", help="Same as `release abort`.")] = False,
    reason: Reason = "",
    effort: Effort = 10.0,
    break_freeze: BreakFreeze = None,
) -> int | None:
    """Make a release, or go on with one that was broken off."""
    from orchestrator.cli.plan import plan as planning
    from orchestrator.release import cut as cutting

    if sum((dry_run, go_on, skip_pick, abort_it)) > 1:
        raise UsageError("give only one of --dry-run, --continue, --skip, --abort", code="options-exclude")
    if interactive and (plan or dry_run or go_on or skip_pick or abort_it):
        raise UsageError(
            "--interactive goes with none of --plan, --dry-run, --continue, --skip, --abort",
            remedy="a plan file says yes to every pick already, and a paused release remembers the answers",
            code="options-exclude",
        )
    call.effort = allowed_effort(effort)
    call.break_freeze = given_reason(break_freeze)
    if dry_run:
        return planning.__wrapped__(call=call, version=version, effort=effort)  # type: ignore[attr-defined, no-any-return]  # wraps
    if abort_it:
        _abort(call, version)
        return None
    with call.desk() as desk:
        if go_on:
            done = cutting.resume(desk, version, yes=yes)
        elif skip_pick:
            done = cutting.skip(desk, version, reason=reason, yes=yes)
        else:
            plan_file = call.directory / plan if plan else None
            done = cutting.cut(desk, version, yes=yes, plan_file=plan_file, each=interactive)
    show_end(call, done)
    return None


@command("continue", registry=True)
def go_on(
    call: Invocation,
    version: Version = "",
    yes: Yes = False,
    effort: Effort = 10.0,
    break_freeze: BreakFreeze = None,
) -> None:
    """Take the resolution in the release's worktree and go on with all remaining picks."""
    from orchestrator.release.cut import resume

    call.effort = allowed_effort(effort)
    call.break_freeze = given_reason(break_freeze)
    with call.desk() as desk:
        done = resume(desk, version, yes=yes)
    show_end(call, done)


@command("skip", registry=True)
def skip(
    call: Invocation,
    version: Version = "",
    reason: Reason = "",
    yes: Yes = False,
    effort: Effort = 10.0,
    break_freeze: BreakFreeze = None,
) -> None:
    """Leave the conflicting pick out, with a reason for the record, and go on."""
    from orchestrator.release.cut import skip as leave_out

    call.effort = allowed_effort(effort)
    call.break_freeze = given_reason(break_freeze)
    with call.desk() as desk:
        done = leave_out(desk, version, reason=reason, yes=yes)
    show_end(call, done)


@command("abort")
def abort(call: Invocation, version: Version = "") -> None:
    """Forget a release that is not public; the repository is as it was before."""
    _abort(call, version)


def _abort(call: Invocation, version: str) -> None:
    from orchestrator.release.resume import abort as forget

    with call.desk() as desk:
        name, left = forget(desk, version)
    call.console.lines([f"{name} is forgotten; nothing was public", *left])
    call.console.document({"schema_version": 1, "aborted": name, "left": left})


@command("publish", registry=True)
def publish(
    call: Invocation,
    version: Version = "",
    outputs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar="RELEASE_OUTPUTS", help="Write what CI jobs hand on there, a `key=value` a line."
        ),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="RELEASE_SUMMARY", help="Write a summary in Markdown there.")
    ] = None,
    break_freeze: BreakFreeze = None,
) -> None:
    """Build, prove and push the image of a tag that is public: the CI job on a tag push."""
    from orchestrator.release.publish import publish as bring_out

    call.break_freeze = given_reason(break_freeze)
    outputs = _in_a_directory(call, "--outputs", outputs)
    summary = _in_a_directory(call, "--summary", summary)
    with call.desk() as desk:
        done = bring_out(desk, version)
    show_end(call, done, outputs=outputs, summary=summary)


def _in_a_directory(call: Invocation, option: str, path: Path | None) -> Path | None:
    """Where a file is to be written.  Raises UsageError for what cannot be one, before anything is public."""
    if path is None:
        return None
    path = call.directory / path
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            f"{option} is no file in a directory that is there", where=str(path), remedy=f"give {option} another path",
            code="bad-output",
        )  # fmt: skip
    return path


@command("rebuild", registry=True)
def rebuild(
    call: Invocation,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")],
    variant: Annotated[
        str, typer.Option(metavar="NAME", envvar="RELEASE_VARIANT", help="Only this variant of its images.")
    ] = "",
    cache: Annotated[
        bool,
        typer.Option("--cache/--no-cache", envvar="RELEASE_CACHE", help="Let the engine use layers that it has."),
    ] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", envvar="RELEASE_DEEP", help="Download and read also the layers that claim to be identical."
        ),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", envvar="RELEASE_STRICT", help="Exit 9 also where only times differ.")
    ] = False,
) -> int:
    """Build a released tag again and compare with the registry, layer by layer and file by file; publishes nothing."""
    from orchestrator.audit.layer_compare import Verdict
    from orchestrator.audit.rebuild import Wishes
    from orchestrator.audit.rebuild import rebuild as build_again
    from orchestrator.report.rebuild import rebuild_document, rebuild_lines

    with call.desk() as desk:
        found = build_again(desk, version, Wishes(variant=variant, use_cache=cache, deep=deep))
    call.console.lines(rebuild_lines(version, found))
    call.console.document(rebuild_document(version, found))
    bad = {Verdict.CONTENT, Verdict.TIMES} if strict else {Verdict.CONTENT}
    return Exit.MISMATCH if any(each.verdict in bad for each in found) else Exit.DONE


def show_end(call: Invocation, done: Cut, *, outputs: Path | None = None, summary: Path | None = None) -> None:
    """The end of a release: what it is called, everywhere."""
    from orchestrator.report.markdown import summary_markdown

    plan = done.plan
    reference, digest = next(iter(done.digests.items()), ("", ""))
    nothing = "; nothing was uploaded" if done.digests else ""
    word = f"is released already{nothing}" if done.already else "is released"
    call.console.lines(
        [
            f"{plan.version} {word}",
            f"  commit  {plan.head} on {plan.branch}",
            *(f"  image   {name}@{value}" for name, value in done.digests.items()),
            *(f"  note    {note}" for note in done.notes),
        ]
    )
    values = {
        "released": "false" if done.already else "true",
        "version": plan.version,
        "tag": plan.version,
        "commit_sha": plan.head,
        "previous_version": plan.previous,
        "image": reference,
        "digest": digest,
    }
    call.console.document(
        {
            "schema_version": 1,
            **values,
            "released": not done.already,
            "tag_object": done.tag_object,
            "branch": plan.branch,
            "images": dict(done.digests),
            "notes": list(done.notes),
        }
    )
    call.console.outputs(values, summary_markdown(plan, done.digests), outputs=outputs, summary_file=summary)
