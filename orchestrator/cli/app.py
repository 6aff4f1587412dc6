"""The application, the options that every command takes, and the one place where errors become exit codes.

Common options may stand before or after the command: `release -C DIR plan` and `release plan -C DIR`.
"""

from __future__ import annotations

import copy
import inspect
import os
import sys
from dataclasses import replace
from functools import cache, wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from orchestrator import __version__
from orchestrator.cli.exits import guarded
from orchestrator.cli.help import SETTINGS, Grouped, epilog_of, exit_codes
from orchestrator.cli.invocation import console_of, session_of
from orchestrator.cli.options import (
    COMMON,
    ConfigFile,
    Directory,
    Json,
    NoColor,
    Offline,
    Quiet,
    RemoteStall,
    Verbose,
    checked,
    common_options,
    completed_by,
    defaults,
)
from orchestrator.cli.options.variables import heed_earlier, is_set, set_variables, unread
from orchestrator.core.errors import EXIT_MEANINGS, Exit, UsageError
from orchestrator.report.console import error_document
from orchestrator.session.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from orchestrator.report.console import Console
    from orchestrator.session.session import Session

app = typer.Typer(
    name="release",
    cls=Grouped,
    context_settings=SETTINGS,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Cherry-pick declared fixes onto a release branch, tag, build the image, prove it, push it.",
    epilog=exit_codes(EXIT_MEANINGS),
)


# click's class or typer's own copy of it, by the version of typer
_WrongUsage: type[Exception] = typer.BadParameter.__bases__[0]


@cache
def program() -> Callable[..., Any]:
    """The application as click has it, with its variables; what typer makes of all commands takes a moment."""
    return _made(app)


def _made(application: typer.Typer) -> Callable[..., Any]:
    made = typer.main.get_command(application)
    set_variables(made)
    return made


def program_of(words: Collection[str]) -> Callable[..., Any]:
    """The application with the commands that a command line names; with all where it names none, or they are made."""
    named = copy.copy(app)
    if list(words) in (["-h"], ["--help"]):
        return _made(_listed())
    named.registered_commands = [each for each in app.registered_commands if each.name in words]
    groups = [(each, each.typer_instance.info.name if each.typer_instance else "") for each in app.registered_groups]
    named.registered_groups = [each for each, name in groups if name in words]
    if program.cache_info().currsize or not (named.registered_commands or named.registered_groups):
        return program()
    return _made(named)


def _listed() -> typer.Typer:
    """The application with what the list of its commands shows: names and help, and no options of theirs."""
    listed = copy.copy(app)
    listed.registered_commands = [_bare(each) for each in app.registered_commands]
    listed.registered_groups = [copy.copy(each) for each in app.registered_groups]
    for group in listed.registered_groups:
        group.typer_instance = copy.copy(group.typer_instance)
        if group.typer_instance:
            group.typer_instance.registered_commands = []
    return listed


def _bare(info: Any) -> Any:
    bare = copy.copy(info)
    bare.help, bare.callback = bare.help or inspect.getdoc(info.callback), lambda: None
    return bare


def run() -> None:
    """Parse the command line, run the command and exit; a wrong command line is a document too with `--json`."""
    made = program_of(sys.argv[1:])
    heed_earlier(made, os.environ)
    try:
        _heed_shell(sys.argv[1:])
        sys.exit(made(prog_name="release", standalone_mode=False))
    except typer.Abort:
        sys.exit(Exit.INTERRUPTED)
    except _WrongUsage as error:
        error.show()  # type: ignore[attr-defined]  # the usage and what is wrong, on stderr
        if "--json" in sys.argv or is_set("RELEASE_CLI_JSON", os.environ):
            console_of(Options(as_json=True)).document(_of_the_command_line(error))
        sys.exit(Exit.USAGE)


_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def _heed_shell(words: Sequence[str]) -> None:
    """`--show-completion zsh`: typer takes no word there, and would print what fits the shell that is running."""
    if len(words) < 2 or words[0] not in ("--show-completion", "--install-completion"):
        return
    option, shell, *more = words
    if shell not in _SHELLS or more:
        raise typer.BadParameter(
            f"{option} takes one of {', '.join(_SHELLS)}, or nothing for the shell that is running"
        )
    if option == "--install-completion":
        raise typer.BadParameter(
            f"{option} is for the shell that is running; for {shell}: release --show-completion {shell}"
        )
    sys.argv[1:] = []
    os.environ["_RELEASE_COMPLETE"] = f"source_{shell}"  # how typer is asked for a shell's script


def _of_the_command_line(error: Exception) -> dict[str, Any]:
    message = error.format_message()  # type: ignore[attr-defined]  # click has it on every such error
    return error_document(UsageError(message or "missing command", remedy="release --help"), ())


@app.callback()
def options(
    context: typer.Context,
    directory: Directory = None,
    config: ConfigFile = None,
    offline: Offline = None,
    as_json: Json = None,
    quiet: Quiet = None,
    verbose: Verbose = None,
    no_color: NoColor = None,
    remote_stall: RemoteStall = None,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    """Patch releases of an image: declared cherry-picks, a tag, a proved image, a push."""
    if version:
        typer.echo(f"release {__version__}")
        raise typer.Exit
    context.obj = {
        "directory": directory, "config": config, "offline": offline, "as_json": as_json,
        "quiet": quiet, "verbose": verbose, "no_color": no_color, "remote_stall": remote_stall,
    }  # fmt: skip
    if context.invoked_subcommand is None:
        from orchestrator.cli.start import start

        given = common_options(context.obj, {})
        console = console_of(given)
        _say_unread(console, context)
        with session_of(given, console) as session:
            guarded(console, lambda: start(session, console))


def _say_unread(console: Console, context: typer.Context) -> None:
    for note in unread(context, os.environ):
        console.note(note)


Function = TypeVar("Function", bound="Callable[..., int | None]")
_GIVEN = ("session", "console")  # parameters of a command that are no options


def command(name: str, *groups: Mapping[str, Any], group: typer.Typer = app) -> Callable[[Function], Function]:
    """Register a function as a command: it gets the session, the console and its own options, where it has them.

    It may return an exit code.  `groups` are options that go into the session's Options; `group` is what it is a
    command of.  The function itself stays as it is.
    """
    shared = {field: hint for each in groups for field, hint in each.items()}

    def register(function: Function) -> Function:
        signature = inspect.signature(function, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name not in _GIVEN]
        wanted = [name for name in _GIVEN if name in signature.parameters]

        @wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            options = common_options(context.obj or {}, {field: values.pop(field) for field in COMMON})
            more = {field: values.pop(field) for field in shared}
            console = console_of(options)
            _say_unread(console, context)

            def begin() -> int | None:
                with session_of(replace(options, **checked(more)), console) as session:
                    given = {"session": session, "console": console}
                    return function(**{name: given[name] for name in wanted}, **_named(session, values))

            guarded(console, begin)

        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        _complete(own)
        parameters = [context, *own, *_parameters(shared), *_parameters(COMMON)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how typer reads options
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        whole = name if group is app else f"{group.info.name} {name}"
        group.command(name, context_settings=SETTINGS, epilog=epilog_of(whole))(run)
        return function

    return register


def _complete(parameters: Sequence[inspect.Parameter]) -> None:
    """Tell the shell what a value may be, by what the help calls it."""
    for parameter in parameters:
        for info in getattr(parameter.annotation, "__metadata__", ()):
            info.autocompletion = completed_by(info.metavar or parameter.name.upper())


_VERSIONS = ("version", "candidate", "floating_to")  # parameters that are names of version tags


def _named(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    """The values, with versions as their tags are called: people may leave the product out."""
    typed = {name: value for name, value in values.items() if name in _VERSIONS and value}
    if not typed:
        return values
    from orchestrator.core.versions import completed

    session.learn_versions()
    return values | {name: completed(value) for name, value in typed.items()}


def _parameters(group: Mapping[str, Any]) -> list[inspect.Parameter]:
    unset = defaults(group)
    return [
        inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=unset[field], annotation=hint)
        for field, hint in group.items()
    ]
