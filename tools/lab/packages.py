"""Debian packages that the lab needs and the machine lacks."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tools.lab import slots, talk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

COMMANDS = {  # command -> package
    "dockerd": "docker.io",
    "docker": "docker.io",
    "ip": "iproute2",
    "docker-registry": "docker-registry",
    "htpasswd": "apache2-utils",
    "mmdebstrap": "mmdebstrap",
    "groovy": "groovy",
    "sshd": "openssh-server",
}


def can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def ensure(commands: Iterable[str]) -> None:
    """Install the packages of the commands that are missing.  Raises LabError saying what to do."""
    wanted = sorted({COMMANDS[command] for command in commands if shutil.which(command) is None})
    if not wanted:
        return
    if not can_install():
        raise talk.LabError(
            f"missing: {', '.join(wanted)}.  Start a Docker Engine (DOCKER_HOST counts) or install them; "
            "as root on Debian the lab installs them itself"
        )
    talk.say(f"apt-get install {' '.join(wanted)}")
    apt("update")
    apt("install", "--yes", "--no-install-recommends", *wanted)


def apt(*arguments: str) -> None:
    """apt-get, one at a time; the output goes to a log.

    An interruption waits for its end: a killed dpkg leaves the machine half configured.
    """
    argv = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with slots.locked(slots.cache() / "apt.lock"):
        talk.logged(argv, apt_log(), environment=environment, unbroken=True)


def apt_log() -> Path:
    return slots.cache() / "apt.log"


def missing(commands: Sequence[str]) -> bool:
    return any(shutil.which(command) is None for command in commands)


def extract(package: str, into: Path) -> None:
    """Unpack a package into a folder without installing it."""
    into.mkdir(parents=True, exist_ok=True)
    # apt-get download has no target option; a list that is too old names files that are gone.
    fetch = ["sh", "-c", f"cd '{into}' && apt-get download -q {package}"]
    if not talk.succeeds(fetch, timeout=120):
        apt("update")
        talk.output(fetch)
    for archive in into.glob(f"{package}_*.deb"):
        talk.output(["dpkg-deb", "--extract", str(archive), str(into)])
        archive.unlink()
