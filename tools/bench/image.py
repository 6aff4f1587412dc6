"""`python tools/bench/image.py`, inside the lab: one release with an image, by `release cut` and by hand.

By hand is what a maintainer types without this tool, with git and docker alone and with the same result: worktree,
`git cherry-pick -x`, changelog, annotated tag, `git archive | docker build`, the same smoke command, push under a
candidate's name, one atomic push of branch and tag, then the version and the floating tag by `docker tag` and
`docker push`.  Both start from the same published v2.7.0 and the engine's warm cache, in turn, each time in a new
sandbox and a new repository of the registry.  What signing costs is the step's own time in a release that is signed,
and the bytes beside its image.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run by its path, it knows no package

from orchestrator.attest.attach import bundles
from orchestrator.attest.released.signatures import NAMES
from orchestrator.core.credentials import Credentials
from orchestrator.core.reference import parse_repository
from orchestrator.registry.client import Registry
from tests.support.signing import pair
from tools.demo import sandbox
from tools.demo.shell import DemoError, Shell

RUNS = 3
LIMIT = 1.3  # times what it costs by hand: plan, preflight, built-in checks and re-read digests are not made by hand
SIGNING = 1.5  # seconds of the step, and
SIGNED = 100_000  # bytes of what it puts beside the image
BOTH = "  sbom: [cyclonedx, spdx]\n"
VERSION = "v2.7.1"
SMOKE = "from trainkit.dataloader import Prefetcher as P; assert list(P(range(9))) == list(range(9))"


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Seconds of the step, bytes of each part that it put beside the image, requests that wrote when run again."""

    seconds: float
    parts: dict[str, int]
    writes: int

    @property
    def size(self) -> int:
        return sum(self.parts.values())

    def __str__(self) -> str:
        return ", ".join(f"{name} {size}" for name, size in self.parts.items())


class Box:
    """A sandbox with its v2.7.0 in the registry, and a logged-in docker client."""

    def __init__(self, folder: Path, name: str) -> None:
        self.repository = f"{os.environ['RELEASE_LAB_REGISTRY']}/release-bench/{name}"
        folder.mkdir()
        self.sandbox = sandbox.make(folder, self.repository, os.environ["RELEASE_LAB_BASE"], sandbox.LIGHT)
        login = {
            "DOCKER_CONFIG": str(folder / "docker"),
            "DOCKER_BUILDKIT": "0",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RELEASE_REGISTRY_USERNAME": os.environ["RELEASE_LAB_USERNAME"],
            "RELEASE_REGISTRY_PASSWORD": os.environ["RELEASE_LAB_PASSWORD"],
        }
        self.shell = Shell(self.sandbox.shell.folder, {**self.sandbox.shell.environment, **login})
        host = self.repository.partition("/")[0]
        password = os.environ["RELEASE_LAB_PASSWORD"].encode()
        username = os.environ["RELEASE_LAB_USERNAME"]
        self.shell.quiet("docker", "login", "--username", username, "--password-stdin", host, stdin=password)
        self._share_the_heavy_base()
        self.build("v2.7.0", f"{self.repository}:v2.7.0")
        self.shell.quiet("docker", "push", "--quiet", f"{self.repository}:v2.7.0")

    def _share_the_heavy_base(self) -> None:
        """One for all boxes, which is made once: by hand the engine's cache is what is warm."""
        config, shared = self.shell.folder / "release.yaml", f"{self.repository.rpartition('/')[0]}/heavy-{os.getpid()}"
        config.write_text(config.read_text().replace("heavy: heavy", f"heavy: {{stage: heavy, repository: {shared}}}"))
        self.shell.quiet("git", "commit", "--quiet", "--all", "--message", "chore: one heavy base for all")
        self.shell.quiet("git", "push", "--quiet", "origin", "main")

    def build(self, tag: str, image: str) -> None:
        arguments = {
            "BASE_IMAGE": os.environ["RELEASE_LAB_BASE"],
            "VARIANT": sandbox.LIGHT,
            "RELEASE_VERSION": tag,
            "RELEASE_REVISION": self.shell.quiet("git", "rev-parse", f"{tag}^{{commit}}"),
        }
        tar, tree = self.shell.folder.parent / f"{tag}.tar", self.shell.folder.parent / f"tree-{tag}"
        self.shell.quiet("git", "-c", "tar.umask=0022", "archive", "--output", str(tar), tag)
        tree.mkdir()
        self.shell.quiet("tar", "-x", "-C", str(tree), "-f", str(tar))
        dockerfile = tree / sandbox.DOCKERFILE  # the classic builder knows no such flag: the files are the same
        dockerfile.write_text(dockerfile.read_text().replace("COPY --link", "COPY"))
        build = ["docker", "build", "--quiet", "--network", "host", "--file", str(dockerfile), "--tag", image]
        build += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self.shell.quiet(*build, str(tree))

    def by_tool(self) -> None:
        self.shell.quiet("release", "cut", VERSION, "--yes")

    def by_hand(self) -> None:
        shell, image = self.shell, f"{self.repository}:{VERSION}"
        tree = Shell(shell.folder.parent / "hand", shell.environment)
        shell.quiet("git", "worktree", "add", "--quiet", "--detach", str(tree.folder), "release/v2.7")
        tree.quiet("git", "cherry-pick", "-x", self.sandbox.fix)
        (tree.folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION}\n")
        (tree.folder / "release.yaml").write_bytes((shell.folder / "release.yaml").read_bytes())
        tree.quiet("git", "add", "--all")
        tree.quiet("git", "commit", "--quiet", "--message", f"chore(release): {VERSION}")
        tree.quiet("git", "tag", "--annotate", VERSION, "--message", VERSION)
        candidate = f"{self.repository}:candidate"
        self.build(VERSION, candidate)
        shell.quiet("docker", "run", "--rm", "--network", "none", candidate, "python", "-c", SMOKE)
        shell.quiet("docker", "push", "--quiet", candidate)
        tree.quiet("git", "push", "--quiet", "--atomic", "origin", "HEAD:refs/heads/release/v2.7", VERSION)
        for name in (image, f"{self.repository}:v2.7"):
            shell.quiet("docker", "tag", candidate, name)
            shell.quiet("docker", "push", "--quiet", name)

    def sign(self, more: str = "") -> Signing:
        """A release that is signed; `more` is added to the section that says how."""
        key, config = pair(), self.shell.folder / "release.yaml"
        (self.shell.folder.parent / "cosign.key").write_bytes(key.private)
        section = f"sign:\n  key-file: {self.shell.folder.parent / 'cosign.key'}\n  public-keys: [{key.public}]\n"
        config.write_text(config.read_text() + section + more)
        self.by_tool()
        journal = self.shell.folder / ".git/release" / VERSION / "journal.jsonl"
        steps = [json.loads(line) for line in journal.read_text().splitlines()]
        seconds = sum(each["seconds"] for each in steps if each["task"].startswith("sign") and "seconds" in each)
        before = self.writes()
        self.by_tool()
        return Signing(seconds=seconds, parts=self.attached(), writes=self.writes() - before)

    def attached(self) -> dict[str, int]:
        """Bytes of manifest and file of what refers to the released image, and of the index that lists them."""
        login = Credentials(username=os.environ["RELEASE_LAB_USERNAME"], password=os.environ["RELEASE_LAB_PASSWORD"])
        registry = Registry(parse_repository(self.repository), credentials=lambda: login)
        image = registry.manifest(VERSION)
        if image is None:
            raise DemoError(f"{VERSION} is not in the registry")
        listed = registry.manifest(image.digest.replace(":", "-"))
        found = {"index": len(listed.content) if listed else 0}
        for referrer, each in bundles(registry, image.digest):
            manifest = registry.manifest(referrer.digest)
            if manifest is not None:
                files = sum(layer.size for layer in registry.layers(manifest))
                found[NAMES[each.statement["predicateType"]]] = len(manifest.content) + files
        return found

    def writes(self) -> int:
        log = Path(os.environ["RELEASE_LAB_REGISTRY_LOG"]).read_text(errors="replace")
        return len(re.findall(rf'"(?:PUT|POST|PATCH) /v2/{re.escape(self.repository.partition("/")[2])}/', log))

    def forget(self) -> None:
        ids = self.shell.quiet("docker", "image", "ls", "--quiet", "--no-trunc", self.repository).split()
        self.shell.quiet("docker", "image", "rm", "--force", *dict.fromkeys(ids))


def timed(ways: list[str], folder: Path, numbers: range) -> dict[str, list[float]]:
    """Seconds of each way; the ways take turns, so that what else runs on the machine meets both.

    `numbers` tell the sandboxes and their repositories in the registry apart.
    """
    found: dict[str, list[float]] = {way: [] for way in ways}
    for number in numbers:
        for way in ways:
            box = Box(folder / f"{way}-{number}", f"{way.replace('_', '-')}-{number}-{os.getpid()}")
            try:
                found[way].append(spent(box, way))
                if way == "by_tool":
                    found.setdefault("again", []).append(spent(box, "by_tool"))
            finally:
                box.forget()
    return found


def spent(box: Box, way: str) -> float:
    begun = time.perf_counter()
    getattr(box, way)()
    return time.perf_counter() - begun


def signed(folder: Path, name: str, more: str = "") -> Signing:
    box = Box(folder / name, f"{name}-{os.getpid()}")
    try:
        return box.sign(more)
    finally:
        box.forget()


def main() -> int:
    """Print the medians, the ratio and what signing costs; with --check exit 1 when one is over its limit."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each start of the program would compile all of it
    if not os.environ.get("RELEASE_LAB_REGISTRY"):
        print("bench: images need an engine and a registry: python3 tools/lab run -- ... (make bench)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="release-bench-") as folder:
        try:
            timed(["by_hand", "by_tool"], Path(folder), range(1))  # warms the engine's cache, and makes the heavy base
            found = timed(["by_hand", "by_tool"], Path(folder), range(1, 1 + RUNS))
            usual, both = signed(Path(folder), "signed"), signed(Path(folder), "both-forms", BOTH)
        except DemoError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    hand, tool, again = (statistics.median(found[way]) for way in ("by_hand", "by_tool", "again"))
    print(f"a release with an image: git and docker by hand {hand:.2f}s, release cut {tool:.2f}s ({tool / hand:.2f})")
    print(f"the finished release again: {again:.2f}s ({again / hand:.2f})")
    print(
        f"signing and attesting it: {usual.seconds:.2f}s, {usual.size} bytes; again {usual.writes} requests that write"
    )
    print(f"  of these bytes: {usual}")
    print(f"  its SBOM in both forms: {both.seconds:.2f}s, {both.size} bytes: {both}")
    over = tool / hand > LIMIT or usual.seconds > SIGNING or usual.size > SIGNED or usual.writes > 0
    return 1 if "--check" in sys.argv and over else 0


if __name__ == "__main__":
    sys.exit(main())
