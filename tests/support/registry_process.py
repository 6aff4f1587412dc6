"""A real `docker-registry` (Debian's package of that name) with htpasswd logins, on a free loopback port.

It needs no Docker Engine.  Nothing of it is left when the `with` block ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USERS: Final = {"ada": "open:sesame", "bob": "builder"}
_START_SECONDS: Final = 20.0


@dataclass(frozen=True)
class RunningRegistry:
    """`host` is `127.0.0.1:port`; `folder` holds its storage, configuration and `log`."""

    host: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def running_registry(
    folder: Path,
    *,
    users: Mapping[str, str] = USERS,
    read_only: bool = False,
    tls: tuple[Path, Path] | None = None,
) -> Iterator[RunningRegistry]:
    """Start one over the storage in `folder` (kept, so that it can be started again) and stop it at the end.

    Without `users` everybody may do everything.  `tls` is a certificate and its key.
    """
    program = _program("docker-registry", "docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    config.write_text(json.dumps(_config(folder, users, read_only=read_only, tls=tls)), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log, cwd=folder)
    try:
        yield RunningRegistry(f"127.0.0.1:{_wait_for_port(process, folder / 'log')}", folder)
    finally:
        _stop(process)


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path:
        return path
    reason = f"{name} is needed for this test: apt install {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _config(
    folder: Path, users: Mapping[str, str], *, read_only: bool, tls: tuple[Path, Path] | None
) -> dict[str, object]:
    """The registry reads YAML, of which JSON is a part."""
    http: dict[str, object] = {"addr": "127.0.0.1:0", "secret": "only for tests"}
    if tls:
        http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "maintenance": {"readonly": {"enabled": read_only}},
        },
        "http": http,
    }
    if users:
        (folder / "htpasswd").write_text("".join(map(_htpasswd_line, users, users.values())), encoding="utf-8")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    return config


def _htpasswd_line(user: str, password: str) -> str:
    command = [_program("htpasswd", "apache2-utils"), "-B", "-C", "4", "-i", "-n", user]
    done = subprocess.run(command, input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip() + "\n"


def _wait_for_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the kernel gave it: it is listening from the moment that it says so."""
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        text = log.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"listening on 127\.0\.0\.1:([0-9]+)", text)
        if found:
            return int(found[1])
        if process.poll() is not None:
            pytest.fail(f"docker-registry ended with {process.returncode}:\n{text}")
        time.sleep(0.02)
    return pytest.fail(f"docker-registry did not start in {_START_SECONDS:g} s:\n{log.read_text()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
