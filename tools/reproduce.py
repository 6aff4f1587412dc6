"""Two BuildKit builds of the image from one commit: are their digests the same?  `make reproduce`, inside the lab.

Docker 28 comes from a newer Debian, unpacked into a folder and started with everything of its own; it ends with this
program.  The two images are written to files and compared here, layer by layer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestrator.audit.layer_compare import facing
from orchestrator.audit.layers import differences, read_layer
from tools.lab import engine, hostsetup, processes, slots, talk

PROJECT = Path(__file__).resolve().parents[1]
SUITES = ("sid", "forky", "trixie")  # the first one that has them, and can give Docker 27 or newer
PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd")
BRIDGE = "rlabbuildkit"
DOCKERFILE = "images/pytorch-cuda/Dockerfile"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("variant", nargs="?", default="notebook", help="a folder of images/pytorch-cuda/locks")
    options.add_argument("--suite", default="", help=f"Debian suite to take Docker from; default: {', '.join(SUITES)}")
    variant, suite = options.parse_args().variant, options.parse_args().suite
    if not (PROJECT / "images/pytorch-cuda/locks" / variant).is_dir():
        options.error(f"images/pytorch-cuda/locks has no folder {variant}")
    if os.geteuid() != 0 or "RELEASE_LAB_BASE" not in os.environ:
        raise talk.LabError("run it by `make reproduce`, as root on Debian: it starts an engine of its own")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    work = slots.cache() / "buildkit"  # always the same, so that the next run finds what a killed one left
    with slots.locked(slots.cache() / "buildkit.lock"):
        root = unpacked([suite] if suite else [*SUITES])
        take_down(work)
        try:
            docker = BuildKit(root, work)
            return compare(*(docker.build(variant, work / f"{number}.tar") for number in (1, 2)))
        finally:
            take_down(work)


def take_down(work: Path) -> None:
    """End and remove everything that a run started or wrote."""
    processes.kill_containers(f"/{BRIDGE}")
    processes.stop(work / "dockerd.pid")
    processes.stop_leftovers(str(work))
    for mount in slots.mounts_under(work):
        talk.output(["umount", "--lazy", mount])
    if Path("/sys/class/net", BRIDGE).exists():
        talk.output(["ip", "link", "delete", BRIDGE])
    shutil.rmtree(work, ignore_errors=True)


# ------------------------------------------------------------------ Docker of a newer Debian


def unpacked(suites: list[str]) -> Path:
    """The folder of Docker's programs, made once."""
    for suite in suites:
        root = slots.cache() / f"docker-{suite}"
        if root.exists():
            return root
        try:
            with tempfile.TemporaryDirectory(dir=slots.cache(), prefix="docker-make-") as folder:
                fetch(suite, Path(folder))
                (Path(folder) / "root").rename(root)
            return root
        except talk.LabError as error:
            problem = error
    raise talk.LabError(f"no Docker with BuildKit from {' or '.join(suites)}: {problem}")


def fetch(suite: str, folder: Path) -> None:
    """Download and unpack, with lists of its own: this machine's packages stay as they are."""
    for name in ("lists/partial", "cache/archives/partial", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb {mirror()} {suite} main\n", encoding="ascii")
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Dir::State::status": folder / "status",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in settings.items())]
    talk.say(f"fetching {', '.join(PACKAGES)} of Debian {suite}")
    talk.output([*apt, "update"], timeout=300)
    talk.output(
        ["sh", "-c", 'cd "$1" && shift && exec "$@"', "-", str(folder), *apt, "download", *PACKAGES], timeout=600
    )
    for archive in sorted(folder.glob("*.deb")):
        talk.output(["dpkg-deb", "--extract", str(archive), str(folder / "root")])


def mirror() -> str:
    """Where this machine gets Debian from; the public mirror when it does not say."""
    for source in hostsetup.apt_sources():
        text = Path(source).read_text(encoding="utf-8") if source.startswith("/") else source
        for word in text.split():
            if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                return word
    return "http://deb.debian.org/debian"


class BuildKit:
    """An engine with the containerd store, which alone can rewrite times while it exports."""

    def __init__(self, root: Path, work: Path) -> None:
        self._work = work
        self._root = root
        self._host = f"unix://{work}/engine.sock"
        # The daemon looks there for containerd and its shim.
        os.environ["PATH"] = f"{root}/usr/sbin:{root}/usr/bin:{os.environ['PATH']}"
        work.mkdir(mode=0o700)
        engine.add_bridge(BRIDGE)
        argv = [str(root / "usr/sbin/dockerd"), *self._options()]
        log = work / "dockerd.log"
        daemon = processes.start(argv, pid_file=work / "dockerd.pid", log=log)
        deadline = time.monotonic() + engine.START
        while not engine.answers(self._host):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise talk.LabError(f"dockerd did not start; end of its log:\n{talk.tail(log)}")
            time.sleep(0.2)
        self._load(os.environ["RELEASE_LAB_BASE"])

    def _options(self) -> list[str]:
        settings = self._work / "daemon.json"
        settings.write_text(json.dumps({"features": {"containerd-snapshotter": True}}), encoding="ascii")
        options = {
            "config-file": settings,
            "data-root": self._work / "data",
            "exec-root": self._work / "exec",
            "pidfile": self._work / "dockerd-own-pid",
            "host": self._host,
            "bridge": BRIDGE,
            "iptables": "false",
            "ip6tables": "false",
            "ip-masq": "false",
            "ip-forward": "false",
            "cgroup-parent": f"/{BRIDGE}",
            "exec-opt": "native.cgroupdriver=cgroupfs",
        }
        return [f"--{name}={value}" for name, value in options.items()]

    def _load(self, image: str) -> None:
        """The lab's base, from the lab's engine."""
        archive = self._work / "base.tar"
        talk.output(["docker", "save", "--output", str(archive), image], timeout=300)
        talk.output(["docker", "--host", self._host, "load", "--input", str(archive)], timeout=300)
        archive.unlink()

    def build(self, variant: str, into: Path) -> Path:
        """Build HEAD from nothing into an OCI archive."""
        seconds = talk.output(["git", "-C", str(PROJECT), "log", "-1", "--format=%ct"])
        arguments = {"BASE_IMAGE": os.environ["RELEASE_LAB_BASE"], "VARIANT": variant, "RELEASE_VERSION": "v2.7.1"}
        argv = [str(self._root / "usr/libexec/docker/cli-plugins/docker-buildx"), "build", "--no-cache"]
        argv += ["--progress=plain", "--provenance=false", "--sbom=false", "--network=host", "--allow=network.host"]
        argv += [f"--output=type=oci,dest={into},rewrite-timestamp=true", f"--file={DOCKERFILE}"]
        argv += [f"--build-arg={key}={value}" for key, value in arguments.items()]
        own = {"DOCKER_HOST": self._host, "DOCKER_CONFIG": str(self._work / "config"), "SOURCE_DATE_EPOCH": seconds}
        begun = time.monotonic()
        with tempfile.TemporaryFile() as context, (self._work / "build.log").open("wb") as log:
            subprocess.run(["git", "-C", str(PROJECT), "archive", "HEAD", "images"], stdout=context, check=True)
            context.seek(0)
            done = subprocess.run(
                [*argv, "-"], stdin=context, stdout=log, stderr=log, env=os.environ | own, check=False
            )
        if done.returncode:
            raise talk.LabError(f"the build failed:\n{talk.tail(self._work / 'build.log')}")
        talk.say(f"built {variant} from nothing in {time.monotonic() - begun:.0f} s")
        return into


# ------------------------------------------------------------------ comparing


def compare(first: Path, second: Path) -> int:
    """Print both digests and what differs; 0 when nothing does."""
    one, other = manifest(first), manifest(second)
    print(f"image  {one['digest']}\n       {other['digest']}")
    differing = 0
    layers = [[layer["digest"] for layer in each["layers"]] for each in (one, other)]
    for i, j in facing(*layers):
        left, right = (layers[0][i] if i is not None else ""), (layers[1][j] if j is not None else "")
        print(f"layer  {'identical' if left == right else 'DIFFERS'}  {left or 'none'}")
        if left != right:
            differing += 1
            for each in differences(files(first, left), files(second, right)):
                print(f"       {', '.join(each.differs)}  /{each.path}")
    same = one["digest"] == other["digest"]
    total = len(layers[0])
    print(f"{total - differing} of {total} layers are identical; the image digest is {'too' if same else 'not'}")
    return 0 if same else 1


def manifest(archive: Path) -> dict[str, Any]:
    """The image's manifest, with its digest."""
    digest = json.loads(member(archive, "index.json"))["manifests"][0]["digest"]
    data = member(archive, blob(digest))
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
        raise talk.LabError(f"{archive}: the manifest is not {digest}")
    return {"digest": digest, **json.loads(data)}


def files(archive: Path, digest: str) -> Any:
    if not digest:
        return {}
    with tarfile.open(archive) as tar:
        data = tar.extractfile(blob(digest))
        if data is None:
            raise talk.LabError(f"{archive} has no {digest}")
        return read_layer(data).files


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        data = tar.extractfile(name)
        return data.read() if data else b""


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except talk.LabError as error:
        talk.say(f"error: {error}")
        raise SystemExit(1) from None
