"""One run of a command: its options, its console, and its way to a session."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.report.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cli.options import CommonOptions, RegistryOptions
    from orchestrator.session.session import Options, Session


class Invocation:
    """One run of a command: its console and its way to a desk."""

    def __init__(self, common: CommonOptions, reach: RegistryOptions) -> None:
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

    def job(self) -> Options:
        """What the floors below are started with: clock, environment and terminal enter here."""
        from orchestrator.session.session import Options

        return Options(
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
    def desk(self) -> Iterator[Session]:
        from orchestrator.session.session import Session

        with Session(self.job()) as desk:
            yield desk


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _spoken() -> str:
    """The command, and the version that it was given, for who finds the lock taken."""
    from orchestrator.core.versions import parse_tag

    return " ".join([*sys.argv[1:2], *[word for word in sys.argv[2:] if parse_tag(word)][:1]])
