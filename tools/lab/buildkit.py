"""A dockerd with BuildKit and the containerd store beside the lab's engine: of a slot, with everything of its own.

Started by who asks for one (the tests' fixture `buildkit`, tools/reproduce.py, tools/bench), inside `tools/lab run`. It
dies with its starter, and the slot's take-down ends what is left.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

from tools.lab import engine, netns, newer_docker, processes, slots, talk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tools.lab.slots import Slot


def unavailable(environment: Mapping[str, str]) -> str:
    """Why no such engine can be had here, or ""."""
    if "RELEASE_LAB_SLOT" not in environment:
        return "no lab: `python3 tools/lab run -- COMMAND` starts one"
    if os.geteuid() != 0 or shutil.which("apt-get") is None or shutil.which("nsenter") is None:
        return "a Docker with BuildKit of the lab's own needs root on Debian"
    try:
        newer_docker.unpacked(slot_of(environment).cache)
    except talk.LabError as error:
        return str(error)
    return ""


def slot_of(environment: Mapping[str, str]) -> Slot:
    """The slot of the lab around us."""
    if "RELEASE_LAB_SLOT" not in environment:
        raise talk.LabError("no lab around this: `python3 tools/lab run -- COMMAND` starts one")
    return slots.slot_at(environment["RELEASE_LAB_SLOT"])


class BuildKit:
    """One engine; `name` is two characters, which its interface carries.

    With a network of its own, `empty()` and `network.traffic()` tell what a build from nothing moves.
    """

    def __init__(self, slot: Slot, name: str = slots.KEPT, network: netns.Network | None = None) -> None:
        self._slot = slot
        self._name = name
        self.network = network
        self.root = newer_docker.unpacked(slot.cache)
        self.state = slot.state / name
        self.data = slot.buildkit / name
        self.host = f"unix://{self.state}/engine.sock"
        self._daemon: processes.Daemon | None = None
        self._ends: list[Endpoint] = []

    @property
    def plugin(self) -> Path:
        return self.root / "usr/libexec/docker/cli-plugins/docker-buildx"

    @property
    def environment(self) -> dict[str, str]:
        """What a user of this engine has: the client and buildx of the same Docker, and a configuration of its own."""
        path = f"{self.root}/usr/bin:{self.root}/usr/sbin:{os.environ['PATH']}"
        return {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.state / "config"), "PATH": path}

    def start(self) -> None:
        self.state.mkdir(mode=0o700, exist_ok=True)
        plugins = self.state / "config/cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        if not (plugins / "docker-buildx").is_symlink():
            (plugins / "docker-buildx").symlink_to(self.plugin)
        self._start_daemon()

    def _start_daemon(self) -> None:
        bridge = netns.BRIDGE
        if not self.network:
            bridge = f"{self._slot.bridge}{self._name[-1]}b"[:15]
            if not engine.exists(bridge):
                engine.add_bridge(bridge)
        argv = [str(self.root / "usr/sbin/dockerd"), *self._options(bridge)]
        argv = ["env", *(f"{name}={value}" for name, value in self._surroundings().items()), *argv]
        if self.network:
            argv = self.network.enter(argv)
        log = self.state / "dockerd.log"
        daemon = processes.start(argv, pid_file=self._pid_file, log=log)
        self._daemon = processes.Daemon(daemon, self._pid_file)
        processes.wait_for(lambda: engine.answers(self.host), daemon, log, patience=engine.START)

    def _surroundings(self) -> dict[str, str]:
        """What must not be its starter's: a test's folders are gone before it is.

        Without its TMPDIR BuildKit exports a layer in a second way, for which containerd's lock is not free yet ("ref
        ... locked for ...: unavailable").  On its PATH it looks for containerd and the shim.
        """
        temporary = self.state / "tmp"
        temporary.mkdir(exist_ok=True)
        return {"PATH": self.environment["PATH"], "TMPDIR": str(temporary), "HOME": str(self.state)}

    @property
    def _pid_file(self) -> Path:
        return self._slot.state / f"{self._name}-dockerd.pid"  # where the slot's take-down looks

    def _options(self, bridge: str) -> list[str]:
        settings = self.state / "daemon.json"
        settings.write_text(json.dumps({"features": {"containerd-snapshotter": True}}), encoding="ascii")
        mark = f"{self._slot.mark}-{self._name}"
        options = {
            "config-file": settings,
            "data-root": self.data,
            "exec-root": self.state / "exec",
            "pidfile": self.state / "dockerd-own-pid",
            "host": self.host,
            "bridge": bridge,
            "iptables": "false",
            "ip6tables": "false",
            "ip-masq": "false",
            "ip-forward": "false",
            "cgroup-parent": f"/{mark}",
            "exec-opt": "native.cgroupdriver=cgroupfs",
        }
        return [f"--{name}={value}" for name, value in options.items()]

    def stop(self) -> None:
        """End it and everything that belongs to it."""
        for end in self._ends:
            end.close()
        self._ends.clear()
        self._stop_daemon()
        if self.network:
            self.network.close()

    def _stop_daemon(self) -> None:
        processes.kill_containers(f"{self._slot.mark}-{self._name}")
        if self._daemon:
            self._daemon.stop()
        slots.unmount(self.state, self.data)

    def empty(self) -> None:
        """Start again with nothing in the store."""
        self._stop_daemon()
        shutil.rmtree(self.data, ignore_errors=True)
        self._start_daemon()

    def traffic(self) -> netns.Traffic:
        """The bytes at its interface.  Raises LabError where it has none of its own."""
        if not self.network:
            raise talk.LabError("this engine has no network of its own: buildkit.counted makes one that has")
        return self.network.traffic()

    def load(self, image: str) -> None:
        """An image of the lab's own engine, taken over once."""
        here = ["docker", "--host", self.host]
        known = self.data / f"loaded-{image.replace('/', '_').replace(':', '_')}"
        identity = talk.output(["docker", "image", "inspect", "--format", "{{.Id}}", image])
        if known.exists() and known.read_text() == identity and talk.succeeds([*here, "image", "inspect", image]):
            return
        archive = self.state / "loading.tar"
        talk.output(["docker", "save", "--output", str(archive), image], timeout=300)
        talk.output([*here, "load", "--input", str(archive)], timeout=300)
        archive.unlink()
        known.write_text(identity)

    def end(self, listen: str = "", *, tls: tuple[Path, Path, Path] | None = None) -> Endpoint:
        """Another way to its BuildKit: what buildx's driver `remote` takes, as a buildkitd's address.

        By default a unix socket; `tcp:127.0.0.1:PORT` with `tls` (certificate, key, authority) is one with mTLS.
        """
        number = len(self._ends)
        place = self._slot.state / f"{self._name}-end{number}"
        address = listen or f"unix:{place}.sock"
        argv = ["--listen", address, "--to", f"unix:{self.state}/engine.sock", "--upgrade"]
        argv += ["--tls", *map(str, tls)] if tls else []
        relay = netns.start_relay([sys.executable, str(netns.RELAY), *argv], place)
        self._ends.append(Endpoint(address.replace(":", "://", 1), relay))
        return self._ends[-1]


class Endpoint:
    """A way to a BuildKit, which can be closed alone: a node that is down."""

    def __init__(self, address: str, relay: processes.Daemon) -> None:
        self.address = address
        self._relay = relay

    def close(self) -> None:
        self._relay.stop()


def main_engine(environment: Mapping[str, str]) -> BuildKit:
    """The slot's own one, started."""
    made = BuildKit(slot_of(environment))
    made.start()
    engine.forget_old_images(made.host)
    return made


def counted(environment: Mapping[str, str], name: str = "b1") -> BuildKit:
    """One in a network of its own that reaches nothing but the lab's registry, started with an empty store."""
    slot = slot_of(environment)
    network = netns.Network(slot, name)
    network.open([int(environment["RELEASE_LAB_REGISTRY"].rpartition(":")[2])])
    made = BuildKit(slot, name, network)
    shutil.rmtree(made.data, ignore_errors=True)
    made.start()
    return made
