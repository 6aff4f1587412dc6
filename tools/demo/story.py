"""The story, scene by scene.  `release` is called in `scene_release` and `scene_again`, nowhere else."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tools.demo import manifests, next_patch, sandbox
from tools.demo.manifests import size
from tools.demo.shell import DemoError, Shell, heading, note

if TYPE_CHECKING:
    from tools.demo.sandbox import Sandbox

CACHE = "release-demo/cache"  # with the variant as tag, what stays in the engine: the next demo finds the layers

# Ends twenty loops early, then looks what is left.
PROBE = """
import threading, importlib.util, pathlib
from trainkit import dataloader
for _ in range(20):
    for batch in dataloader.Prefetcher(range(10_000)):
        break
version = pathlib.Path("/etc/release/version").read_text().strip()
left = sum(thread.name == "prefetch" for thread in threading.enumerate())
wip = importlib.util.find_spec("trainkit.adaptive") is not None or dataloader.DEPTH != 4
print(version, left, wip)
"""


@dataclass
class Stage:
    """What the scenes share."""

    folder: Path
    repository: str
    base: str
    variant: str
    username: str
    password: str = field(repr=False)
    seconds: dict[str, float] = field(default_factory=dict)

    def manifest(self, tag: str) -> manifests.Manifest:
        return manifests.fetch(self.repository, tag, self.username, self.password)

    def login(self, name: str) -> dict[str, str]:
        """The environment of a docker client of its own, logged in."""
        environment = {"DOCKER_CONFIG": str(self.folder / name)}
        host = self.repository.partition("/")[0]
        argv = ("docker", "login", "--username", self.username, "--password-stdin", host)
        Shell(self.folder, environment).quiet(*argv, stdin=self.password.encode())
        return environment


def tell(folder: Path, variant: str) -> None:
    """Raises DemoError when a scene does not end as it should."""
    stage = Stage(
        folder=folder,
        repository=f"{os.environ['RELEASE_LAB_REGISTRY']}/release-demo/pytorch-cuda",
        base=os.environ["RELEASE_LAB_BASE"],
        variant=variant,
        username=os.environ["RELEASE_LAB_USERNAME"],
        password=os.environ["RELEASE_LAB_PASSWORD"],
    )
    started = time.monotonic()
    box = sandbox.make(folder, stage.repository, stage.base, variant)
    try:
        scene_published(stage, box)
        scene_release(stage, box)
        scene_layers(stage)
        scene_colleague(stage)
        scene_proved(stage, box)
        scene_again(stage, box)
        if variant != sandbox.LIGHT:
            next_patch.measure(releaser(stage, box), stage.repository)
    finally:
        forget_names(stage, box.shell)
    summary(stage, time.monotonic() - started)


def scene_published(stage: Stage, box: Sandbox) -> None:
    """v2.7.0 as the team had built it by hand: from a clean archive of the tag."""
    heading("v2.7.0 is out, and its data loader leaks a thread for every loop that ends early")
    image = f"{stage.repository}:v2.7.0"
    started = time.monotonic()
    archive = stage.folder / "v2.7.0.tar"
    box.shell.quiet("git", "-c", "tar.umask=0022", "archive", "--output", str(archive), "v2.7.0")
    arguments = {
        "BASE_IMAGE": stage.base,
        "VARIANT": stage.variant,
        "RELEASE_VERSION": "v2.7.0",
        "RELEASE_REVISION": box.shell.quiet("git", "rev-parse", "v2.7.0^{commit}"),
    }
    build = ["docker", "build", "--quiet", "--network", "host", "--file", sandbox.DOCKERFILE, "--tag", image]
    build += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    box.shell.quiet(*build, "-", stdin=classic(archive.read_bytes()), more={"DOCKER_BUILDKIT": "0"})
    stage.seconds["build v2.7.0"] = time.monotonic() - started
    started = time.monotonic()
    box.shell.quiet("docker", "push", "--quiet", image, more=stage.login("maintainer"))
    stage.seconds["push v2.7.0"] = time.monotonic() - started
    box.shell.quiet("docker", "tag", image, f"{CACHE}:{stage.variant}")
    note(f"built in {stage.seconds['build v2.7.0']:.1f} s, pushed in {stage.seconds['push v2.7.0']:.1f} s")
    box.shell.show("git", "log", "--oneline", "--graph", "main", "fix/dataloader-leak")
    note("the fix is the middle commit of its branch; the two around it are unfinished work")


def classic(archive: bytes) -> bytes:
    """A build context whose Dockerfile Docker's classic client can read: `COPY --link` is nothing to it."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as new,
    ):
        for member in old:
            data = old.extractfile(member)
            content = data.read() if data else b""
            if member.name == sandbox.DOCKERFILE:
                content = content.replace(b"COPY --link", b"COPY")
                member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return out.getvalue()


def scene_release(stage: Stage, box: Sandbox) -> None:
    """The product: plan, then cut."""
    heading("the release")
    shell = releaser(stage, box)
    shell.show("cat", "release.yaml")
    stage.seconds["release plan v2.7.1"] = shell.show("release", "plan", "v2.7.1")
    stage.seconds["release cut v2.7.1"] = shell.show("release", "cut", "v2.7.1", "--yes")
    shell.quiet("git", "fetch", "--quiet", "--tags", "origin")
    shell.show("git", "log", "--oneline", "v2.7.0..v2.7.1")


def releaser(stage: Stage, box: Sandbox) -> Shell:
    """The clone, with the installed `release` first on the path and the registry's login."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RELEASE_REGISTRY_USERNAME": stage.username,
        "RELEASE_REGISTRY_PASSWORD": stage.password,
    }
    return Shell(box.shell.folder, {**box.shell.environment, **environment})


def scene_layers(stage: Stage) -> None:
    """What the registry holds under both versions."""
    heading("what moved")
    old, new = stage.manifest("v2.7.0"), stage.manifest("v2.7.1")
    shared = [count for digest, count in new.layers.items() if digest in old.layers]
    added = [count for digest, count in new.layers.items() if digest not in old.layers]
    note(f"v2.7.0  {old.digest}")
    note(f"v2.7.1  {new.digest}")
    note(f"shared with v2.7.0: {len(shared)} layers, {size(sum(shared))}")
    note(f"new in v2.7.1:      {len(added)} layers, {size(sum(added))}")
    if sum(added) > 100_000:
        raise DemoError("v2.7.1 moved more than its thin layers: a heavy layer was built again")


def scene_colleague(stage: Stage) -> None:
    """Somebody who has v2.7.0 pulls v2.7.1 with a client of their own."""
    heading("a colleague who has v2.7.0 pulls v2.7.1")
    shell = Shell(stage.folder, stage.login("colleague"))
    forget_names(stage, shell, keep="v2.7.0")
    stage.seconds["docker pull v2.7.1"] = shell.show("docker", "pull", f"{stage.repository}:v2.7.1")
    before, after = probe(stage, shell, "v2.7.0"), probe(stage, shell, "v2.7.1")
    note(f"v2.7.0 says {before[0]}; threads left after 20 loops that ended early: {before[1]}")
    note(f"v2.7.1 says {after[0]}; threads left after 20 loops that ended early: {after[1]}")
    note(f"unfinished work inside v2.7.1: {'YES' if after[2] == 'True' else 'none'}")
    if before != ("v2.7.0", "20", "False") or after != ("v2.7.1", "0", "False"):
        raise DemoError(f"the images are not what the story says: {before}, {after}")


def forget_names(stage: Stage, shell: Shell, keep: str = "-") -> None:
    """Remove the engine's local names of this repository, but not the tag `keep`."""
    listing = ("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", stage.repository)
    names = [name for name in shell.quiet(*listing).splitlines() if not name.endswith((f":{keep}", ":<none>"))]
    if names:
        shell.quiet("docker", "image", "rm", *names)


def probe(stage: Stage, shell: Shell, tag: str) -> tuple[str, ...]:
    """Version inside, threads left, unfinished work inside."""
    run = ("docker", "run", "--rm", "--network", "none", f"{stage.repository}:{tag}", "python", "-c", PROBE)
    return tuple(shell.quiet(*run).split())


def scene_proved(stage: Stage, box: Sandbox) -> None:
    """Anybody can prove it again, at any time: the branch commit by commit, and what is public."""
    heading("is it what it says?")
    shell = releaser(stage, box)
    stage.seconds["release audit"] = shell.show("release", "audit", "--all")
    stage.seconds["release verify v2.7.1"] = shell.show("release", "verify", "v2.7.1")


def scene_again(stage: Stage, box: Sandbox) -> None:
    """The same command once more: nothing to do, and nothing changes."""
    heading("the same command again")
    before = stage.manifest("v2.7.1").digest
    shell = releaser(stage, box)
    stage.seconds["release cut v2.7.1, again"] = shell.show("release", "cut", "v2.7.1", "--yes")
    if stage.manifest("v2.7.1").digest != before:
        raise DemoError("v2.7.1 names another image than before")


def summary(stage: Stage, total: float) -> None:
    heading("seconds")
    for name, seconds in (stage.seconds | {"the whole demo": total}).items():
        print(f"   {name:<28}{seconds:6.1f}")
