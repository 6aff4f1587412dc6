"""What tools/lab gives to the tests, through the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED = {
    "docker_host": "DOCKER_HOST",
    "registry": "RELEASE_LAB_REGISTRY",
    "username": "RELEASE_LAB_USERNAME",
    "password": "RELEASE_LAB_PASSWORD",
    "base": "RELEASE_LAB_BUSYBOX",
    "registry_log": "RELEASE_LAB_REGISTRY_LOG",
}


@dataclass(frozen=True, kw_only=True)
class Lab:
    """The engine's address, a registry with its login and access log, and a small base image with busybox."""

    docker_host: str
    registry: str
    username: str
    password: str
    base: str
    registry_log: str

    @property
    def credentials(self) -> Credentials:
        return Credentials(username=self.username, password=self.password)

    @property
    def env(self) -> dict[str, str]:
        """What a user of the lab has in the environment."""
        return {
            "DOCKER_HOST": self.docker_host,
            "RELEASE_REGISTRY_USERNAME": self.username,
            "RELEASE_REGISTRY_PASSWORD": self.password,
        }


def missing_from(env: Mapping[str, str]) -> list[str]:
    """The variables that are not set."""
    return [name for name in _NEEDED.values() if not env.get(name)]


def lab_from(env: Mapping[str, str]) -> Lab:
    return Lab(**{key: env[name] for key, name in _NEEDED.items()})
