"""A registry on 127.0.0.1 that wants a login: Debian's docker-registry, or the registry image."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.lab import packages, processes, slots, talk

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tools.lab.slots import Slot

START = 20.0  # seconds for the registry to answer
USERNAME = "release-bot"


@dataclass(frozen=True)
class Registry:
    """Where it listens, and who may log in."""

    address: str
    username: str
    password: str = field(repr=False)


def log_file(slot: Slot) -> Path:
    """Where a registry that is a process of ours writes its access log."""
    return slot.state / "registry.log"


def provide(slot: Slot, host: str) -> Registry:
    """Start one with a password made for this run."""
    password = secrets.token_urlsafe(24)
    if packages.can_install() or not packages.missing(["docker-registry", "htpasswd"]):
        packages.ensure(["docker-registry", "htpasswd"])
        return from_package(slot, password)
    return from_image(slot, host, password)


def from_package(slot: Slot, password: str) -> Registry:
    users = slot.state / "htpasswd"
    cheap = ["-C", "4"]  # bcrypt's least: each request is a login, and the password lives as long as the run
    users.write_text(talk.output(["htpasswd", "-niB", *cheap, USERNAME], stdin=password) + "\n", encoding="ascii")
    log = log_file(slot)
    for _attempt in range(3):  # another program may take the port between the look and the start
        port = free_port()
        configuration = slot.state / "registry.yml"
        configuration.write_text(json.dumps(settings(slot, port, users)), encoding="ascii")
        process = processes.start(
            ["docker-registry", "serve", str(configuration)], pid_file=slot.state / "registry.pid", log=log
        )
        if comes_up(port, process):
            return Registry(address=f"127.0.0.1:{port}", username=USERNAME, password=password)
        processes.stop(slot.state / "registry.pid")
    raise talk.LabError(f"the registry did not start; end of {log}:\n{talk.tail(log)}")


def settings(slot: Slot, port: int, users: Path) -> dict[str, object]:
    """The registry's configuration; JSON is YAML.  Keys: distribution's configuration reference."""
    return {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(slot.blobs)}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": secrets.token_hex(16)},
        "auth": {"htpasswd": {"realm": "release-lab", "path": str(users)}},
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def comes_up(port: int, process: subprocess.Popen[bytes] | None) -> bool:
    """Wait until it answers 401: alive, and it wants a login."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        if status(port) == 401:
            return True
        time.sleep(0.05)
    return False


def status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def from_image(slot: Slot, host: str, password: str) -> Registry:
    """The way for machines without Debian's packages.

    Needs a hub that answers.  There was none where this was written, so this function has never run.
    """
    docker = ["docker", "--host", host]
    hashed = talk.output(
        [*docker, "run", "--rm", "-i", "--entrypoint", "htpasswd", "httpd:2", "-niB", USERNAME],
        stdin=password,
        timeout=300,
    )
    users = slot.state / "htpasswd"
    users.write_text(hashed + "\n", encoding="ascii")
    environment = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "release-lab",
        "REGISTRY_AUTH_HTPASSWD_PATH": "/htpasswd",
        "REGISTRY_STORAGE_DELETE_ENABLED": "true",
    }
    flags = [flag for name, value in environment.items() for flag in ("--env", f"{name}={value}")]
    create = [*docker, "create", "--name", slot.mark, "--publish", "127.0.0.1::5000", *flags, "registry:2"]
    slot.container.write_text(host, encoding="utf-8")  # before there is something to remove
    slots.remove_container(slot)
    talk.output(create, timeout=300)
    talk.output([*docker, "cp", str(users), f"{slot.mark}:/htpasswd"])
    talk.output([*docker, "start", slot.mark])
    port = int(talk.output([*docker, "port", slot.mark, "5000/tcp"]).splitlines()[0].rpartition(":")[2])
    if not comes_up(port, None):
        raise talk.LabError(f"the registry container {slot.mark} does not answer")
    return Registry(address=f"127.0.0.1:{port}", username=USERNAME, password=password)
