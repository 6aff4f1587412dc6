"""Docker of a newer Debian, unpacked into the lab's cache: dockerd 28, its client, buildx and containerd.

This machine's packages stay as they are; lists and archives are the lab's own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tools.lab import hostsetup, slots, talk

SUITES = ("sid", "forky", "trixie")  # the first one that has them, and can give Docker 27 or newer
PACKAGES = ("docker.io", "docker-cli", "docker-buildx", "containerd")


def unpacked(cache: Path) -> Path:
    """The folder of Docker's programs in the lab's cache, made once.  Raises LabError where it cannot be had."""
    with slots.locked(cache / "newer-docker.lock"):
        problem: talk.LabError | None = None
        for suite in SUITES:
            root = cache / f"docker-{suite}"
            if root.exists():
                return root
            try:
                make(suite, root, PACKAGES)
            except talk.LabError as error:
                problem = problem or error
            else:
                return root
    raise talk.LabError(f"no Docker with BuildKit from Debian {' or '.join(SUITES)}: {problem}")


def make(suite: str, root: Path, packages: tuple[str, ...]) -> None:
    """Packages of a suite, unpacked as the folder `root`.  Raises LabError."""
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="docker-make-") as folder:
        _fetch(suite, Path(folder), packages)
        (Path(folder) / "root").rename(root)


def _fetch(suite: str, folder: Path, packages: tuple[str, ...]) -> None:
    """Download and unpack."""
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
    talk.say(f"fetching {', '.join(packages)} of Debian {suite}")
    talk.output([*apt, "update"], timeout=300)
    talk.output(
        ["sh", "-c", 'cd "$1" && shift && exec "$@"', "-", str(folder), *apt, "download", *packages], timeout=600
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
