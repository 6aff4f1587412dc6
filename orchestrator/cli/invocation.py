"""One run of a command: the environment, the clock and the terminal come in here, and go down in a session."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.cli.interrupt import INTERRUPT
from orchestrator.core.credentials import PASSWORD, USERNAME
from orchestrator.core.errors import UsageError
from orchestrator.report.console import Console
from orchestrator.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.session.options import Options


def console_of(options: Options) -> Console:
    """The terminal as the options want it."""
    env = os.environ
    return Console(
        as_json=options.as_json,
        quiet=options.quiet,
        verbose=options.verbose,
        color=not options.no_color and "NO_COLOR" not in env and env.get("TERM") != "dumb" and sys.stderr.isatty(),
        env=env,
        interactive=sys.stdin.isatty() and sys.stderr.isatty(),
        clock=time.monotonic,
        now=time.time,
    )


def session_of(options: Options, console: Console) -> Session:
    """A session of this process.  Raises UsageError for a login that is not one."""
    return Session(
        options,
        terminal=console,
        env=_with_login(options, os.environ),
        now=_now,
        monotonic=time.monotonic,
        holder=_holder,
        interrupted=INTERRUPT.asked,
    )


def _with_login(options: Options, env: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the login that was given; the password never stands in argv."""
    if not options.password_stdin:
        given = options.registry_username
        return {**env, USERNAME: given} if given else env
    if not options.registry_username:
        raise UsageError(
            "--password-stdin needs a user name",
            remedy="give --registry-username NAME, or RELEASE_REGISTRY_USERNAME",
            code="registry-credentials",
        )
    from orchestrator.registry.credentials import read_password

    return {**env, USERNAME: options.registry_username, PASSWORD: read_password(sys.stdin)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _holder() -> str:
    """This process, the command, and the version that it was given, for who finds the lock taken."""
    from orchestrator.core.versions import completed, parse_tag

    command = " ".join([*sys.argv[1:2], *[name for name in map(completed, sys.argv[2:]) if parse_tag(name)][:1]])
    return f"pid {os.getpid()} on {os.uname().nodename} since {_now()}: release {command}"
