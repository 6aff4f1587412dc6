"""What a command works at: where it was started, its repository and release.yaml, and its doors.

Clock, environment and terminal come in here, from the command line, and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config import reader as configuration
from orchestrator.config.editor import UNFINISHED
from orchestrator.git.repository import Repository
from orchestrator.session.connections import open_doors
from orchestrator.session.journal import Journal, Lock
from orchestrator.session.state import releases_directory
from orchestrator.session.work_tree import refuse_link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from orchestrator.core.declaration import Config
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.connections import Connections
    from orchestrator.session.state import ReleaseState
    from orchestrator.session.terminal import Terminal


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that a command was started with; clock, environment and terminal come in here."""

    directory: Path
    config: str  # path as given, "" for the default
    offline: bool
    env: Mapping[str, str]
    now: Callable[[], str]  # UTC, RFC 3339
    monotonic: Callable[[], float]
    holder: str  # who holds the lock, for the one who waits
    terminal: Terminal
    plain_http: bool = False
    push_stall: float = 300.0
    effort: float = 10.0  # seconds to look for what a conflicting pick needs
    break_freeze: str = ""  # the reason for releasing in a freeze


class Session:
    """A job's repository, configuration and open scratch stores, closed together."""

    def __init__(self, job: Options) -> None:
        self.job = job
        self.repository = Repository.discover(job.directory)
        self._stack = ExitStack()
        self._stack.callback(self.repository.close)
        self._scratch: Scratch | None = None
        self._doors: Connections | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def config_file(self) -> Path:
        """release.yaml: as given, relative to the directory the command was started in; else at the top."""
        return self.job.directory / self.job.config if self.job.config else self.repository.top / "release.yaml"

    def config(self, *, unfinished: bool = False) -> Config:
        """release.yaml.  `unfinished` lets a list of fixes be empty, for a command that fills it."""
        refuse_link(self.repository.top, self.config_file)
        return configuration.load(
            self.config_file,
            shown_as=self.job.config or self.config_file.name,
            forgive=UNFINISHED if unfinished else (),
        )

    def config_path(self) -> str:
        """Where the release commit puts release.yaml: its path in the work tree, for a file outside at the top."""
        try:
            path = self.config_file.resolve().relative_to(self.repository.top.resolve())
        except ValueError:
            return "release.yaml"
        return "release.yaml" if ".git" in path.parts else path.as_posix()

    @property
    def scratch(self) -> Scratch:
        if self._scratch is None:
            self._scratch = self._stack.enter_context(self.repository.scratch())
        return self._scratch

    def lock(self) -> Lock:
        return Lock(releases_directory(self.repository) / "lock", self.job.holder)

    def doors(self) -> Connections:
        """Engine and registry, opened when first used; one set for the whole command."""
        if self._doors is None:
            self._doors = open_doors(
                env=self.job.env,
                scratch=lambda: self.scratch,
                now=self.job.now,
                monotonic=self.job.monotonic,
                plain_http=self.job.plain_http,
                push_stall=self.job.push_stall,
                owner=_owner(self.repository),
                tell=self.job.terminal.note,
            )
        return self._doors

    def journal(self, store: ReleaseState) -> Journal:
        journal = Journal(store.journal_path, self.job.now)
        journal.observers.append(self.job.terminal.record)
        return journal


def _owner(repository: Repository) -> str:
    """Names the containers of this clone's releases: under its lock no other run of that name can be alive."""
    place = f"{os.uname().nodename}:{repository.common_dir}"
    return f"release-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}"
