"""docker-py's client without its search for logins.  Imported when the engine is first used."""

from __future__ import annotations

from typing import Any

import docker
from docker import auth, errors

from orchestrator.core.errors import UsageError
from orchestrator.core.text import one_line


class ApiClient(docker.APIClient):
    """`logins` (server -> AuthConfig) are what a build may pull with, and nothing else is looked up."""

    def __init__(self, **settings: Any) -> None:
        self.logins: dict[str, dict[str, str]] = {}
        try:
            super().__init__(**settings)
        except (errors.InvalidConfigFile, ValueError, TypeError, AttributeError, KeyError) as error:
            # docker-py reads config.json for proxies and logins, and takes its shape for granted.
            raise UsageError(
                f"docker's configuration cannot be used: {type(error).__name__}: {one_line(str(error))}",
                remedy="repair config.json in $DOCKER_CONFIG or ~/.docker, or write it anew with `docker login`",
                code="docker-config",
            ) from error

    def _set_auth_headers(self, headers: dict[str, Any]) -> None:
        """Of docker-py's build: it would ask the credential helpers of every registry that the machine knows."""
        headers["X-Registry-Config"] = auth.encode_header(self.logins)
