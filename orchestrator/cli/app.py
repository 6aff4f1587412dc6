"""The application, the options that every command takes, and the one place where errors become exit codes.

CommonOptions options may stand before or after the command: `release -C DIR plan` and `release plan -C DIR`.
"""

from __future__ import annotations

import inspect
import os
import sys
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator import __version__
from orchestrator.cli.exits import _guarded
from orchestrator.cli.invocation import Invocation
from orchestrator.cli.options import (
    _COMMON,
    _REACH,
    CommonOptions,
    ConfigFile,
    Directory,
    Json,
    NoColor,
    Offline,
    Quiet,
    RegistryOptions,
    Verbose,
)
from orchestrator.core.errors import EXIT_MEANINGS, Exit, UsageError
from orchestrator.report.console import error_document

if TYPE_CHECKING:
    from collections.abc import Callable


app = typer.Typer(
    name="release",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Cherry-pick declared fixes onto a release branch, tag, build the image, prove it, push it.",
    epilog="Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_MEANINGS.items()) + ".",
)


# click's class or typer's own copy of it, by the version of typer
_WrongUsage: type[Exception] = typer.BadParameter.__bases__[0]


def run() -> None:
    """Parse the command line, run the command and exit; a wrong command line is a document too with `--json`."""
    try:
        sys.exit(app(prog_name="release", standalone_mode=False))
    except typer.Abort:
        sys.exit(Exit.INTERRUPTED)
    except _WrongUsage as error:
        error.show()  # type: ignore[attr-defined]  # the usage and what is wrong, on stderr
        if "--json" in sys.argv or os.environ.get("RELEASE_JSON"):
            Invocation(CommonOptions(as_json=True), RegistryOptions()).console.document(_of_the_command_line(error))
        sys.exit(Exit.USAGE)


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
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    """Patch releases of an image: declared cherry-picks, a tag, a proved image, a push."""
    if version:
        typer.echo(f"release {__version__}")
        raise typer.Exit
    context.obj = CommonOptions(
        directory=directory, config=config, offline=offline, as_json=as_json,
        quiet=quiet, verbose=verbose, no_color=no_color,
    )  # fmt: skip


def command(
    name: str, *, registry: bool = False, group: typer.Typer = app
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Register a function as a command: it gets an Invocation and its own options, and may return an exit code.

    `registry` adds the options that say how to reach one; `group` is what it is a command of.
    """

    def register(function: Callable[..., int | None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != "call"]
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for key, hint in _COMMON.items()
        ]
        reach = [
            inspect.Parameter(
                key, inspect.Parameter.KEYWORD_ONLY, default=getattr(RegistryOptions(), key), annotation=hint
            )
            for key, hint in (_REACH if registry else {}).items()
        ]
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

        @wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            given = CommonOptions(**{key: values.pop(key) for key in _COMMON})
            way = RegistryOptions(**{key: values.pop(key) for key in (_REACH if registry else {})})
            _guarded(function, Invocation(given.over(context.obj or CommonOptions()), way), values)

        parameters = [context, *own, *reach, *common]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how typer reads options
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        group.command(name)(run)
        return run

    return register
