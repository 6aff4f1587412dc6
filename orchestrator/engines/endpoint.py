"""Where the engine is that docker's own client would use: its environment, its contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.errors import UsageError
from orchestrator.core.text import one_line
from orchestrator.engines.failures import probe_socket, require_paramiko

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import docker


def opener(env: Mapping[str, str]) -> tuple[str, Callable[[float | None], docker.APIClient]]:
    """The engine's address, and what opens a client of it for calls of at most so many seconds without a byte.

    Raises what `connect` raises.
    """
    import docker

    try:
        place, settings = _endpoint(env)
        docker.utils.parse_host(place)
    except docker.errors.DockerException as error:
        raise UsageError(
            f"the docker client's settings are wrong: {one_line(str(error))}",
            remedy="check DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH; `docker version` must work",
            code="engine-settings",
        ) from error
    if place.startswith("ssh://"):
        require_paramiko(place)
        settings["use_ssh_client"] = True  # so that ~/.ssh/config holds, as for docker itself

    probe_socket(place)

    def open_api(timeout: float | None) -> docker.APIClient:
        # The stubs want an int; requests takes any number, and None for no limit.
        return docker.APIClient(version="auto", timeout=timeout, **settings)  # type: ignore[arg-type]

    return place, open_api


def _endpoint(env: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Where the engine is, and docker-py's arguments for it."""
    from docker.utils import kwargs_from_env

    if env.get("DOCKER_HOST"):
        names = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
        # Never empty, since docker-py takes an empty mapping for os.environ.
        settings = kwargs_from_env(environment={name: env.get(name, "") for name in names})
        return env["DOCKER_HOST"], {**settings}
    return _context_endpoint(env.get("DOCKER_CONTEXT", ""))


def _context_endpoint(name: str) -> tuple[str, dict[str, Any]]:
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    name = name or get_current_context_name()
    remedy = "see `docker context ls`, or set DOCKER_HOST"
    try:
        found = ContextAPI.get_context(name)
    except Exception as error:  # docker-py raises a bare Exception for a context file it cannot read
        message = f"docker's context {name!r} cannot be read: {one_line(str(error))}"
        raise UsageError(message, remedy=remedy, code="engine-context") from error
    if found is None:  # docker-py would go on with the default socket, and so with another engine
        raise UsageError(f"docker has no context {name!r}", remedy=remedy, code="engine-context")
    settings: dict[str, Any] = {"base_url": found.Host} if found.Host else {}
    if found.TLSConfig is not None:
        settings["tls"] = found.TLSConfig
    return found.Host or "unix:///var/run/docker.sock", settings
