"""The real image's next patch releases, on the heavy base that is there: their seconds, and the bytes that they move.

The bytes are the kernel's, as in tools/bench/thin.py: at the interface of an engine that starts with nothing, and at
that of the namespace in which `release` runs.  Smoke tests are made by the lab's engine, which has the base.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from tools.bench.thin import Machine, Row
from tools.demo import sandbox
from tools.demo.manifests import size
from tools.demo.shell import DemoError, Shell, heading, note
from tools.lab import buildkit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


RELEASE_BYTES = 256 << 10  # of a patch release, each way; what moves more is marked
CLIENT_BYTES = 64 << 10  # that somebody with an earlier version pulls
POLLS = {"v2.7.2": "0.02", "v2.7.3": "0.01"}  # what the fix of each makes of the loader's `POLL`


def measure(releaser: Shell, repository: str) -> None:
    """Raises DemoError when a client of an earlier version pulls more than thin layers."""
    heading("the next patch releases, on the heavy base that is there")
    if reason := buildkit.unavailable(os.environ):
        note(f"not measured: {reason}")
        return
    machine = Machine()
    try:
        by_no_engine(machine, releaser)
        by_buildx(machine, releaser)
        pulled(machine, [f"{repository}:{version}" for version in ("v2.7.0", "v2.7.1", *POLLS)])
    finally:
        machine.close()


def by_no_engine(machine: Machine, releaser: Shell) -> None:
    declare(releaser, "v2.7.2", "0.05")
    cut(machine, releaser, "v2.7.2", "none", machine.lab)


def by_buildx(machine: Machine, releaser: Shell) -> None:
    """By an engine that has nothing."""
    declare(releaser, "v2.7.3", POLLS["v2.7.2"], "  builder: buildx\n")
    surroundings = machine.lab | machine.far()
    machine.empty()
    cut(machine, releaser, "v2.7.3", "buildx", surroundings)


def declare(work: Shell, version: str, poll: str, more: str = "") -> None:
    """A fix on main, and release.yaml for it; `more` is what the image gets."""
    sandbox.edit(work, ((f"POLL = {poll} ", f"POLL = {POLLS[version]} "),))
    day = 9 + list(POLLS).index(version)
    fix = sandbox.commit(work, f"fix(dataloader): look every {POLLS[version]} s whether anybody listens", day=day)
    path = work.folder / "release.yaml"
    entry = f"  {version}:\n    fixes: [{{commit: {fix[:12]}, reason: a loop that ends early waits less}}]\n"
    path.write_text(path.read_text().replace("\nimage:\n", f"\n{entry}image:\n{more}"))
    sandbox.commit(work, f"chore: declare {version}", day=day)
    work.quiet("git", "push", "--quiet", "origin", "main")


def cut(machine: Machine, releaser: Shell, version: str, engine: str, surroundings: Mapping[str, str]) -> None:
    """Cut it in the namespace whose bytes are counted, and say what that took."""
    environment = {**surroundings, "PATH": path(releaser, surroundings)}
    before, begun = machine.moved(), time.perf_counter()
    releaser.quiet(*machine.client.enter(["release", "cut", version, "--yes"]), more=environment)
    spent, moved = time.perf_counter() - begun, machine.moved() - before
    record: dict[str, Any] = json.loads(releaser.quiet("release", "show", version, "--json"))
    made, smoke = took(record, "build", "upload", "promote"), took(record, "smoke")
    over = "" if max(moved.into, moved.out) <= RELEASE_BYTES else f"   OVER: {RELEASE_BYTES:,} B each way"
    row = Row(f"{version}, engine {record['images'][0]['engine']}", spent - smoke, made, moved)
    note(f"{row}{over}")
    note(f"  and {smoke:.1f} s of smoke test, on an engine that has the base")
    if record["images"][0]["engine"] != engine:
        raise DemoError(f"{version} was made by {record['images'][0]['engine']}, not by {engine}")


def took(record: Mapping[str, Any], *steps: str) -> float:
    seconds: dict[str, float] = record["seconds"]
    return sum(each for name, each in seconds.items() if name.partition("/")[0] in steps)


def path(releaser: Shell, surroundings: Mapping[str, str]) -> str:
    """The installed `release` first, then what the machine brings: another docker, with buildx."""
    mine = releaser.environment["PATH"]
    return f"{mine.partition(os.pathsep)[0]}{os.pathsep}{surroundings.get('PATH', mine)}"


def pulled(machine: Machine, names: Iterable[str]) -> None:
    """An engine that has nothing pulls one version after the other; only the first may be large."""
    heading("a machine that has nothing pulls v2.7.0, then each version after it")
    machine.empty()
    shell = Shell(machine.engine.state, machine.engine.environment)
    for number, name in enumerate(names):
        before, begun = machine.engine.traffic(), time.perf_counter()
        shell.quiet("docker", "pull", "--quiet", name)
        moved = machine.engine.traffic() - before
        note(f"{name.rpartition(':')[2]}: {size(moved.into)} in {time.perf_counter() - begun:.2f} s")
        if number and moved.into > CLIENT_BYTES:
            raise DemoError(f"{name} took {moved.into:,} bytes, more than {CLIENT_BYTES:,}")
