"""Where the engine is that docker's own client would use: its environment, its contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.errors import UsageError
from orchestrator.core.text import one_line
from orchestrator.engines.contexts import chosen_context
from orchestrator.engines.failures import probe_socket, require_paramiko

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import docker

    from orchestrator.engines.client import ApiClient
    from orchestrator.engines.contexts import DockerContext

_DEFAULT_SOCKET: Final = "unix:///var/run/docker.sock"


def opener(env: Mapping[str, str]) -> tuple[str, Callable[[float | None, str], ApiClient]]:
    """The engine's address, and what opens a client of it: for calls of at most so many seconds without a byte, of that
    version of the API ("": asks the engine for its own).

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

    def open_api(timeout: float | None, version: str) -> ApiClient:
        from orchestrator.engines.client import ApiClient

        return ApiClient(timeout=timeout, version=version or "auto", **settings)

    return place, open_api


def _endpoint(env: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Where the engine is, and docker-py's arguments for it."""
    from docker.utils import kwargs_from_env

    if env.get("DOCKER_HOST"):
        names = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
        # Never empty, since docker-py takes an empty mapping for os.environ.
        from_env = kwargs_from_env(environment={name: env.get(name, "") for name in names})
        return env["DOCKER_HOST"], {**from_env}
    context = chosen_context(env)
    if context is None:
        return _DEFAULT_SOCKET, {}
    settings: dict[str, Any] = {"base_url": context.host}
    if context.certificates:
        settings["tls"] = _tls(context)
    return context.host, settings


def _tls(context: DockerContext) -> docker.tls.TLSConfig:
    from docker.tls import TLSConfig

    files = {name.removesuffix(".pem"): str(path) for name, path in context.certificates.items()}
    pair = (files["cert"], files["key"]) if "cert" in files and "key" in files else None
    return TLSConfig(client_cert=pair, ca_cert=files.get("ca"), verify=context.verify)
