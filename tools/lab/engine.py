"""The Docker Engine: one that answers already, or a private dockerd with everything of its own."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tools.lab import packages, processes, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.lab.slots import Slot

START = 60.0  # seconds for a dockerd to answer
KEEP = "release-lab=keep"  # label of the images that pruning leaves


def provide(slot: Slot) -> str:
    """The DOCKER_HOST of an engine that answers."""
    host = borrowed()
    if not host:
        packages.ensure(["dockerd", "docker", "ip"])
        host = borrowed()  # where systemd runs, installing docker.io starts an engine
    if host:
        talk.say(f"using the Docker Engine at {host}")
        return host
    return private(slot)


def borrowed() -> str:
    """The address of an engine that the docker client reaches as it is configured now, or ""."""
    if packages.missing(["docker"]) or not answers(None):
        return ""
    return os.environ.get("DOCKER_HOST") or talk.output(
        ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    )


def answers(host: str | None) -> bool:
    address = ["--host", host] if host else []
    return talk.succeeds(["docker", *address, "version", "--format", "{{.Server.Version}}"], timeout=20)


def private(slot: Slot) -> str:
    """Start a dockerd of the slot's own."""
    if os.environ.get("DOCKER_HOST"):
        talk.say(f"the Docker Engine at DOCKER_HOST={os.environ['DOCKER_HOST']} does not answer")
    if os.geteuid() != 0:
        raise talk.LabError("no Docker Engine answers, and only root can start one; start Docker, or use sudo")
    add_bridge(slot.bridge)
    host = f"unix://{slot.state}/engine.sock"
    log = slot.state / "dockerd.log"
    process = processes.start(daemon(slot, host), pid_file=slot.state / "dockerd.pid", log=log)
    processes.wait_for(lambda: answers(host), process, log, patience=START)
    forget_old_images(host)
    talk.say(f"started a private Docker Engine at {host}")
    return host


def daemon(slot: Slot, host: str) -> list[str]:
    """dockerd's command line.

    A bridge of its own, since a second dockerd without one deletes the first one's docker0.  No firewall
    rules either, because two engines share (and flush) the same chains: containers on the bridge reach only
    this machine, and builds that fetch packages use the network `host`.
    """
    configuration = slot.state / "daemon.json"  # else /etc/docker/daemon.json is read
    configuration.write_text(json.dumps({}), encoding="ascii")
    options = {
        "config-file": configuration,
        "data-root": slot.data,
        "exec-root": slot.state / "exec",
        "pidfile": slot.state / "dockerd-own-pid",
        "host": host,
        "bridge": slot.bridge,
        "iptables": "false",
        "ip6tables": "false",
        "ip-masq": "false",
        "ip-forward": "false",
        "cgroup-parent": f"/{slot.mark}",
        "exec-opt": "native.cgroupdriver=cgroupfs",  # systemd's driver refuses a path as parent
        "containerd-namespace": slot.mark,
        "containerd-plugins-namespace": f"{slot.mark}-plugins",
    }
    return ["dockerd", *(f"--{name}={value}" for name, value in options.items())]


def add_bridge(name: str, inside: Sequence[str] = ()) -> None:
    """A bridge with a small private subnet that no interface and no route of this machine uses.

    `inside` are the words that make `ip` work in a namespace.
    """
    subnet, command = free_subnet(), ["ip", *inside]
    talk.output([*command, "link", "add", name, "type", "bridge"])
    talk.output([*command, "address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", name])
    talk.output([*command, "link", "set", name, "up"])


def exists(interface: str) -> bool:
    return Path("/sys/class/net", interface).exists()


def free_subnet() -> ipaddress.IPv4Network:
    used = used_networks()
    candidates = list(ipaddress.IPv4Network("10.213.0.0/16").subnets(new_prefix=26))
    random.shuffle(candidates)  # two runs that look at the same moment should not choose alike
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    raise talk.LabError("10.213.0.0/16 is routed elsewhere on this machine; set DOCKER_HOST to an engine instead")


def used_networks() -> list[ipaddress.IPv4Network]:
    routes = json.loads(talk.output(["ip", "-4", "-json", "route", "show", "table", "all"]) or "[]")
    targets = (route["dst"] for route in routes if route["dst"] != "default")
    return [ipaddress.IPv4Network(target, strict=False) for target in targets]


def forget_old_images(host: str) -> None:
    """Keep the cached engine from growing for ever: layers unused for three days go."""
    prune = ["docker", "--host", host, "image", "prune", "--all", "--force"]
    subprocess.run(
        [*prune, "--filter", "until=72h", "--filter", f"label!={KEEP}"],
        stdout=subprocess.DEVNULL,
        check=False,  # a cache that could not be trimmed is no reason to refuse
    )
