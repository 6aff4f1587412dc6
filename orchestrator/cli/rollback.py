"""Commands that give names to what is there: yank, promote.  Nothing is built."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.app import BreakFreeze, Invocation, command, given_reason
from orchestrator.cli.release import Yes, show_end
from orchestrator.core.errors import worst

DryRun = Annotated[
    bool, typer.Option("-n", "--dry-run", envvar="RELEASE_DRY_RUN", help="Say what would be done; change nothing.")
]


@command("yank", registry=True)
def yank(
    call: Invocation,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to take back.")],
    reason: Annotated[str, typer.Option("--reason", envvar="RELEASE_REASON", help="Why; everybody will read it.")] = "",
    floating_to: Annotated[
        str,
        typer.Option(
            "--floating-to",
            metavar="VERSION",
            envvar="RELEASE_FLOATING_TO",
            help="Where its floating tags go; `none` leaves them. Without it: the last good version of the line.",
        ),
    ] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take a release back: mark it, and move its floating tags back by digest; nothing is deleted."""
    from orchestrator.release.yank import yank as take_back
    from orchestrator.report import text
    from orchestrator.session.yanks import document

    with call.desk() as desk:
        done = take_back(desk, version, reason=reason, floating_to=floating_to, yes=yes, dry_run=dry_run)
    call.console.lines(text.yanked_lines(done, dry_run=dry_run))
    call.console.document(
        {
            **document(done.yank),
            "yanked": not dry_run and not done.already,
            "dry_run": dry_run,
            "moved": list(done.moved),
            "left": list(done.left),
        }
    )


@command("promote", registry=True)
def promote(
    call: Invocation,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="What was tested, such as v2.7.1-rc.2.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its final name, such as v2.7.1.")],
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", envvar="RELEASE_ALLOW_OLDER", help="Although a newer candidate is there."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    break_freeze: BreakFreeze = None,
) -> int | None:
    """Give a tested candidate its final name: a tag on the same commit, image tags on the same digests, no build."""
    from orchestrator.plan import document as plans
    from orchestrator.release.promotion import prepare
    from orchestrator.release.promotion import promote as give_name
    from orchestrator.report import text

    call.break_freeze = given_reason(break_freeze)
    with call.desk() as desk:
        if dry_run:
            plan = prepare(desk, candidate, version, allow_older=allow_older)
            call.console.lines(text.plan_lines(plan))
            call.console.document(plans.encode(plan))
            call.console.problems(plan.problems)
            return worst(plan.problems)
        done = give_name(desk, candidate, version, yes=yes, allow_older=allow_older)
    show_end(call, done)
    return None
