"""`release hook`: put hooks into a repository, and be what they run."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.app import command
from orchestrator.core.errors import UsageError
from orchestrator.report.console import Console
from orchestrator.session.session import Session

_ACTIONS = ("install", "run")


@command("hook")
def hook(
    session: Session,
    console: Console,
    action: Annotated[str, typer.Argument(metavar="install|run", help="Put hooks there, or do what one of them does.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] [ARGS]...",
            help="pre-push and commit-msg; on a server pre-receive or update. `run` takes git's arguments after it.",
        ),
    ] = None,
    server: Annotated[bool, typer.Option("--server", help="Guard a bare repository that people push to.")] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take them away again.")] = False,
    chain: Annotated[bool, typer.Option("--chain", help="Run a hook that is there already after this one.")] = False,
    git_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="The repository that is pushed to.")] = None,
    quarantine: Annotated[str, typer.Option(metavar="DIR", help="Where git keeps the pushed objects.")] = "",
) -> None:
    """Git hooks: refuse what no release declares, on the server before it is public, at home before it is pushed."""
    given = list(names or [])
    if action == "install":
        _install(session, console, given, server=server, uninstall=uninstall, chain=chain)
    elif action == "run" and given:
        _run(session, given[0], given[1:], git_dir or session.directory, quarantine)
    else:
        what = "the name of a hook is missing" if action == "run" else f"{action!r} is no action"
        raise UsageError(what, remedy="release hook install, or: release hook run NAME", code="hook-action")


def _install(
    session: Session, console: Console, given: list[str], *, server: bool, uninstall: bool, chain: bool
) -> None:
    from orchestrator.guard import hook_install

    known = hook_install.SERVER if server else hook_install.CLIENT
    if wrong := [name for name in given if name not in known]:
        raise UsageError(
            f"{wrong[0]!r} is no hook {'of a server' if server else 'of a clone'}",
            remedy=f"name one of {', '.join(known)}" + ("" if server else "; for a bare repository add --server"),
            code="unknown-hook",
        )
    if uninstall:
        done = hook_install.uninstall(session.directory, given or known, server=server)
    else:
        names = given or (known[:1] if server else known)
        done = hook_install.install(session.directory, names, server=server, chain=chain)
    console.lines([f"{each.path}: {each.what}" for each in done])
    console.document({"schema_version": 1, "hooks": [{"path": str(each.path), "state": each.what} for each in done]})


def _run(session: Session, name: str, args: list[str], git_dir: Path, quarantine: str) -> None:
    from orchestrator.guard import hooks
    from orchestrator.guard.received_push import Receiving, Update

    clock = hooks.Clock(now=int(time.time()), monotonic=time.monotonic)
    if name == "commit-msg" and len(args) == 1:
        hooks.check_message(_text(session.directory / args[0]), args[0])
    elif name == "pre-commit":
        from orchestrator.release.prepare import check_declared

        with session.with_options(offline=True, effort=0.0) as offline:
            check_declared(offline)
    elif name == "pre-push" and args:
        hooks.push(session.directory, args[0], hooks.push_updates(_stdin()), clock)
    elif name == "pre-receive" and not args:
        _tell(session, hooks.receive(Receiving(git_dir, quarantine), hooks.read_updates(_stdin()), clock))
    elif name == "update" and len(args) == 3:
        update = Update(ref=args[0], old=args[1], new=args[2])
        _tell(session, hooks.receive(Receiving(git_dir, quarantine), [update], clock, each=True))
    else:
        raise UsageError(
            f"no hook {name!r} with {len(args)} argument(s)",
            remedy="let git start it: release hook install",
            code="unknown-hook",
        )


def _tell(session: Session, unchecked: list[str]) -> None:
    for each in unchecked:
        session.terminal.note(f"note: not checked: {each}")


def _stdin() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"the message cannot be read: {error.strerror}",
            where=str(path),
            remedy="let git start the hook",
            code="hook-input",
        ) from error
