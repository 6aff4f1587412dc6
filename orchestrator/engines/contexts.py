"""docker's contexts, as docker's own client reads them: `contexts/` beside config.json, which need not be there.

docker-py finds them only where there is a config.json, and by the environment of the process alone.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT: Final = "default"  # docker's name for no context at all
_FILES: Final = ("ca.pem", "cert.pem", "key.pem")
_REMEDY: Final = "see `docker context ls`, or set DOCKER_HOST"


@dataclass(frozen=True, kw_only=True)
class DockerContext:
    """Where a context's engine is.  `certificates` has those of ca.pem, cert.pem and key.pem that there are."""

    host: str
    certificates: Mapping[str, Path]
    verify: bool


def chosen_context(env: Mapping[str, str]) -> DockerContext | None:
    """The context that DOCKER_CONTEXT or config.json names; None for docker's default engine.

    Raises UsageError where it is not there, or cannot be read.
    """
    folder = _folder(env)
    name = env.get("DOCKER_CONTEXT") or _current(folder / "config.json")
    if name == _DEFAULT:
        return None
    key = hashlib.sha256(name.encode()).hexdigest()
    endpoint = _endpoint(name, folder / "contexts/meta" / key / "meta.json")
    host = endpoint.get("Host")
    if not isinstance(host, str) or not host:
        raise _unusable(name, "it names no docker engine")
    tls = folder / "contexts/tls" / key / "docker"
    files = {file: tls / file for file in _FILES if (tls / file).is_file()}
    return DockerContext(host=host, certificates=files, verify=endpoint.get("SkipTLSVerify") is not True)


def _folder(env: Mapping[str, str]) -> Path:
    if env.get("DOCKER_CONFIG"):
        return Path(env["DOCKER_CONFIG"])
    return (Path(env["HOME"]) if env.get("HOME") else Path.home()) / ".docker"


def _current(config: Path) -> str:
    """What `docker context use` chose; a config.json that cannot be read chooses nothing, as for docker-py."""
    values = _read(config)
    current = values.get("currentContext") if isinstance(values, dict) else None
    return current if isinstance(current, str) and current else _DEFAULT


def _endpoint(name: str, meta: Path) -> Mapping[str, Any]:
    if not meta.is_file():
        raise UsageError(f"docker has no context {name!r}", where=str(meta), remedy=_REMEDY, code="engine-context")
    values = _read(meta)
    endpoints = values.get("Endpoints") if isinstance(values, dict) else None
    endpoint = endpoints.get("docker") if isinstance(endpoints, dict) else None
    if not isinstance(endpoint, dict):
        raise _unusable(name, f"{meta} is no description of a context")
    return endpoint


def _read(path: Path) -> object:
    """A JSON file, None where it is not there or holds something else."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _unusable(name: str, why: str) -> UsageError:
    return UsageError(f"docker's context {name!r} cannot be used: {why}", remedy=_REMEDY, code="engine-context")
