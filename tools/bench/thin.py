"""`make bench-image`, inside the lab: what a patch release with an image moves and costs, from an empty engine.

Every row is a `release cut` of the same one-line fix in a repository of its own, with the bytes counted by the kernel:
at the interface of the engine that builds, and at that of the namespace in which `release` itself runs.  Smoke tests
are made where the bytes are already, by the lab's engine, and their seconds are taken off.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run by its path, it knows no package

from tools.demo.shell import DemoError, Shell
from tools.lab import buildkit, netns, talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tools.lab.netns import Traffic

PROJECT = Path(__file__).resolve().parents[2]
WEIGHT = 64 << 20  # bytes of the base that do not compress
BEFORE, VERSION = "v2.7.1", "v2.7.2"
HEAVY = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}} AS heavy
RUN mkdir -p /opt /etc/release && head -c {WEIGHT} /dev/urandom > /opt/weights
"""
END = """
FROM heavy
COPY --link loader.py /opt/loader.py
ARG RELEASE_VERSION
COPY --link <<END /etc/release/version
$RELEASE_VERSION
END
"""
THIN = f"{HEAVY}{END}"
# BuildKit dates what is younger than the release back, and with it every layer: the lab's busybox is of today, so it is
# copied.  No step runs on another platform than the engine's.
BUILT = f"""\
{HEAVY.replace("FROM $", "FROM --platform=linux/amd64 $").replace("AS heavy", "AS below")}
FROM scratch AS heavy
COPY --from=below / /
{END}"""
PLATFORMS = "  platforms: [linux/amd64, linux/arm64]\n"
# On a base that is heavy already, and as the classic builder can make it: nothing but the two files is new.
CLASSIC = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY loader.py /opt/loader.py
ARG RELEASE_VERSION
RUN mkdir -p /etc/release && printf '%s\\n' "$RELEASE_VERSION" > /etc/release/version
"""
WHO = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Dana", "GIT_AUTHOR_EMAIL": "dana@example.com",
    "GIT_COMMITTER_NAME": "Dana", "GIT_COMMITTER_EMAIL": "dana@example.com",
}  # fmt: skip
RELEASE = [sys.executable, "-m", "orchestrator"]
PROGRAM = {"PYTHONPATH": str(PROJECT)}
CONFIG = """\
version: 1
branch: release/v2.7
source: [main]
releases:
  {version}:
    fixes: [{{commit: {fix}, reason: a worker that never ends}}]
image:
  repository: {repository}
  build-args: {{BASE_IMAGE: "{base}"}}
{more}  smoke: ["grep -q {version} /etc/release/version"]
"""


@dataclass(frozen=True)
class Row:
    """What it took: seconds of the whole command, those of making and pushing the image, bytes that came and went."""

    name: str
    seconds: float
    image: float
    moved: Traffic

    def limits(self, seconds: float, size: int) -> str:
        """Against what it must stay below; what is over is named."""
        over = [f"{self.seconds:.1f} s over {seconds:g}"] if self.seconds > seconds else []
        over += [f"{each:,} B over {size:,}" for each in (self.moved.into, self.moved.out) if each > size]
        return ", ".join(over)

    def __str__(self) -> str:
        took = f"{self.seconds:6.2f} s, image {self.image:.2f} s"
        return f"{self.name:<36} {took} {self.moved.into:>12,} in {self.moved.out:>12,} out"


class Release:
    """A repository with two fixes, the first of them released: what is measured is the second."""

    def __init__(self, folder: Path, name: str, dockerfile: str, more: str, base: str) -> None:
        self.repository = f"{os.environ['RELEASE_LAB_REGISTRY']}/bench{os.getpid()}/{name}"
        self._base, self._more = base, more
        environment = {
            **WHO,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RELEASE_REGISTRY_USERNAME": os.environ["RELEASE_LAB_USERNAME"],
            "RELEASE_REGISTRY_PASSWORD": os.environ["RELEASE_LAB_PASSWORD"],
        }
        folder.mkdir()
        Shell(folder, environment).quiet("git", "init", "--quiet", "--bare", "origin.git")
        self.shell = Shell(folder / "clone", environment)
        Shell(folder, environment).quiet("git", "clone", "--quiet", "origin.git", "clone")
        self._write("Dockerfile", dockerfile, "feat: the image")
        self._git("push", "--quiet", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/release/v2.7")
        self._git("tag", "--annotate", "v2.7.0", "--message", "v2.7.0")
        self._git("push", "--quiet", "origin", "v2.7.0")
        self._fixes = [self._write("loader.py", f"closed = {number}\n", f"fix: {number}") for number in (1, 2)]
        self._git("push", "--quiet", "origin", "HEAD:refs/heads/main")

    def _git(self, *argv: str) -> str:
        return self.shell.quiet("git", *argv)

    def _write(self, name: str, text: str, message: str) -> str:
        (self.shell.folder / name).write_text(text)
        self._git("add", name)
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD")

    def cut(self, version: str, enter: Callable[[list[str]], list[str]], env: Mapping[str, str]) -> float:
        """Seconds without the smoke test."""
        fix = self._fixes[0 if version == BEFORE else 1]
        config = CONFIG.format(version=version, fix=fix, repository=self.repository, base=self._base, more=self._more)
        (self.shell.folder / "release.yaml").write_text(config)
        begun = time.perf_counter()
        self.shell.quiet(*enter([*RELEASE, "cut", version, "--yes"]), more={**env, **PROGRAM})
        spent = time.perf_counter() - begun
        return spent - self.seconds("smoke", version=version)

    def _record(self, version: str) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.shell.quiet(*RELEASE, "show", version, "--json", more=PROGRAM))
        return record

    def seconds(self, *steps: str, version: str = VERSION) -> float:
        """Of these steps of a release; each is told with what it was made for: `smoke/v2.7.2`."""
        took: dict[str, float] = self._record(version)["seconds"]
        return sum(each for name, each in took.items() if name.partition("/")[0] in steps)

    def image(self) -> dict[str, Any]:
        image: dict[str, Any] = self._record(VERSION)["images"][0]
        return image


class Machine:
    """The lab's engine, one engine to empty, and a namespace for the client: what crosses their borders is counted."""

    def __init__(self) -> None:
        self.engine = buildkit.counted(os.environ, "b1")
        slot = buildkit.slot_of(os.environ)
        self.client = netns.Network(slot, "b2")
        self.client.open([int(os.environ["RELEASE_LAB_REGISTRY"].rpartition(":")[2])])
        self.lab = {"DOCKER_HOST": os.environ["DOCKER_HOST"]}

    def close(self) -> None:
        self.client.close()
        self.engine.stop()

    def measured(self, name: str, release: Release, env: dict[str, str]) -> Row:
        """The second release from an emptied engine."""
        release.cut(BEFORE, self.client.enter, env)
        self.empty()
        before = self.moved()
        seconds = release.cut(VERSION, self.client.enter, env)
        moved = self.moved() - before
        return Row(name, seconds, release.seconds("build", "upload", "promote"), moved)

    def empty(self) -> None:
        self.engine.empty()
        self._login()

    def base(self) -> str:
        """The lab's busybox by a name in the registry, which every builder reaches."""
        self._login()
        name = f"{os.environ['RELEASE_LAB_REGISTRY']}/bench{os.getpid()}/busybox:1"
        shell = Shell(Path("/"), {"DOCKER_CONFIG": self.engine.environment["DOCKER_CONFIG"], **self.lab})
        shell.quiet("docker", "tag", os.environ["RELEASE_LAB_BUSYBOX"], name)
        shell.quiet("docker", "push", "--quiet", name)
        return name

    def far(self) -> dict[str, str]:
        """What makes buildx build on the engine that is counted, while the lab's own engine runs the smoke test."""
        shell = Shell(Path("/"), self.engine.environment)
        shell.quiet(
            "docker", "buildx", "create", "--name", "far", "--driver", "remote", "--use", self.engine.end().address
        )
        mine = self.engine.environment
        return {
            "DOCKER_CONFIG": mine["DOCKER_CONFIG"],
            "BUILDX_BUILDER": "far",
            "PATH": f"{Path(sys.executable).parent}:{mine['PATH']}",
        }

    def _login(self) -> None:
        host = os.environ["RELEASE_LAB_REGISTRY"]
        argv = ["docker", "login", "--username", os.environ["RELEASE_LAB_USERNAME"], "--password-stdin", host]
        Shell(Path("/"), self.engine.environment).quiet(*argv, stdin=os.environ["RELEASE_LAB_PASSWORD"].encode())

    def moved(self) -> Traffic:
        return self.engine.traffic() + self.client.traffic()


def rows(machine: Machine, folder: Path) -> Iterator[tuple[Row | str, str]]:
    """Each row with what is wrong with it, or a line with what was compared."""
    busybox = os.environ["RELEASE_LAB_BUSYBOX"]
    heavy = "  heavy: heavy\n  delta-budget: 64KiB\n"
    none = Release(folder / "none", "none", THIN, heavy, busybox)
    row = machine.measured("thin, by no engine", none, machine.lab)
    yield row, row.limits(2, 32 << 10)
    far = machine.lab | machine.far()
    by_buildx = f"{heavy}  builder: buildx\n"
    for name, more, limits in (
        ("thin, by buildx", by_buildx, (3, 64 << 10)),
        ("thin, by buildx, amd64 and arm64", by_buildx + PLATFORMS, (4, 128 << 10)),
    ):
        release = Release(folder / f"x{limits[0]}", f"x{limits[0]}", BUILT, more, machine.base())
        by = machine.measured(name, release, far)
        engine = release.image()["engine"]
        yield by, by.limits(*limits) if engine == "buildx" else f"the record says engine {engine}"
        yield from again(machine, release, far)
    base = none.image()["heavy"]
    name = f"{none.repository}@{base['digest']}"
    classic = Release(folder / "classic", "classic", CLASSIC, "  builder: classic\n", name)
    whole = machine.measured(
        "the same by the classic builder", classic, machine.lab | {"DOCKER_HOST": machine.engine.host}
    )
    ratio = (row.moved.into + row.moved.out) / (whole.moved.into + whole.moved.out)
    yield whole, "" if ratio < 0.01 else f"thin moves {ratio:.3f} of its bytes, over 0.01"
    yield from equal(machine, folder, name)


def again(machine: Machine, release: Release, env: Mapping[str, str]) -> Iterator[tuple[Row | str, str]]:
    """The same release by `release rebuild`, on the engine emptied again: every layer is the same bytes."""
    machine.empty()
    said = json.loads(release.shell.quiet(*RELEASE, "rebuild", VERSION, "--json", more={**env, **PROGRAM}))
    verdicts = [layer["verdict"] for image in said["images"] for layer in image["layers"]]
    same = bool(verdicts) and set(verdicts) == {"identical"}
    yield (
        f"  rebuilt on the emptied engine: {len(verdicts)} layers, {' '.join(sorted(set(verdicts)))}",
        ("" if same else "layers differ"),
    )


def equal(machine: Machine, folder: Path, base: str) -> Iterator[tuple[Row | str, str]]:
    """The same thin build by buildx alone on one engine, emptied twice: the digests."""
    place = folder / "equal"
    place.mkdir()
    (place / "loader.py").write_text("closed = 2\n")
    (place / "Dockerfile").write_text(f"FROM {base}\nCOPY --link loader.py /opt/loader.py\n")
    digests = []
    for number in (1, 2):
        machine.empty()
        said = folder / f"{number}.json"
        name = f"{base.partition('@')[0]}:equal-{number}"
        output = f"--output=type=image,name={name},push=true,store=false,rewrite-timestamp=true"
        build = [
            "docker",
            "buildx",
            "build",
            "--provenance=false",
            "--progress=quiet",
            f"--metadata-file={said}",
            output,
        ]
        epoch = "--build-arg=SOURCE_DATE_EPOCH=1700000000"
        Shell(place, machine.engine.environment).quiet(*build, epoch, ".")
        digests.append(json.loads(said.read_text())["containerimage.digest"])
    same = digests[0] == digests[1]
    yield f"two emptied engines: {'one digest' if same else ' and '.join(digests)}", "" if same else "digests differ"


def main() -> int:
    """Print the table; with --check exit 1 when something is over its limit."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each start of the program would compile all of it
    if reason := buildkit.unavailable(os.environ):
        print(f"bench-image: {reason} (make bench-image)", file=sys.stderr)
        return 2
    bad = 0
    machine = Machine()
    try:
        with tempfile.TemporaryDirectory(prefix="release-bench-") as folder:
            for row, wrong in rows(machine, Path(folder)):
                print(f"{row}{f'   OVER: {wrong}' if wrong and isinstance(row, Row) else ''}", flush=True)
                bad += bool(wrong)
    except (DemoError, talk.LabError) as error:
        print(f"bench-image: {error}", file=sys.stderr)
        return 1
    finally:
        machine.close()
    return 1 if bad and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
