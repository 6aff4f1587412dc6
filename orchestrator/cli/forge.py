"""Commands that speak to a forge and its CI: protect, ci, announce; and what a release at its end tells by itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.app import app, command
from orchestrator.cli.help import SETTINGS
from orchestrator.cli.options import Released
from orchestrator.core.errors import Exit, ReleaseError, UsageError
from orchestrator.core.results import CheckResult, CheckState
from orchestrator.report.console import Console
from orchestrator.session.session import Session

if TYPE_CHECKING:
    from orchestrator.announce.fixes import Announced
    from orchestrator.forges.protect import ProtectResult
    from orchestrator.release.cut import Cut

group = typer.Typer(
    name="ci",
    no_args_is_help=True,
    context_settings=SETTINGS,
    rich_markup_mode=None,
    help="Pipelines that plan, audit and publish.",
)
app.add_typer(group)


@command("protect")
def protect(
    session: Session,
    console: Console,
    provider: Annotated[
        str,
        typer.Option(
            metavar="FORGE",
            help="The forge that holds the repository: github or gitlab. For a policy of clusters kubernetes"
            " (sigstore's policy-controller) or kyverno.",
        ),
    ] = "",
    apply: Annotated[bool, typer.Option("--apply", help="Write what differs; without it, it is shown.")] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only show what differs: the default.")] = False,
    repository: Annotated[
        str,
        typer.Option(metavar="OWNER/NAME", help="On the forge; else as the git remote's URL says."),
    ] = "",
    url: Annotated[
        str,
        typer.Option(metavar="URL", help="The forge's API; else of the host of the remote."),
    ] = "",
    actor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHO",
            help="Who makes releases (docs/protect.md); may be repeated. GitHub: deploy-keys; GitLab: role:maintainer.",
        ),
    ] = None,
    approvals: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Approvals that a pull request to the source needs; else as `policy:` says.",
        ),
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A status check that it must pass; may be repeated. Else the one of `release ci init`.",
        ),
    ] = None,
) -> None:
    """Make the forge enforce it too: release branches, version tags and the source branch; shows the difference."""
    from orchestrator.forges.protect import ProtectRequest
    from orchestrator.forges.protect import protect as guard
    from orchestrator.report.protection import protection_document, protection_lines

    if apply and dry_run:
        raise UsageError("give only one of --apply, --dry-run", code="options-exclude")
    if provider in ("kubernetes", "kyverno"):
        _cluster(session, console, provider, apply=apply)
        return
    wish = ProtectRequest(
        provider=provider, repository=repository, url=url, actors=tuple(actor or ()), approvals=approvals,
        checks=tuple(check or ()), apply=apply,
    )  # fmt: skip
    outcome: ProtectResult = guard(session, wish)
    console.lines(protection_lines(outcome))
    document: dict[str, Any] = protection_document(outcome)
    console.document(document)


def _cluster(session: Session, console: Console, provider: str, *, apply: bool) -> None:
    """The policy on stdout: this tool talks to no cluster."""
    from orchestrator.attest.admission import policy
    from orchestrator.attest.signing import config_file

    if apply:
        raise UsageError(
            f"--apply does not go with {provider}", remedy="keep what is printed in a file: kubectl apply -f FILE",
            code="options-exclude",
        )  # fmt: skip
    text = policy(provider, session.config(), lambda name: config_file(name, session.repository.top))
    console.verbatim(text)
    console.document({"schema_version": 1, "provider": provider, "text": text})


@command("init", group=group)
def init(
    session: Session,
    console: Console,
    provider: Annotated[str, typer.Option(metavar="github|gitlab|jenkins", help="The CI that runs it.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Write the file; without it, it is printed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Over a file that was edited or is another's, too.")] = False,
    file: Annotated[str, typer.Option(metavar="PATH", help="Another place in the repository.")] = "",
    install: Annotated[str, typer.Option(metavar="COMMAND", help="How the job installs this tool.")] = "",
    tool_image: Annotated[
        str,
        typer.Option(
            "--tool-image",
            metavar="REF",
            help="An image with this tool that the jobs run in, instead of --install. GitLab and Jenkins.",
        ),
    ] = "",
    login: Annotated[
        str,
        typer.Option(
            metavar="password|job|aws|gcp|azure",
            help="How the jobs log in at the registry; else as its name tells. aws, gcp and azure need no password.",
        ),
    ] = "",
    environment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The forge's environment of the jobs with a secret, where people approve; `none` for none. Else"
            " `release`; on Jenkins none.",
        ),
    ] = "",
    cut: Annotated[bool, typer.Option("--cut", help="With a job that cuts, started by hand.")] = False,
    comment: Annotated[
        bool,
        typer.Option(
            "--comment",
            help="With a job that keeps the plan as one comment on the pull or merge request. GitHub and GitLab.",
        ),
    ] = False,
) -> None:
    """Print or write the pipeline: plan on pull requests, audit of release branches, publish on version tags."""
    from orchestrator.forges.ci import PipelineWish
    from orchestrator.forges.ci_init import ci_init

    wish = PipelineWish(
        provider=provider, file=file, install=install, login=login, environment=environment, tool_image=tool_image,
        cut=cut, comment=comment,
    )  # fmt: skip
    made = ci_init(session, wish, write=write, force=force)
    if write:
        console.lines([f"{made.file}: {made.state}"])
    else:
        console.verbatim(made.text)
    console.note(f"to be set once ({made.where}):")
    for need in made.needs:
        console.note(f"  {need.line}")
    console.note("to see what is there: release doctor --ci")
    console.document(
        {"schema_version": 1, "provider": made.provider, "file": made.file, "state": made.state, "text": made.text,
         "needs": [asdict(need) for need in made.needs]}
    )  # fmt: skip


# ------------------------------------------------------------------ telling people


_KEYS = (b"notify", b"forge-release")  # of release.yaml: without them nothing more is loaded or asked


@command("announce")
def announce(session: Session, console: Console, version: Released) -> int:
    """Tell of a released version what release.yaml asks for: a release on the forge, messages; nothing twice."""
    from orchestrator.announce.announce import announce as tell
    from orchestrator.report.text import check_lines

    parts = tell(session, version)
    console.lines(
        check_lines([_as_check(each) for each in parts]) or [f"release.yaml of {version} asks to tell nobody"]
    )
    console.document({"schema_version": 1, "version": version, "parts": [asdict(each) for each in parts]})
    return Exit.REMOTE if any(each.failed for each in parts) else Exit.DONE


def _as_check(part: Announced) -> CheckResult:
    state = CheckState.FAILED if part.failed else CheckState.PASSED
    return CheckResult(name=part.what, state=state, message=part.message, remedy=part.remedy)


def announce_end(session: Session, console: Console, done: Cut) -> None:
    """Tell of what has just been released.  It fails nothing: what could not be told is said."""
    if done.waits_for or done.built_by:  # who builds the images tells
        return
    version = done.plan.version
    again = f"release announce {version}"
    try:
        text = session.scratch.file(session.scratch.tree_of(done.plan.head), done.plan.config_path) or b""
        if not any(key in text for key in _KEYS):
            return
        if not session.repository.keeps_records:
            console.note(f"note: nobody is told of {version}: its record would be, and `records: none` keeps none")
        else:
            _tell_end(session, console, version, again, already=done.already)
    except ReleaseError as error:
        console.note(f"note: who was told of {version} is not known: {error.message}; again: {again}")


def _tell_end(session: Session, console: Console, version: str, again: str, *, already: bool) -> None:
    from orchestrator.announce.announce import announce as tell
    from orchestrator.announce.announce import untold

    if already:
        if left := untold(session, version):
            console.note(f"note: not told of {version} yet: {', '.join(left)}; {again}")
        return
    parts = tell(session, version)
    for each in parts:
        console.note(f"note: {each.what}: {each.message}" if each.failed else f"{each.what}: {each.message}")
    if any(each.failed for each in parts):
        console.note(f"the release is not touched by that; again: {again}")
