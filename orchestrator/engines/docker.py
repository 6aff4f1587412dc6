"""The Docker Engine door: the only module that speaks docker-py, imported when it is first used.

docker-py has only the classic builder; `checks/dockerfile.py` finds what that cannot do.  Every container
made here carries a label, so that what a killed run left behind can be found and swept.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from orchestrator.core.errors import RemoteError
from orchestrator.engines import EngineHealth, ImageInfo, RunResult
from orchestrator.engines.connection import Connection, explanation
from orchestrator.engines.containers import Containers
from orchestrator.engines.endpoint import opener
from orchestrator.engines.failures import stalled
from orchestrator.engines.responses import fits, image_info, saved_layers, steps
from orchestrator.engines.streams import BuildLog, Layers, raise_error
from orchestrator.engines.trial_builds import Trial, killed, noted, to_remove

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    import docker

    from orchestrator.core.credentials import Credentials
    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Progress
    from orchestrator.engines import BuildRequest, HistoryStep, RunRequest

OWNER_LABEL = "org.release-orchestrator.owner"
_LETTING_GO = 15.0  # seconds


def connect(env: Mapping[str, str], *, owner: str = "release") -> DockerEngine:
    """The engine that docker's own client would use with this environment.

    DOCKER_HOST (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH) comes first, then DOCKER_CONTEXT, then the
    current context of docker's configuration, then the default socket.  `owner` marks the containers made
    through this engine; see `DockerEngine.sweep`.

    Raises RemoteError `engine-unreachable` when no engine answers there, UsageError for a context or
    certificates that do not exist.
    """
    place, open_api = opener(env)
    return DockerEngine(open_api, place=place, owner=owner)


class DockerEngine:
    """`Engine` for Docker (and what speaks its API), by docker-py."""

    def __init__(self, open_api: Callable[[float | None], docker.APIClient], *, place: str, owner: str) -> None:
        self._connection = Connection(open_api, place)
        self._containers = Containers(self._connection, {OWNER_LABEL: owner})

    # -------------------------------------------------------------- what is there

    def health(self) -> EngineHealth:
        with self._connection.reaching("ask for the engine's version"):
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

        with self._connection.reaching(f"inspect {name}"):
            try:
                return image_info(self._connection.api.inspect_image(name))  # type: ignore[no-untyped-call]  # untyped stub
            except NotFound:
                return None

    def resolve(self, name: str, *, platform: str, report: Callable[[Progress], None]) -> ImageInfo:
        image = self.inspect(name)
        if image is None or not fits(image, platform):
            self._pull(name, platform, report)
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

    def _pull(self, name: str, platform: str, report: Callable[[Progress], None]) -> None:
        layers = Layers(report, time.monotonic)
        remedy = "check the name, and that the engine can reach the registry (`docker pull` it by hand)"
        with self._connection.reaching(f"pull {name}", "pull-failed", remedy), self._connection.streaming(None) as api:
            for event in api.pull(name, stream=True, decode=True, platform=platform or None):
                raise_error(event, f"pull of {name}", name, "pull-failed", remedy)
                layers.take(event)

    def history(self, image: str) -> tuple[HistoryStep, ...]:
        with self._connection.reaching(f"read the history of {image}"):
            info = image_info(self._connection.api.inspect_image(image))  # type: ignore[no-untyped-call]  # untyped stub
            return steps(info.layers, self._connection.api.history(image))  # type: ignore[no-untyped-call]  # untyped stub

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
        with self._connection.reaching("list the images"):
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

        with self._connection.reaching(f"remove {image}"), suppress(APIError):
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
        with self._connection.reaching("build"), self._connection.streaming(None) as api:
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
                )
                for event in events:
                    log.take(event)
            except APIError as error:  # refused before the first step: Dockerfile, arguments
                raise log.failure(explanation(error)) from error

    def tag(self, image: str, reference: Reference) -> None:
        with self._connection.reaching(f"tag {image}"):
            self._connection.api.tag(image, str(reference.repository), tag=reference.tag)

    def remove_tag(self, reference: Reference) -> None:
        from docker.errors import NotFound

        with self._connection.reaching(f"remove the name {reference}"), suppress(NotFound):
            self._connection.api.remove_image(str(reference), noprune=True)  # parents are the next build's cache

    def push(
        self,
        reference: Reference,
        *,
        credentials: Credentials | None,
        report: Callable[[Progress], None],
        stall: float,
    ) -> None:
        remedy = "check the address and the login for this registry, then run the same command again"
        auth = {"username": credentials.username, "password": credentials.password} if credentials else None
        layers = Layers(report, time.monotonic)
        with (
            self._connection.reaching(f"push {reference}", "push-failed", remedy, stall=stall),
            self._connection.streaming(stall) as api,
        ):
            events = api.push(str(reference.repository), tag=reference.tag, stream=True, decode=True, auth_config=auth)
            for event in events:
                raise_error(event, f"push of {reference}", str(reference), "push-failed", remedy)
                layers.take(event)
                if layers.stalled_for() > stall:
                    raise stalled(f"push {reference}", stall)

    # -------------------------------------------------------------- containers

    def run(self, request: RunRequest) -> RunResult:
        return self._containers.run(request)

    def read_file(self, image: str, path: str) -> bytes | None:
        return self._containers.read_file(image, path)

    def sweep(self, owner: str) -> int:
        """Remove the containers that a killed run of `owner` left; how many there were.

        Only for an owner of which no other run can be alive, such as one that is named under a lock.
        """
        return self._containers.remove_all(f"{OWNER_LABEL}={owner}")
