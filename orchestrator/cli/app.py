"""The application, the options that every command takes, and the one place where errors become exit codes.

Common options may stand before or after the command: `release -C DIR plan` and `release plan -C DIR`.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator import __version__
from orchestrator.core.errors import EXIT_MEANINGS, Exit, InterruptedRunError, ReleaseError, UsageError
from orchestrator.report.console import Console, error_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    from orchestrator.session.session import Desk, Job

app = typer.Typer(
    name="release",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Cherry-pick declared fixes onto a release branch, tag, build the image, prove it, push it.",
    epilog="Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_MEANINGS.items()) + ".",
)

Directory = Annotated[
    str | None,
    typer.Option("-C", metavar="DIR", envvar="RELEASE_DIR", help="Run as if started in DIR."),
]
ConfigFile = Annotated[
    str | None,
    typer.Option("-c", "--config", metavar="FILE", envvar="RELEASE_CONFIG", help="Another file than release.yaml."),
]
Offline = Annotated[
    bool | None,
    typer.Option("--offline", envvar="RELEASE_OFFLINE", help="Ask no remote: believe the last fetch."),
]
Json = Annotated[bool | None, typer.Option("--json", envvar="RELEASE_JSON", help="One JSON document on stdout.")]
Quiet = Annotated[bool | None, typer.Option("-q", "--quiet", envvar="RELEASE_QUIET", help="Results and errors only.")]
Verbose = Annotated[
    bool | None, typer.Option("-v", "--verbose", envvar="RELEASE_VERBOSE", help="Show build logs and tracebacks.")
]
NoColor = Annotated[
    bool | None, typer.Option("--no-color", envvar="RELEASE_NO_COLOR", help="No colours, no live progress.")
]

Effort = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", min=0, envvar="RELEASE_EFFORT", help="To look for what a conflicting pick needs; 0: do not."
    ),
]

BreakFreeze = Annotated[
    str | None,
    typer.Option(
        metavar="REASON", envvar="RELEASE_BREAK_FREEZE", help="Release in a freeze; the record keeps the reason."
    ),
]

_LONGEST_EFFORT = 86_400

_COMMON: dict[str, Any] = {
    "directory": Directory,
    "config": ConfigFile,
    "offline": Offline,
    "as_json": Json,
    "quiet": Quiet,
    "verbose": Verbose,
    "no_color": NoColor,
}


_REACH: dict[str, Any] = {
    "plain_http": Annotated[
        bool,
        typer.Option("--plain-http", envvar="RELEASE_PLAIN_HTTP", help="Speak HTTP to a registry that has no TLS."),
    ],
    "push_stall": Annotated[
        float,
        typer.Option(
            "--push-stall",
            metavar="SECONDS",
            envvar="RELEASE_PUSH_STALL",
            min=1,
            help="Without progress for so long, a push is ended.",
        ),
    ],
    "registry_username": Annotated[
        str,
        typer.Option(
            "--registry-username",
            metavar="NAME",
            envvar="RELEASE_REGISTRY_USERNAME",
            help="Log in to the registry as NAME; the password is RELEASE_REGISTRY_PASSWORD or --password-stdin.",
        ),
    ],
    "password_stdin": Annotated[
        bool,
        typer.Option(
            "--password-stdin", envvar="RELEASE_PASSWORD_STDIN", help="Read the registry's password from stdin."
        ),
    ],
}


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How a command reaches the registry."""

    plain_http: bool = False
    push_stall: float = 300.0
    registry_username: str = ""
    password_stdin: bool = False

    def login(self, env: Mapping[str, str]) -> Mapping[str, str]:
        """The environment with the login that was given; the password never stands in argv."""
        if not self.password_stdin:
            return {**env, "RELEASE_REGISTRY_USERNAME": self.registry_username} if self.registry_username else env
        if not self.registry_username:
            raise UsageError(
                "--password-stdin needs a user name",
                remedy="give --registry-username NAME, or RELEASE_REGISTRY_USERNAME",
                code="registry-credentials",
            )
        from orchestrator.registry.credentials import PASSWORD, USERNAME, read_password

        return {**env, USERNAME: self.registry_username, PASSWORD: read_password(sys.stdin)}


@dataclass(frozen=True, kw_only=True)
class Common:
    """The common options, after both places were read."""

    directory: str | None = None
    config: str | None = None
    offline: bool | None = None
    as_json: bool | None = None
    quiet: bool | None = None
    verbose: bool | None = None
    no_color: bool | None = None

    def over(self, other: Common) -> Common:
        """These options where given, the other's elsewhere."""
        given = {name: value for name in _COMMON if (value := getattr(self, name)) is not None and value is not False}
        return replace(other, **given)


class Invocation:
    """One run of a command: its console and its way to a desk."""

    def __init__(self, common: Common, reach: Reach) -> None:
        self.common = common
        self.reach = reach
        self.effort = 10.0
        self.break_freeze = ""
        env = os.environ
        self.console = Console(
            as_json=bool(common.as_json),
            quiet=bool(common.quiet),
            verbose=bool(common.verbose),
            color=not common.no_color and "NO_COLOR" not in env and env.get("TERM") != "dumb" and sys.stderr.isatty(),
            env=env,
            interactive=sys.stdin.isatty() and sys.stderr.isatty(),
        )

    @property
    def directory(self) -> Path:
        """Where to work.  Raises UsageError when the shell stands in a directory that was removed."""
        try:
            return Path(self.common.directory or ".").absolute()
        except FileNotFoundError as error:
            raise UsageError(
                "the current directory does not exist any more", remedy="cd into your clone", code="no-directory"
            ) from error

    def job(self) -> Job:
        """What the floors below are started with: clock, environment and terminal enter here."""
        from orchestrator.session.session import Job

        return Job(
            directory=self.directory,
            config=self.common.config or "",
            offline=bool(self.common.offline),
            env=self.reach.login(os.environ),
            now=_now,
            monotonic=time.monotonic,
            holder=f"pid {os.getpid()} on {os.uname().nodename} since {_now()}: release {_spoken()}",
            terminal=self.console,
            plain_http=self.reach.plain_http,
            push_stall=self.reach.push_stall,
            effort=self.effort,
            break_freeze=self.break_freeze,
        )

    @contextlib.contextmanager
    def desk(self) -> Iterator[Desk]:
        from orchestrator.session.session import Desk

        with Desk(self.job()) as desk:
            yield desk


# click's class or typer's own copy of it, by the version of typer
_WrongUsage: type[Exception] = typer.BadParameter.__bases__[0]


def allowed_effort(seconds: float) -> float:
    """The seconds, which "nan" and "inf" are not.  Raises UsageError."""
    if not 0 <= seconds <= _LONGEST_EFFORT:
        raise UsageError(f"--effort {seconds} is no number of seconds up to {_LONGEST_EFFORT}", code="bad-effort")
    return seconds


def given_reason(reason: str | None) -> str:
    """The reason for breaking a freeze, on one line; "" when none was given.  Raises UsageError for an empty one."""
    line = " ".join((reason or "").split())
    if reason is not None and (not line or not line.isprintable()):
        raise UsageError(
            "--break-freeze needs a reason that people can read",
            remedy='--break-freeze "why it cannot wait"',
            code="no-reason",
        )
    return line


def run() -> None:
    """Parse the command line, run the command and exit; a wrong command line is a document too with `--json`."""
    try:
        sys.exit(app(prog_name="release", standalone_mode=False))
    except typer.Abort:
        sys.exit(Exit.INTERRUPTED)
    except _WrongUsage as error:
        error.show()  # type: ignore[attr-defined]  # the usage and what is wrong, on stderr
        if "--json" in sys.argv or os.environ.get("RELEASE_JSON"):
            Invocation(Common(as_json=True), Reach()).console.document(_of_the_command_line(error))
        sys.exit(Exit.USAGE)


def _of_the_command_line(error: Exception) -> dict[str, Any]:
    message = error.format_message()  # type: ignore[attr-defined]  # click has it on every such error
    return error_document(UsageError(message or "missing command", remedy="release --help"), ())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    context.obj = Common(
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
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=getattr(Reach(), key), annotation=hint)
            for key, hint in (_REACH if registry else {}).items()
        ]
        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

        @wraps(function)
        def run(context: typer.Context, **values: Any) -> None:
            given = Common(**{key: values.pop(key) for key in _COMMON})
            way = Reach(**{key: values.pop(key) for key in (_REACH if registry else {})})
            _guarded(function, Invocation(given.over(context.obj or Common()), way), values)

        parameters = [context, *own, *reach, *common]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how typer reads options
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        group.command(name)(run)
        return run

    return register


def _guarded(function: Callable[..., int | None], call: Invocation, values: dict[str, Any]) -> None:
    """Run a command; every expected failure becomes one line and its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # `nohup release cut` goes on without its terminal
            signal.signal(number, _interrupted)
    try:
        code = function(call=call, **values)
    except ReleaseError as error:
        call.console.error(error)
        raise typer.Exit(error.status) from None
    except KeyboardInterrupt:
        stopped = InterruptedRunError(
            "interrupted", state="what is done is kept", remedy="run the same command again, or: release status"
        )
        call.console.error(stopped)
        raise typer.Exit(stopped.status) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            sys.stderr.close()  # there is nobody to tell
        else:
            call.console.error(_of_the_machine(error))
        raise typer.Exit(Exit.UNEXPECTED) from None
    except Exception:  # the last resort: a bug, with all that is needed to report it
        call.console.error(_bug(call))
        raise typer.Exit(Exit.UNEXPECTED) from None
    raise typer.Exit(code or Exit.DONE)


def _spoken() -> str:
    """The command, and the version that it was given, for who finds the lock taken."""
    from orchestrator.core.versions import parse_tag

    return " ".join([*sys.argv[1:2], *[word for word in sys.argv[2:] if parse_tag(word)][:1]])


def _reader_has_gone() -> bool:
    """Whether nobody reads our output any more: else the pipe was one to a program that we started."""
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    """The first signal ends the command; further ones must not tear the cleaning up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "correct the permissions"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR), "correct the path"),
    errno.EROFS: "make the file system writable",
}


def _of_the_machine(error: OSError) -> ReleaseError:
    return ReleaseError(
        f"the machine refused: {error.strerror or error}",
        where=str(error.filename or ""),
        remedy=f"{_REMEDIES.get(error.errno or 0, 'look at the machine')}, then run the same command again",
        code="disk-full" if error.errno == errno.ENOSPC else "machine",
        state="what is done is kept",
    )


def _bug(call: Invocation) -> ReleaseError:
    text = traceback.format_exc()
    with tempfile.NamedTemporaryFile(
        "w", prefix="release-bug-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as log:
        log.write(f"release {__version__} {sys.version}\ncommand: {sys.argv[1:2]}\n{text}")
    return ReleaseError(
        f"unexpected: {text.strip().splitlines()[-1]}",
        where=log.name,
        remedy="this is a bug: report it with that file; the journal is intact",
        detail=text if call.common.verbose else "",
    )
