"""The Docker Engine door: the only module that speaks docker-py, imported when it is first used.

docker-py has only the classic builder; `checks/dockerfile.py` finds what that cannot do.  Every container
made here carries a label, so that what a killed run left behind can be found and swept.
"""

from __future__ import annotations

import posixpath
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from orchestrator.engines import EngineHealth, ImageInfo, RunResult
from orchestrator.engines.answers import GO_DIRECTORY, fits, image_info, only_file, saved_layers, steps, tail
from orchestrator.engines.endpoint import opener
from orchestrator.engines.failures import (
    is_timeout,
    not_started,
    refused,
    stalled,
    unreachable,
)
from orchestrator.engines.streams import BuildLog, Layers, raise_error
from orchestrator.engines.trials import Trial, killed, noted, to_remove
from orchestrator.errors import ReleaseError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    import docker
    from docker.errors import APIError

    from orchestrator.engines import BuildRequest, Credentials, RunRequest, Step
    from orchestrator.model import Progress
    from orchestrator.reference import Reference

OWNER_LABEL = "org.release-orchestrator.owner"
OUTPUT_LIMIT = 64 * 1024  # bytes of a command's output that are kept
_CALL_TIMEOUT = 60.0  # seconds without a byte, for calls that are not streams of work
_SYMLINK_HOPS = 10
_LETTING_GO = 15.0  # seconds
# Answered with 500: a file stands where the path wants a folder, or links lead in a circle.
_NO_SUCH_PATH = ("not a directory", "too many links")
# Never runs: a container that files are read from is created and not started.
_IDLE_COMMAND = ("release-reads-files-only",)


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
        self._open_api = open_api
        self._place = place
        self._labels = {OWNER_LABEL: owner}
        with self._reaching("reach the engine"):
            self._api = open_api(_CALL_TIMEOUT)

    # -------------------------------------------------------------- what is there

    def health(self) -> EngineHealth:
        with self._reaching("ask for the engine's version"):
            version, info = self._api.version(), self._api.info()
        return EngineHealth(
            version=str(version.get("Version", "")),
            api_version=self._api.api_version,
            os=str(version.get("Os", "")),
            architecture=str(version.get("Arch", "")),
            storage_driver=str(info.get("Driver", "")),
            root=str(info.get("DockerRootDir", "")),
            is_local=self._place.startswith("unix:"),
        )

    def inspect(self, name: str) -> ImageInfo | None:
        from docker.errors import NotFound

        with self._reaching(f"inspect {name}"):
            try:
                return image_info(self._api.inspect_image(name))  # type: ignore[no-untyped-call]  # untyped stub
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
        with self._reaching(f"pull {name}", "pull-failed", remedy), self._streaming(None) as api:
            for event in api.pull(name, stream=True, decode=True, platform=platform or None):
                raise_error(event, f"pull of {name}", name, "pull-failed", remedy)
                layers.take(event)

    def history(self, image: str) -> tuple[Step, ...]:
        with self._reaching(f"read the history of {image}"):
            info = image_info(self._api.inspect_image(image))  # type: ignore[no-untyped-call]  # untyped stub
            return steps(info.layers, self._api.history(image))  # type: ignore[no-untyped-call]  # untyped stub

    def layers(self, image: str) -> Generator[IO[bytes], None, None]:
        with self._reaching(f"read the layers of {image}"), self._streaming(None) as api:
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
        with self._reaching("list the images"):
            found = self._api.images(all=True)
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

        with self._reaching(f"remove {image}"), suppress(APIError):
            self._api.remove_image(image, noprune=True)
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
        with self._reaching("build"), self._streaming(None) as api:
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
                raise log.failure(_explanation(error)) from error

    def tag(self, image: str, reference: Reference) -> None:
        with self._reaching(f"tag {image}"):
            self._api.tag(image, str(reference.repository), tag=reference.tag)

    def remove_tag(self, reference: Reference) -> None:
        from docker.errors import NotFound

        with self._reaching(f"remove the name {reference}"), suppress(NotFound):
            self._api.remove_image(str(reference), noprune=True)  # parents are the next build's cache

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
            self._reaching(f"push {reference}", "push-failed", remedy, stall=stall),
            self._streaming(stall) as api,
        ):
            events = api.push(str(reference.repository), tag=reference.tag, stream=True, decode=True, auth_config=auth)
            for event in events:
                raise_error(event, f"push of {reference}", str(reference), "push-failed", remedy)
                layers.take(event)
                if layers.stalled_for() > stall:
                    raise stalled(f"push {reference}", stall)

    # -------------------------------------------------------------- containers

    def run(self, request: RunRequest) -> RunResult:
        options: dict[str, Any] = {"environment": dict(request.env)}
        if not request.keep_entrypoint:
            options["entrypoint"] = []
        options["gpus"] = request.gpus
        with self._container(request.image, request.command, network=request.network, **options) as container:
            self._start(container, request)
            started = time.monotonic()
            exit_code = self._wait(container, request.timeout)
            seconds = time.monotonic() - started
            return RunResult(exit_code=exit_code, output=self._output(container), seconds=seconds)

    def read_file(self, image: str, path: str) -> bytes | None:
        """See `Engine`.  Links are followed inside the image; a directory is no file."""
        with self._container(image, _IDLE_COMMAND, network="none") as container:
            for _ in range(_SYMLINK_HOPS):
                data, target = self._archive(container, path)
                if not target:
                    return data
                path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target))
        return None

    def sweep(self, owner: str) -> int:
        """Remove the containers that a killed run of `owner` left; how many there were.

        Only for an owner of which no other run can be alive, such as one that is named under a lock.
        """
        with self._reaching("look for left containers"):
            found = self._api.containers(all=True, filters={"label": f"{OWNER_LABEL}={owner}"})
        for container in found:
            self._remove(container["Id"])
        return len(found)

    @contextmanager
    def _container(
        self, image: str, command: Iterable[str], *, network: str, gpus: str = "", **options: Any
    ) -> Iterator[str]:
        """A created container, removed whatever happens."""
        from docker.errors import APIError
        from docker.types import LogConfig

        with self._reaching(f"create a container of {image}"):
            try:
                host = self._api.create_host_config(
                    network_mode=network,
                    device_requests=_gpu_requests(gpus),
                    init=True,  # reaps, and passes signals to a shell that would not
                    log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
                )
                container = self._api.create_container(
                    image, command=list(command), labels=self._labels, host_config=host, **options
                )["Id"]
            except APIError as error:
                raise not_started(image, _explanation(error)) from error
        try:
            yield container
        finally:
            self._remove(container)

    def _remove(self, container: str) -> None:
        from docker.errors import NotFound

        # An engine that is gone must not hide the error that led here; the label finds the rest later.
        with suppress(RemoteError), self._reaching("remove a container"), suppress(NotFound):
            self._api.remove_container(container, force=True, v=True)

    def _start(self, container: str, request: RunRequest) -> None:
        from docker.errors import APIError

        with self._reaching(f"start {request.image}"):
            try:
                self._api.start(container)
            except APIError as error:
                raise not_started(request.image, _explanation(error)) from error

    def _wait(self, container: str, timeout: float) -> int | None:
        """The exit code, or None when it had to be killed."""
        from docker.errors import APIError

        with self._reaching("wait for a container"):
            try:
                # The stubs want an int; requests takes any number.
                return int(self._api.wait(container, timeout=timeout)["StatusCode"])  # type: ignore[arg-type]
            except OSError as error:  # what every error of requests is
                if not is_timeout(error):
                    raise
            with suppress(APIError):  # it may have ended just now
                self._api.kill(container)
        return None

    def _output(self, container: str) -> str:
        with self._reaching("read a container's output"), self._streaming(_CALL_TIMEOUT) as api:
            chunks = api.logs(container, stdout=True, stderr=True, stream=True, follow=False)
            return tail(chunks, OUTPUT_LIMIT).decode("utf-8", "replace")

    def _archive(self, container: str, path: str) -> tuple[bytes | None, str]:
        """A file's bytes, or where a link leads; neither for what is absent or no file."""
        from docker.errors import APIError, NotFound

        with self._reaching(f"read {path}"), self._streaming(_CALL_TIMEOUT) as api:
            try:
                chunks, stat = api.get_archive(container, path)
            except NotFound:
                return None, ""
            except APIError as error:
                if any(words in _explanation(error) for words in _NO_SUCH_PATH):
                    return None, ""
                raise
            if stat.get("linkTarget"):
                return None, stat["linkTarget"]
            return (None if stat.get("mode", 0) & GO_DIRECTORY else only_file(chunks)), ""

    # -------------------------------------------------------------- the wire

    @contextmanager
    def _streaming(self, timeout: float | None) -> Iterator[docker.APIClient]:
        """A connection of its own whose answer is closed in the end, which makes the engine stop the work.

        docker-py hands out generators only and leaves closing to the garbage collector.
        """
        api = self._open_api(timeout)
        answers: list[Any] = []
        api.hooks["response"].append(lambda answer, **_: answers.append(answer))
        try:
            yield api
        finally:
            for answer in answers:
                answer.close()
            api.close()

    @contextmanager
    def _reaching(
        self, doing: str, code: str = "engine-error", remedy: str = "", *, stall: float = 0
    ) -> Iterator[None]:
        """Turns everything that docker-py and what is below it raise into RemoteError."""
        import docker.errors
        import requests
        import urllib3

        try:
            yield
        except ReleaseError:
            raise
        except docker.errors.APIError as error:
            raise refused(_explanation(error), doing, code, remedy) from error
        except (docker.errors.DockerException, docker.errors.StreamParseError) as error:
            raise unreachable(error, self._place, doing) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if stall and is_timeout(error):
                raise stalled(doing, stall) from error
            raise unreachable(error, self._place, doing) from error


def _gpu_requests(gpus: str) -> list[Any]:
    """How docker is asked for GPUs: by CDI names, which have a `=`, else by the NVIDIA Container Toolkit."""
    from docker.types import DeviceRequest

    if not gpus:
        return []
    if "=" in gpus:
        return [DeviceRequest(driver="cdi", device_ids=gpus.split(","))]
    which: dict[str, Any] = {"count": -1} if gpus == "all" else {"device_ids": gpus.split(",")}
    return [DeviceRequest(capabilities=[["gpu"]], **which)]


def _explanation(error: APIError) -> str:
    """The engine's own words; never the URL, which holds build arguments."""
    return error.explanation or f"HTTP {error.status_code}"
