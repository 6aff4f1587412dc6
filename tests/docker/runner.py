"""Containers of the image, started and looked at."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestrator.core.labels import OWNER
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker
    from docker.models.containers import Container

TOKEN = "a-token-of-this-test"
READ_ONLY: dict[str, Any] = {"read_only": True, "tmpfs": {"/tmp": "", "/run": ""}}
GET = "import sys, urllib.request as u; print(u.urlopen('http://127.0.0.1:8888' + sys.argv[1]).status)"


class Runner:
    """Starts containers and removes them."""

    def __init__(self, client: docker.DockerClient, image: str, owner: str) -> None:
        self.client, self.image, self.owner = client, image, owner

    @contextmanager
    def start(self, *command: str, **options: Any) -> Iterator[Container]:
        made = self.client.containers.create(
            self.image, list(command), labels={OWNER: self.owner}, network_mode="none", **options
        )
        try:
            made.start()
            yield made
        finally:
            made.remove(force=True, v=True)

    def run(self, *command: str, stderr: bool = True, **options: Any) -> tuple[int, str]:
        """Exit code and what was said; where stdout and stderr both speak, the engine may swap their lines."""
        with self.start(*command, **options) as container:
            return container.wait(timeout=300)["StatusCode"], container.logs(stderr=stderr).decode().strip()


def execute(container: Container, *argv: str, user: str = "1000") -> tuple[int, str]:
    done = container.exec_run(list(argv), user=user)
    assert done.exit_code is not None
    assert isinstance(done.output, bytes)
    return done.exit_code, done.output.decode().strip()


def eventually(container: Container, *argv: str, user: str = "1000") -> str:
    """What the command says once it succeeds."""
    said = ""

    def succeeds() -> bool:
        nonlocal said
        code, said = execute(container, *argv, user=user)
        if code:
            container.reload()
            assert container.status == "running", f"{argv}: {said}\n{container.logs().decode()}"
        return code == 0

    until(succeeds, lambda: f"{argv}: {said}\n{container.logs().decode()}", pause=0.1)
    return said


def has_become(container: Container, health: str) -> bool:
    container.reload()
    return bool(container.health == health)


def stopped(container: Container) -> int:
    """The exit code after a SIGTERM; 137 where the engine had to kill it."""
    container.stop(timeout=120)
    container.reload()
    return int(container.attrs["State"]["ExitCode"])


def get(container: Container, path: str) -> str:
    return execute(container, "python", "-c", GET, path)[1].splitlines()[-1]
