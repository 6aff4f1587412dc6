"""`Engine` for Docker, by docker-py, which is imported when it is first used.

Every container made here carries a label, so that what a killed run left behind can be found and swept.  Logins are
handed in: docker-py would look for some itself, and run the credential helper of every registry that the machine knows.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from orchestrator.core import labels
from orchestrator.core.errors import RemoteError
from orchestrator.engines import EngineHealth, ImageInfo, RunResult
from orchestrator.engines.connection import Connection, explanation
from orchestrator.engines.containers import Containers
from orchestrator.engines.failures import disk_full, stalled
from orchestrator.engines.logins import auth_config, host_of, server_of
from orchestrator.engines.refusals import PUSH_REMEDY, pull_failed, push_failed
from orchestrator.engines.responses import fits, image_info, saved_layers, steps
from orchestrator.engines.streams import BuildLog, Layers, error_of, pushed_digest
from orchestrator.engines.trial_builds import Trial, killed, noted, to_remove

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress
    from orchestrator.engines import BuildRequest, HistoryStep, RunRequest
    from orchestrator.engines.client import ApiClient

_LETTING_GO = 15.0  # seconds


class DockerEngine:
    """`Engine` for Docker (and what speaks its API), by docker-py."""

    def __init__(
        self,
        open_api: Callable[[float | None, str], ApiClient],
        *,
        place: str,
        owner: str,
        tell: Callable[[str], object],
    ) -> None:
        self._connection = Connection(open_api, place, tell)
        self._containers = Containers(self._connection, {labels.OWNER: owner})
        self._by_id: dict[str, ImageInfo] = {}  # an id never stands for another image
        self._health: EngineHealth | None = None  # its first answer: an engine stays what it is for a run

    # -------------------------------------------------------------- what is there

    def health(self) -> EngineHealth:
        self._health = self._health or self._asked()
        return self._health

    def _asked(self) -> EngineHealth:
        with self._connection.calling("ask for the engine's version"):
            version, info = self._connection.api.version(), self._connection.api.info()
        return EngineHealth(
            version=str(version.get("Version", "")),
            api_version=self._connection.api.api_version,
            os=str(version.get("Os", "")),
            architecture=str(version.get("Arch", "")),
            storage_driver=str(info.get("Driver", "")),
            root=str(info.get("DockerRootDir", "")),
            is_local=self._connection.place.startswith("unix:"),
        )

    def inspect(self, name: str) -> ImageInfo | None:
        from docker.errors import NotFound

        if name in self._by_id:
            return self._by_id[name]
        with self._connection.calling(f"inspect {name}"):
            try:
                info = image_info(self._connection.api.inspect_image(name))  # type: ignore[no-untyped-call]  # untyped stub
            except NotFound:
                return None
        self._by_id[info.id] = info
        return info

    def resolve(
        self,
        name: str,
        *,
        platform: str,
        credentials: Credentials | None,
        report: Callable[[Progress], None],
        afresh: bool = False,
    ) -> ImageInfo:
        image = None if afresh else self.inspect(name)
        if image is None or not fits(image, platform):
            self._pull(name, platform, credentials, report)
            image = self.inspect(name)
        if image is None or not fits(image, platform):
            wanted = f" for {platform}" if platform else ""
            raise RemoteError(
                f"{name} was pulled but is not there{wanted}",
                where=name,
                remedy="check the name and the platforms that the registry has for it",
                code="pull-failed",
            )
        return image

    def _pull(
        self, name: str, platform: str, credentials: Credentials | None, report: Callable[[Progress], None]
    ) -> None:
        from docker.errors import APIError

        layers, login = Layers(report, time.monotonic), auth_config(host_of(name), credentials)
        with self._connection.reaching(f"pull {name}"), self._connection.streaming(None) as api:
            try:
                for event in api.pull(name, stream=True, decode=True, platform=platform or None, auth_config=login):
                    if text := error_of(event)[0]:
                        raise pull_failed(text, name)
                    layers.take(event)
            except APIError as error:
                raise pull_failed(explanation(error), name) from error

    def history(self, image: str) -> tuple[HistoryStep, ...]:
        with self._connection.calling(f"read the history of {image}"):
            info = self.inspect(image)
            return steps(info.layers if info else (), self._connection.api.history(image))  # type: ignore[no-untyped-call]  # untyped stub

    def layers(self, image: str) -> Generator[IO[bytes], None, None]:
        with self._connection.reaching(f"read the layers of {image}"), self._connection.streaming(None) as api:
            yield from saved_layers(iter(api.get_image(image)))

    # -------------------------------------------------------------- build and names

    def build(self, request: BuildRequest, report: Callable[[Progress], None]) -> ImageInfo:
        with BuildLog(request.log, report) as log:
            return self._built(request, log)

    @contextmanager
    def trial(self, request: BuildRequest, report: Callable[[Progress], None]) -> Iterator[ImageInfo]:
        before = frozenset(self._images())
        log, note = BuildLog(request.log, report), noted(request.log, request.tag, before)
        try:
            with log:
                image = self._built(request, log)
            yield image
        finally:
            trial = Trial(request.tag, before, tuple(log.made))
            try:
                self._end(trial, note)
            except KeyboardInterrupt:  # the first ctrl-C, of which the command line lets no second one follow
                self._end(trial, note)
                raise

    def _end(self, trial: Trial, note: Path) -> None:
        with suppress(RemoteError):  # an engine that is gone must not hide the error that led here; the note stays
            self._forget(trial)
            note.unlink(missing_ok=True)

    def clear_trials(self, logs: Path) -> int:
        return sum(self._forget(trial) for trial in killed(logs))

    def _images(self) -> dict[str, list[str]]:
        """Id -> names of every image, those of single steps too."""
        with self._connection.calling("list the images"):
            found = self._connection.api.images(all=True)
        return {each["Id"]: [name for name in each.get("RepoTags") or () if name != "<none>:<none>"] for each in found}

    def _forget(self, trial: Trial) -> int:
        """Remove the name and the images that a trial has made; how many."""
        self.remove_tag(trial.tag)
        until = time.monotonic() + _LETTING_GO
        found = to_remove(trial, self._images())
        for image in found:
            while not self._removed(image) and time.monotonic() < until:
                time.sleep(0.2)  # an interrupted step's container has it until the engine has removed that
        return len(found)

    def _removed(self, image: str) -> bool:
        from docker.errors import APIError

        with self._connection.calling(f"remove {image}"), suppress(APIError):
            self._connection.api.remove_image(image, noprune=True)
        return self.inspect(image) is None

    def _built(self, request: BuildRequest, log: BuildLog) -> ImageInfo:
        self._build(request, log)
        image = self.inspect(log.image) if log.image else None
        if image is None:
            raise log.failure("the engine ended the build without naming an image")
        self.tag(image.id, request.tag)  # now, not in the build: a name only for what is finished
        return image

    def _build(self, request: BuildRequest, log: BuildLog) -> None:
        from docker.errors import APIError

        request.context.seek(0)
        logins = {server_of(host): auth_config(host, login) for host, login in request.logins.items()}
        with self._connection.reaching("build"), self._connection.streaming(None) as api:
            api.logins = logins
            try:
                events = api.build(
                    fileobj=request.context,
                    custom_context=True,
                    decode=True,
                    rm=True,
                    forcerm=True,
                    dockerfile=request.dockerfile,
                    buildargs=dict(request.build_args),
                    labels=dict(request.labels),
                    platform=request.platform or None,
                    nocache=request.no_cache,
                    network_mode=request.network or None,
                    target=request.target or "",
                    shmsize=request.shm_size or None,
                    pull=request.pull,
                    cache_from=list(request.cache_from) or None,
                )
                for event in events:
                    log.take(event)
            except APIError as error:  # refused before the first step: Dockerfile, arguments
                raise log.failure(explanation(error)) from error

    def tag(self, image: str, reference: Reference) -> None:
        with self._connection.calling(f"tag {image}"):
            self._connection.api.tag(image, str(reference.repository), tag=reference.tag)

    def remove_tag(self, reference: Reference) -> None:
        from docker.errors import NotFound

        with self._connection.calling(f"remove the name {reference}"), suppress(NotFound):
            self._connection.api.remove_image(str(reference), noprune=True)  # parents are the next build's cache

    def publish(
        self,
        reference: Reference,
        *,
        credentials: Credentials | None,
        report: Callable[[Progress], None],
        stall: float,
    ) -> str:
        login = auth_config(reference.repository.host, credentials)
        layers, digest = Layers(report, time.monotonic), ""
        with (
            self._connection.reaching(f"push {reference}", "push-failed", PUSH_REMEDY, stall=stall),
            self._connection.streaming(stall) as api,
        ):
            events = api.push(str(reference.repository), tag=reference.tag, stream=True, decode=True, auth_config=login)
            for event in events:
                if text := error_of(event)[0]:
                    raise disk_full(text, str(reference)) or push_failed(text, reference)
                digest = pushed_digest(event) or digest
                layers.take(event)
                if layers.stalled_for() > stall:
                    raise stalled(f"push {reference}", stall)
        return digest

    # -------------------------------------------------------------- containers

    def run(self, request: RunRequest) -> RunResult:
        return self._containers.run(request)

    def read_file(self, image: str, path: str) -> bytes | None:
        return self._containers.read_file(image, path)

    def sweep(self, owner: str) -> int:
        """Remove the containers that a killed run of `owner` left; how many there were.

        Only for an owner of which no other run can be alive, such as one that is named under a lock.
        """
        return self._containers.remove_all(f"{labels.OWNER}={owner}")
