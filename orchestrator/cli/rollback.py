"""Commands that give names to images that are there: yank."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.app import Invocation, command
from orchestrator.cli.releasing import Yes  # noqa: TC001  # typer reads annotations at run time

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
    from orchestrator import report
    from orchestrator.yank import yank as take_back
    from orchestrator.yanks import document

    with call.desk() as desk:
        done = take_back(desk, version, reason=reason, floating_to=floating_to, yes=yes, dry_run=dry_run)
    call.console.lines(report.yanked_lines(done, dry_run=dry_run))
    call.console.document(
        {
            **document(done.yank),
            "yanked": not dry_run and not done.already,
            "dry_run": dry_run,
            "moved": list(done.moved),
            "left": list(done.left),
        }
    )
