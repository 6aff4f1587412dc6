"""The bill of materials of one image, before it has a format: what its locks, its patches and the image itself say.

A lock knows the hashes, the image the licences, a patch its upstream commit; where lock and image disagree, there is
no bill (`faults`).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from orchestrator.core.dataclass import dataclass
from orchestrator.image.pytorch_builds import read_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.attest.inventory import InstalledPackage, Inventory
    from orchestrator.core.reference import ImageRepository
    from orchestrator.image.patchfile import PatchEntry

OF_THE_VENV: Final = ("pip", "setuptools", "wheel")  # what a virtual environment brings, in no lock
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CUDA: Final = re.compile(r"nvidia-(.+?)(-cu\d+)?")


@dataclass(frozen=True, kw_only=True)
class AppliedPatch:
    """A patch to an installed package; `data` is the file."""

    name: str
    sha256: str
    sha1: str
    subject: str
    origin: str
    commit: str  # upstream, "" where its file names none
    bug: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Component:
    """One package.  `kind` is the type of its purl: `pypi` or `deb`.

    `hashes` are the SHA-256 of the files that the lock admits: exactly one of them was installed.  `cuda` names one of
    NVIDIA's libraries: `cudnn`.  `locked` is where the lock pins it.
    """

    kind: str
    name: str
    version: str
    purl: str
    licences: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    cuda: str = ""
    locked: str = ""
    patches: tuple[AppliedPatch, ...] = ()
    source: str = ""  # of a Debian package: its source package and that one's version, where they differ from its own
    source_version: str = ""


@dataclass(frozen=True, kw_only=True)
class Bill:
    """All components of the image of one platform.  `when` is the time of the release commit, RFC 3339 in UTC."""

    repository: ImageRepository
    tag: str
    digest: str  # of its manifest
    platform: str
    when: str
    components: tuple[Component, ...]
    variant: str = ""
    unchecked: str = ""  # why the locks could not be held to what is installed

    @property
    def purl(self) -> str:
        architecture = self.platform.split("/")[1] if "/" in self.platform else ""
        name = self.repository.path.rpartition("/")[2]
        given = {"arch": architecture, "repository_url": f"{self.repository}", "tag": self.tag}
        query = "&".join(f"{key}={quote(value, safe='/')}" for key, value in given.items() if value)
        return f"pkg:oci/{quote(name)}@{quote(self.digest, safe='')}?{query}"

    @property
    def serial(self) -> str:
        """A UUID that is the same for the same image, and for no other."""
        return str(uuid5(NAMESPACE_URL, self.purl))


def faults(lock: Mapping[str, bytes], inventory: Inventory) -> list[str]:
    """Where the Python packages of an image are not those of its lock, both ways; nothing without one of the two."""
    pins, _ = read_lock(lock)
    if not pins or inventory.python is None:
        return []
    there = {each.name: each.version for each in inventory.python}
    wrong = [f"{name} {pin.version} is locked, and not installed" for name, pin in pins.items() if name not in there]
    for name, version in there.items():
        if name not in pins and name not in OF_THE_VENV:
            wrong.append(f"{name} {version} is installed, and in no lock")
        elif name in pins and pins[name].version != version:
            wrong.append(f"{name} {version} is installed, {pins[name].version} is locked")
    return wrong


def components(lock: Mapping[str, bytes], inventory: Inventory, patches: Sequence[PatchEntry]) -> tuple[Component, ...]:
    """Everything in an image, Python's packages first, each kind by name."""
    return (*_python(lock, inventory, patches), *(_debian(each, inventory.distro) for each in inventory.debian))


def _python(lock: Mapping[str, bytes], inventory: Inventory, patches: Sequence[PatchEntry]) -> Iterator[Component]:
    pins, _ = read_lock(lock)
    hashes = hashes_of(lock)
    there = {each.name: each for each in inventory.python or ()}
    for name in sorted({*pins, *there}):
        pin, found = pins.get(name), there.get(name)
        version = found.version if found else pin.version if pin else ""
        cuda = _CUDA.fullmatch(name)
        yield Component(
            kind="pypi",
            name=name,
            version=version,
            purl=f"pkg:pypi/{name}@{quote(version)}",
            licences=found.licences if found else (),
            hashes=hashes.get(name, ()) if pin else (),
            cuda=cuda[1] if cuda else "",
            locked=pin.file if pin else "",
            patches=tuple(_applied(each) for each in patches if _same(each.package, name) and each.concerns(version)),
        )


def _same(package: str, name: str) -> bool:
    return re.sub(r"[-_.]+", "-", package).lower() == name


def hashes_of(lock: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    """Package -> the SHA-256 of the files that its pin admits."""
    return dict(_hashes(lock))


def _hashes(lock: Mapping[str, bytes]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Package -> the hashes that its pin admits."""
    for data in lock.values():
        joined = re.sub(r"\\\n", " ", data.decode("utf-8", "replace"))
        for line in joined.splitlines():
            name = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
            if name and (found := _HASH.findall(line)):
                yield re.sub(r"[-_.]+", "-", name[1]).lower(), tuple(sorted(set(found)))


def _applied(entry: PatchEntry) -> AppliedPatch:
    fields = entry.patch.fields
    return AppliedPatch(
        name=entry.name,
        sha256=hashlib.sha256(entry.data).hexdigest(),
        sha1=hashlib.sha1(entry.data, usedforsecurity=False).hexdigest(),  # SPDX 2.3 wants one of every file
        subject=fields["Subject"],
        origin=fields["Origin"],
        commit=fields.get("Commit", ""),
        bug=fields.get("Bug", ""),
        data=entry.data,
    )


def _debian(package: InstalledPackage, distro: str) -> Component:
    vendor = distro.partition("-")[0] or "debian"
    given = {"arch": package.architecture, "distro": distro}
    query = "&".join(f"{key}={quote(value)}" for key, value in given.items() if value)
    purl = f"pkg:deb/{vendor}/{quote(package.name)}@{quote(package.version, safe='')}"
    return Component(
        kind="deb",
        name=package.name,
        version=package.version,
        purl=f"{purl}?{query}" if query else purl,
        licences=package.licences,
        source=package.source,
        source_version=package.source_version,
    )


def by_name(components: Iterable[Component]) -> dict[tuple[str, str], Component]:
    """Components by kind and name; of one package for two architectures the first."""
    found: dict[tuple[str, str], Component] = {}
    for each in components:
        found.setdefault((each.kind, each.name), each)
    return found
