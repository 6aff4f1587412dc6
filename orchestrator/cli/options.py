"""The options that several commands take, each declared once."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


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
class RegistryOptions:
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
class CommonOptions:
    """The common options, after both places were read."""

    directory: str | None = None
    config: str | None = None
    offline: bool | None = None
    as_json: bool | None = None
    quiet: bool | None = None
    verbose: bool | None = None
    no_color: bool | None = None

    def over(self, other: CommonOptions) -> CommonOptions:
        """These options where given, the other's elsewhere."""
        given = {name: value for name in _COMMON if (value := getattr(self, name)) is not None and value is not False}
        return replace(other, **given)


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


Version = Annotated[str, typer.Argument(metavar="VERSION", help="The version, such as v2.7.1.")]


Yes = Annotated[bool, typer.Option("-y", "--yes", envvar="RELEASE_YES", help="Do not ask.")]


Reason = Annotated[str, typer.Option("--reason", envvar="RELEASE_REASON", help="Why a pick is skipped.")]
