"""Where the program is: found without loading what runs it, since most plans are made where there is none."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = "docker-buildx"
# Where docker's own client looks for its plugins, after the user's folder.
_FOLDERS: Final = ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")


def program(env: Mapping[str, str]) -> Path:
    """docker's plugin, or the same program on PATH.  Raises UsageError where there is none."""
    folder = user_folder(env)
    extra = read_settings(folder / "config.json").get("cliPluginsExtraDirs")
    places = [folder / "cli-plugins", *(Path(str(each)) for each in (extra if isinstance(extra, list) else ()))]
    places += [Path(each, "docker/cli-plugins") for each in _FOLDERS]
    found = next((place / _NAME for place in places if os.access(place / _NAME, os.X_OK)), None)
    on_path = shutil.which(_NAME, path=env.get("PATH"))
    if found is None and on_path is None:
        raise UsageError(
            "there is no docker buildx on this machine",
            remedy="install it (docker-buildx, docker-buildx-plugin), or set `builder: classic` under `image:`",
            code="no-buildx",
        )
    return found or Path(str(on_path))


def user_folder(env: Mapping[str, str]) -> Path:
    """docker's folder of settings."""
    if env.get("DOCKER_CONFIG"):
        return Path(env["DOCKER_CONFIG"])
    return (Path(env["HOME"]) if env.get("HOME") else Path.home()) / ".docker"


def read_settings(path: Path) -> dict[str, Any]:
    """A config.json of docker's; empty where there is none, or something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
