"""One run of the program: its options, clock and terminal, its repository and release.yaml, its connections.

Clock, environment and terminal come in here, from the command line, and nowhere else.  What is opened is opened when
it is first needed, and only then its libraries are loaded.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.git.conversation import Silence
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.artifacts.place import BesideImages
    from orchestrator.session.connections import Connections
    from orchestrator.session.journal import Journal, Lock
    from orchestrator.session.options import Options
    from orchestrator.session.state import ReleaseState
    from orchestrator.session.terminal import Terminal


class Session:
    """One run.  Use as a context manager: repository and scratch store are closed together at its end."""

    def __init__(
        self,
        options: Options,
        *,
        terminal: Terminal,
        env: Mapping[str, str],
        now: Callable[[], str],
        monotonic: Callable[[], float],
        holder: Callable[[], str],
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        """`now` is the time in UTC (RFC 3339), `monotonic` a clock for limits; `holder` says who holds a lock;
        `interrupted` tells whether a person or the machine asked this run to end.
        """
        self.options = options
        self.terminal = terminal
        self.env = env
        self.now = now
        self.monotonic = monotonic
        self.holder = holder
        self.interrupted = interrupted
        self._stack = ExitStack()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def with_options(self, **changes: Any) -> Session:
        """Another session of this run, with some options changed; it is closed for itself."""
        return Session(
            replace(self.options, **changes),
            terminal=self.terminal, env=self.env, now=self.now, monotonic=self.monotonic, holder=self.holder,
            interrupted=self.interrupted,
        )  # fmt: skip

    # -------------------------------------------------------------- the repository

    @cached_property
    def directory(self) -> Path:
        """Where to work.  Raises UsageError when the shell stands in a directory that was removed."""
        try:
            return Path(self.options.directory).absolute()
        except FileNotFoundError as error:
            raise UsageError(
                "the current directory does not exist any more", remedy="cd into your clone", code="no-directory"
            ) from error

    @cached_property
    def repository(self) -> Repository:
        """The repository that the directory is in.  Raises UsageError where there is none."""
        from orchestrator.git.repository import Repository

        found = Repository.discover(self.directory)
        found.git.silence = self.silence
        self._learn_versions(found)
        self._stack.callback(found.close)
        return found

    def learn_versions(self) -> None:
        """Have the repository, and with it how versions are written here.  Raises UsageError where there is none."""
        _ = self.repository

    def _learn_versions(self, repository: Repository) -> None:
        """From release.yaml, without reading all of it: that may have faults, which are another command's to tell.

        Where none is checked out, as in a clone that is on another branch, that of the newest tag says it.
        """
        from orchestrator.core.versions import use
        from orchestrator.session.work_tree import records_in, scheme_in

        data = self._as_written(repository)
        if data is not None:
            use(scheme_in(data))
            self._keep_records(repository, *records_in(data))

    def _as_written(self, repository: Repository) -> bytes | None:
        """The beginning of release.yaml, or all of it as the newest tag has it; None where there is none."""
        from orchestrator.session.work_tree import written

        given = self.options.config
        path = self.directory / given if given else repository.top / "release.yaml"
        data = written(repository.top, path)
        if data is None and path.is_relative_to(repository.top):
            from orchestrator.git.tags import newest_tagged

            data = newest_tagged(repository, path.relative_to(repository.top).as_posix())
        return data

    def refuse_wrong_config(self) -> None:
        """Raises ConfigError where `--config` names what is no file here, nor in one of the newest tags."""
        if self.options.config and self._as_written(self.repository) is None:
            from orchestrator.config import reader

            reader.load(self.config_file, shown_as=self.config_name)

    def _keep_records(self, repository: Repository, told: str, remote: str) -> None:
        """What is kept of releases goes where `records:` says."""
        from orchestrator.core.declaration import NOWHERE, ON_BRANCH, REGISTRY

        repository.keeps_records, repository.kept_on = told != NOWHERE, None
        if told == REGISTRY:
            repository.kept_on = self._beside_images
        if told.startswith(ON_BRANCH):
            from orchestrator.git.records.entries import RecordsBranch

            name = told.removeprefix(ON_BRANCH).strip()
            repository.kept_on = RecordsBranch(name=name, remote=remote or repository.usual_remote())

    @cached_property
    def _beside_images(self) -> BesideImages:
        """What is kept of releases beside their images."""
        from orchestrator.session.artifacts.place import BesideImages

        return BesideImages(
            config=self._some_config, registry=lambda name: self.connections.registry(name), tell=self.terminal.note
        )

    def _some_config(self) -> Config:
        """release.yaml; where none is checked out, as the newest tag has it.  Raises ConfigError."""
        from orchestrator.config import reader
        from orchestrator.git.tags import newest_tagged

        if self.config_file.exists():
            return self.config(unfinished=True)
        data = newest_tagged(self.repository, self.config_path())
        return self.config() if data is None else reader.parse(data, self.config_name)

    @property
    def silence(self) -> Silence:
        """How long a git remote may say nothing, and who is told that it does."""
        from orchestrator.git.conversation import Silence

        stall, push = self.options.remote_stall, self.options.push_stall
        return Silence(limit=stall, push_limit=push, tell=self.terminal.note)

    @cached_property
    def scratch(self) -> Scratch:
        """The throw-away object store of this run."""
        return self._stack.enter_context(self.repository.scratch())

    # -------------------------------------------------------------- release.yaml

    @property
    def config_file(self) -> Path:
        """release.yaml: as given, relative to the directory the command was started in; else at the top."""
        given = self.options.config
        return self.directory / given if given else self.repository.top / "release.yaml"

    @property
    def config_name(self) -> str:
        """release.yaml as messages call it."""
        return self.options.config or self.config_file.name

    def config(self, *, unfinished: bool = False) -> Config:
        """release.yaml.  `unfinished` lets a list of fixes be empty, for a command that fills it."""
        from orchestrator.config import reader
        from orchestrator.config.editor import UNFINISHED
        from orchestrator.session.work_tree import refuse_link

        refuse_link(self.repository.top, self.config_file)
        found = reader.load(self.config_file, shown_as=self.config_name, forgive=UNFINISHED if unfinished else ())
        self._keep_records(self.repository, found.records, found.remote)
        return found

    def config_path(self) -> str:
        """Where the release commit puts release.yaml: its path in the work tree, for a file outside at the top."""
        try:
            path = self.config_file.resolve().relative_to(self.repository.top.resolve())
        except ValueError:
            return "release.yaml"
        return "release.yaml" if ".git" in path.parts else path.as_posix()

    # -------------------------------------------------------------- what is outside, and what is kept

    @cached_property
    def connections(self) -> Connections:
        """Engine and registries: one set for the whole run."""
        from orchestrator.session.connections import Connections

        return Connections(
            self.env, owner=lambda: self.owner, tell=self.terminal.note, plain_http=self.options.plain_http
        )

    @cached_property
    def owner(self) -> str:
        """Names the containers of this clone's releases: under its lock no other run of that name can be alive."""
        import hashlib

        place = f"{os.uname().nodename}:{self.repository.common_dir}"
        return f"release-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}"

    def lock(self) -> Lock:
        """Held while one command changes the releases of this clone."""
        from orchestrator.session.journal import Lock
        from orchestrator.session.state import releases_directory

        return Lock(releases_directory(self.repository) / "lock", self.holder())

    def journal(self, state: ReleaseState) -> Journal:
        """The journal of a release, watched by the terminal."""
        from orchestrator.session.journal import Journal

        journal = Journal(state.journal_path, self.now)
        journal.observers.append(self.terminal.record)
        return journal
