"""Docker, as the table of engines has it: what its builder can do, and how to reach it.

docker-py has only the classic builder; DIALECT is what that can do.  The engine itself is loaded when it is connected:
a plan asks only for the dialect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.engines.classic_dialect import CLASSIC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.engines.docker_engine import DockerEngine

DIALECT = CLASSIC


def connect(
    env: Mapping[str, str], *, owner: str = "release", tell: Callable[[str], object] = lambda _: None
) -> DockerEngine:
    """The engine that docker's own client would use with this environment.

    DOCKER_HOST (with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH) comes first, then DOCKER_CONTEXT, then the
    current context of docker's configuration, then the default socket.  `owner` marks the containers made
    through this engine; see `DockerEngine.sweep`.  `tell` hears of a call that takes long.

    Raises RemoteError `engine-unreachable` when no engine answers there, UsageError for a context or
    certificates that do not exist.
    """
    from orchestrator.engines.docker_engine import DockerEngine
    from orchestrator.engines.endpoint import opener

    place, open_api = opener(env)
    return DockerEngine(open_api, place=place, owner=owner, tell=tell)
