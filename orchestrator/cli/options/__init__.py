"""The options that several commands take, each declared once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.invocation import console_of, session_of
from orchestrator.core.errors import UsageError
from orchestrator.session.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orchestrator.session.session import Session


Directory = Annotated[
    str | None,
    typer.Option("-C", metavar="DIR", help="Run as if started in DIR."),
]


ConfigFile = Annotated[
    str | None,
    typer.Option("-c", "--config", metavar="FILE", help="Another file than release.yaml."),
]


Offline = Annotated[
    bool | None,
    typer.Option("--offline", help="Ask no remote: believe the last fetch."),
]


Json = Annotated[bool | None, typer.Option("--json", help="One JSON document on stdout.")]


Quiet = Annotated[bool | None, typer.Option("-q", "--quiet", help="Results and errors only.")]


Verbose = Annotated[bool | None, typer.Option("-v", "--verbose", help="Show build logs and tracebacks.")]


NoColor = Annotated[bool | None, typer.Option("--no-color", help="No colours, no live progress.")]


RemoteStall = Annotated[
    float | None,
    typer.Option(
        "--remote-stall",
        metavar="SECONDS",
        min=1,
        help="Without a word from a git remote for so long, it is given up; 120 where not given.",
    ),
]


Effort = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0, help="How long to look for what a conflicting pick needs; 0: not at all."),
]


BreakFreeze = Annotated[
    str | None,
    typer.Option(metavar="REASON", help="Release in a freeze; the record keeps the reason."),
]


_LONGEST_EFFORT = 86_400


# Groups of options: field of Options -> how it is written.
COMMON: dict[str, Any] = {
    "directory": Directory,
    "config": ConfigFile,
    "offline": Offline,
    "as_json": Json,
    "quiet": Quiet,
    "verbose": Verbose,
    "no_color": NoColor,
    "remote_stall": RemoteStall,
}


REGISTRY: dict[str, Any] = {
    "plain_http": Annotated[
        bool,
        typer.Option("--plain-http", help="Speak HTTP to a registry that has no TLS."),
    ],
    "push_stall": Annotated[
        float,
        typer.Option(
            "--push-stall",
            metavar="SECONDS",
            min=1,
            help="Without progress for so long, a push is ended.",
        ),
    ],
    "registry_username": Annotated[
        str,
        typer.Option(
            "--registry-username",
            metavar="NAME",
            help="Log in to the registry as NAME; the password is RELEASE_REGISTRY_PASSWORD or --password-stdin.",
        ),
    ],
    "password_stdin": Annotated[
        bool,
        typer.Option("--password-stdin", help="Read the registry's password from stdin."),
    ],
}


EFFORT: dict[str, Any] = {"effort": Effort}


BREAK_FREEZE: dict[str, Any] = {"break_freeze": BreakFreeze}


LAND: dict[str, Any] = {
    "pull_request": Annotated[
        bool,
        typer.Option(
            "--pull-request",
            help="Land by a pull request: propose the commits on a branch of their own, go on when they are merged.",
        ),
    ]
}


BUILD: dict[str, Any] = {
    "image": Annotated[
        bool | None,
        typer.Option(
            "--image/--no-image",
            help="Whether the image is built by this command, or from the tag by `release publish`; as `image.built-by`"
            " says where not given.",
        ),
    ]
}


def defaults(group: Mapping[str, Any]) -> dict[str, Any]:
    """What stands for an option of a group that was not given; None where "given" matters."""
    unset = {**COMMON, **BREAK_FREEZE}
    return {field: None if field in unset else getattr(Options(), field) for field in group}


def common_options(before: Mapping[str, Any], after: Mapping[str, Any]) -> Options:
    """The common options: what was given after the command, else what was given before it."""
    given = {**_given(before), **_given(after)}
    return Options(**{field: value for field, value in given.items() if field in COMMON})


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in values.items() if value is not None and value is not False}


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a command's groups as Options has them.  Raises UsageError."""
    found = dict(values)
    if "effort" in found:
        found["effort"] = allowed_effort(found["effort"])
    if "break_freeze" in found:
        found["break_freeze"] = given_reason(found["break_freeze"])
    return found


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


Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="The version, such as v2.7.1; without it the next patch.")
]


Started = Annotated[
    str, typer.Argument(metavar="VERSION", help="The version, such as v2.7.1; without it the one that is in progress.")
]


Released = Annotated[str, typer.Argument(metavar="VERSION", help="A released version, such as v2.7.1.")]


Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]


Reason = Annotated[str, typer.Option("--reason", metavar="REASON", help="Why a pick is skipped.")]


# ------------------------------------------------------------------ what a shell completes


def completed_by(metavar: str) -> Callable[..., list[str]] | None:
    """What completes a value that the help calls so; None where nothing is known of it.  Asks no remote."""
    if metavar in _KNOWN:
        return lambda ctx, incomplete: _begun(ctx, incomplete, *_KNOWN[metavar])  # named as typer wants them
    words = metavar.split("|")
    if len(words) > 1 and all(word.isidentifier() for word in words):
        return lambda incomplete: [word for word in words if word.startswith(incomplete)]
    return None


def _begun(context: typer.Context, start: str, *sources: Callable[[Session], Iterator[str]]) -> list[str]:
    """Nothing is said of a clone that cannot be read: a shell would show it in the middle of the line."""
    given = context.params.get("directory") or context.find_root().params.get("directory") or "."
    options = Options(directory=given, offline=True, quiet=True)
    found: dict[str, None] = {}
    with suppress(Exception), session_of(options, console_of(options)) as session:
        session.learn_versions()
        for source in sources:
            with suppress(Exception):
                found |= dict.fromkeys(source(session))
    return [each for each in found if each.startswith(start)]


def _declared(session: Session) -> Iterator[str]:
    yield from (entry.version for entry in session.config().releases)


def _tagged(session: Session) -> Iterator[str]:
    from orchestrator.core.versions import parse_tag

    names = (ref.removeprefix("refs/tags/") for ref in session.repository.refs("refs/tags"))
    yield from (name for name in names if parse_tag(name))


def _branches(session: Session) -> Iterator[str]:
    """Those here, and those of the remote as last seen."""
    theirs = f"refs/remotes/{session.repository.usual_remote()}/"
    for ref in session.repository.refs("refs/heads", theirs):
        name = ref.removeprefix("refs/heads/").removeprefix(theirs)
        if name != "HEAD":
            yield name


def _forges(_session: Session) -> Iterator[str]:
    from orchestrator.forges.table import FORGES

    yield from (*FORGES, "kubernetes")


_KNOWN: dict[str, tuple[Callable[[Session], Iterator[str]], ...]] = {
    "VERSION": (_declared, _tagged),
    "CANDIDATE": (_tagged,),
    "BRANCH": (_branches,),
    "FORGE": (_forges,),
    "[BRANCH | VERSION | A..B]": (_branches, _tagged),
    "[A..B | BRANCH]": (_branches,),
}
