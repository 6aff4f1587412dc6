"""A network namespace for an engine, joined to this machine by one pair of interfaces whose bytes the kernel counts.

Inside there is nothing but the loopback and `eth0`.  The lab's registry has the same name there as here,
127.0.0.1:PORT: a relay inside carries it over the pair to a relay outside.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.lab import engine, processes, talk

if TYPE_CHECKING:
    from tools.lab.slots import Slot

BRIDGE = "br0"  # for an engine inside
RELAY = Path(__file__).with_name("relay.py")


@dataclass(frozen=True)
class Traffic:
    """Bytes at the engine's interface, packet headers included."""

    into: int
    out: int

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.into + other.into, self.out + other.out)

    def __sub__(self, earlier: Traffic) -> Traffic:
        return Traffic(self.into - earlier.into, self.out - earlier.out)


class Network:
    """A namespace and its pair, as a slot names them."""

    def __init__(self, slot: Slot, name: str) -> None:
        self.slot = slot
        self.name = name
        self._relays: list[processes.Daemon] = []

    @property
    def namespace(self) -> str:
        return f"{self.slot.mark}-{self.name}"

    @property
    def interface(self) -> str:
        """This machine's end of the pair."""
        return f"{self.slot.bridge}{self.name[-1]}n"[:15]

    def enter(self, argv: list[str]) -> list[str]:
        """The command inside; `ip netns exec` would hide the cgroups that an engine needs."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *argv]

    def open(self, ports: list[int]) -> None:
        """Make it, with these ports of 127.0.0.1 reachable from inside under the same name."""
        subnet = engine.free_subnet()
        here, there = subnet[1], subnet[2]
        talk.output(["ip", "netns", "add", self.namespace])
        inside = ["ip", "-n", self.namespace]
        pair = ["type", "veth", "peer", "name", "eth0", "netns", self.namespace]
        talk.output(["ip", "link", "add", self.interface, *pair])
        for command, device, address in ((["ip"], self.interface, here), (inside, "eth0", there)):
            talk.output([*command, "address", "add", f"{address}/{subnet.prefixlen}", "dev", device])
            talk.output([*command, "link", "set", device, "up"])
        talk.output([*inside, "link", "set", "lo", "up"])
        engine.add_bridge(BRIDGE, inside[1:])
        for port in ports:
            outside, loopback = f"tcp:{here}:{port}", f"tcp:127.0.0.1:{port}"
            self._relay(f"{port}-outside", [outside, loopback])
            self._relay(f"{port}-inside", [loopback, outside], inside=True)

    def close(self) -> None:
        for relay in self._relays:
            relay.stop()
        self._relays.clear()
        talk.output(["ip", "netns", "delete", self.namespace])

    def _relay(self, name: str, ends: list[str], *, inside: bool = False) -> None:
        argv = [sys.executable, str(RELAY), "--listen", ends[0], "--to", ends[1]]
        place = self.slot.state / f"relay-{self.name}-{name}"
        self._relays.append(start_relay(self.enter(argv) if inside else argv, place))

    def traffic(self) -> Traffic:
        """What has passed since it was made."""
        counters = Path("/sys/class/net", self.interface, "statistics")
        sent, received = (int((counters / f"{way}_bytes").read_text()) for way in ("tx", "rx"))
        return Traffic(into=sent, out=received)  # what this end sends is what the engine receives


def start_relay(argv: list[str], place: Path) -> processes.Daemon:
    """Start a relay and wait until it listens."""
    ready, pid_file = place.with_suffix(".ready"), place.with_suffix(".pid")
    ready.unlink(missing_ok=True)
    process = processes.start([*argv, "--ready", str(ready)], pid_file=pid_file, log=place.with_suffix(".log"))
    processes.wait_for(ready.exists, process, place.with_suffix(".log"), patience=20.0)
    return processes.Daemon(process, pid_file)
