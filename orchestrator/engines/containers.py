"""Containers of a Docker Engine: a command is run in one, a file is read from one, and it is gone."""

from __future__ import annotations

import posixpath
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.errors import RemoteError
from orchestrator.engines import RunResult
from orchestrator.engines.connection import CALL_TIMEOUT, explanation
from orchestrator.engines.failures import is_timeout, not_started
from orchestrator.engines.responses import GO_DIRECTORY, only_file, tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.engines import RunRequest
    from orchestrator.engines.connection import Connection

_OUTPUT_LIMIT: Final = 64 * 1024  # bytes of a command's output that are kept
_SYMLINK_HOPS: Final = 10
# Answered with 500: a file stands where the path wants a folder, or links lead in a circle.
_NO_SUCH_PATH: Final = ("not a directory", "too many links")
# Never runs: a container that files are read from is created and not started.
_IDLE_COMMAND: Final = ("release-reads-files-only",)


class Containers:
    """`labels` are put on each, so that those of a killed run are found."""

    def __init__(self, connection: Connection, labels: Mapping[str, str]) -> None:
        self._connection = connection
        self._labels = dict(labels)

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
        """As of `Engine`.  Links are followed inside the image; a directory is no file."""
        with self._container(image, _IDLE_COMMAND, network="none") as container:
            for _ in range(_SYMLINK_HOPS):
                data, target = self._archive(container, path)
                if not target:
                    return data
                path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target))
        return None

    def remove_all(self, label: str) -> int:
        """Remove the containers that have a label (`name=value`); how many there were."""
        with self._connection.calling("look for left containers"):
            found = self._connection.api.containers(all=True, filters={"label": label})
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

        with self._connection.calling(f"create a container of {image}"):
            try:
                host = self._connection.api.create_host_config(
                    network_mode=network,
                    device_requests=_gpu_requests(gpus),
                    init=True,  # reaps, and passes signals to a shell that would not
                    log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
                )
                container = self._connection.api.create_container(
                    image, command=list(command), labels=self._labels, host_config=host, **options
                )["Id"]
            except APIError as error:
                raise not_started(image, explanation(error)) from error
        try:
            yield container
        finally:
            self._remove(container)

    def _remove(self, container: str) -> None:
        from docker.errors import NotFound

        # An engine that is gone must not hide the error that led here; the label finds the rest later.
        with suppress(RemoteError), self._connection.calling("remove a container"), suppress(NotFound):
            self._connection.api.remove_container(container, force=True, v=True)

    def _start(self, container: str, request: RunRequest) -> None:
        from docker.errors import APIError

        with self._connection.calling(f"start {request.image}"):
            try:
                self._connection.api.start(container)
            except APIError as error:
                raise not_started(request.image, explanation(error)) from error

    def _wait(self, container: str, timeout: float) -> int | None:
        """The exit code, or None when it had to be killed."""
        from docker.errors import APIError

        with self._connection.reaching("wait for a container"):
            try:
                # The stubs want an int; requests takes any number.
                return int(self._connection.api.wait(container, timeout=timeout)["StatusCode"])  # type: ignore[arg-type]
            except OSError as error:  # what every error of requests is
                if not is_timeout(error):
                    raise
            with suppress(APIError):  # it may have ended just now
                self._connection.api.kill(container)
        return None

    def _output(self, container: str) -> str:
        with self._connection.reaching("read a container's output"), self._connection.streaming(CALL_TIMEOUT) as api:
            chunks = api.logs(container, stdout=True, stderr=True, stream=True, follow=False)
            return tail(chunks, _OUTPUT_LIMIT).decode("utf-8", "replace")

    def _archive(self, container: str, path: str) -> tuple[bytes | None, str]:
        """A file's bytes, or where a link leads; neither for what is absent or no file."""
        from docker.errors import APIError, NotFound

        with self._connection.reaching(f"read {path}"), self._connection.streaming(CALL_TIMEOUT) as api:
            try:
                chunks, stat = api.get_archive(container, path)
            except NotFound:
                return None, ""
            except APIError as error:
                if any(words in explanation(error) for words in _NO_SUCH_PATH):
                    return None, ""
                raise
            if stat.get("linkTarget"):
                return None, stat["linkTarget"]
            return (None if stat.get("mode", 0) & GO_DIRECTORY else only_file(chunks)), ""


def _gpu_requests(gpus: str) -> list[Any]:
    """How docker is asked for GPUs: by CDI names, which have a `=`, else by the NVIDIA Container Toolkit."""
    from docker.types import DeviceRequest

    if not gpus:
        return []
    if "=" in gpus:
        return [DeviceRequest(driver="cdi", device_ids=gpus.split(","))]
    which: dict[str, Any] = {"count": -1} if gpus == "all" else {"device_ids": gpus.split(",")}
    return [DeviceRequest(capabilities=[["gpu"]], **which)]
