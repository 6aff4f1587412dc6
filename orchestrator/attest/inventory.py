"""What is installed in an image, as the image itself says: Debian's status file, and what its own Python lists."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.attest.inside import LONGEST
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UnprovedError
from orchestrator.engines import RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.engines import Prover

DPKG: Final = "/var/lib/dpkg/status"
OS_RELEASE: Final = ("/etc/os-release", "/usr/lib/os-release")
_NO_PYTHON: Final = 97
_FIND_PYTHON: Final = f'command -v python3 >/dev/null || exit {_NO_PYTHON}; exec python3 -c "$0"'
_TIMEOUT: Final = 300.0  # seconds


@dataclass(frozen=True, kw_only=True)
class InstalledPackage:
    """A package of an image; `licences` are names as its packager wrote them."""

    name: str
    version: str
    licences: tuple[str, ...] = ()
    architecture: str = ""  # of a Debian package
    source: str = ""  # of a Debian package: the source package, where it has another name
    source_version: str = ""  # where it has another version


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All packages of an image.  `python` is None where its Python could not be asked, and `unasked` says why."""

    debian: tuple[InstalledPackage, ...] = ()
    python: tuple[InstalledPackage, ...] | None = None
    unasked: str = ""
    distro: str = ""  # `debian-12`, "" where it does not say
    architecture: str = ""


def take(engine: Prover, image: str) -> Inventory:
    """The inventory of an image in the engine.  Raises RemoteError when the engine is gone."""
    info = engine.inspect(image)
    status = engine.read_file(image, DPKG) or b""
    distro = next((text for path in OS_RELEASE if (text := engine.read_file(image, path))), b"")
    said, unasked = _ask(engine, image)
    return Inventory(
        debian=tuple(debian(status, said["debian"])),
        python=None if unasked else tuple(python(said["python"])),
        unasked=unasked,
        distro=_distro(distro),
        architecture=info.architecture if info else "",
    )


def _ask(engine: Prover, image: str) -> tuple[Mapping[str, Any], str]:
    """What the image's Python says; nothing, and why, where it cannot be asked."""
    nothing: dict[str, Any] = {"python": [], "debian": {}}
    script = Path(__file__).with_name("inside.py").read_text("utf-8")
    command = ("/bin/sh", "-c", _FIND_PYTHON, script)
    try:
        result = engine.run(RunRequest(image=image, command=command, timeout=_TIMEOUT))
    except UnprovedError as error:
        return nothing, f"nothing can be run in the image: {error.message}"
    if result.exit_code == _NO_PYTHON:
        return nothing, "there is no python3 in the image"
    try:
        found = json.loads(zlib.decompress(base64.b64decode(result.output.strip().rpartition("\n")[2], validate=True)))
    except (ValueError, zlib.error):
        return nothing, f"its python3 exited {result.exit_code} and listed nothing"
    return found, ""


def python(rows: list[dict[str, Any]]) -> Iterator[InstalledPackage]:
    """Python packages by name, as importlib lists them; of two with one name the first counts, as for imports."""
    first: dict[str, InstalledPackage] = {}
    for row in rows:
        name = re.sub(r"[-_.]+", "-", row["name"]).lower()
        first.setdefault(name, InstalledPackage(name=name, version=row["version"], licences=_licences(row)))
    yield from (first[name] for name in sorted(first))


def _licences(row: Mapping[str, Any]) -> tuple[str, ...]:
    """An SPDX expression where there is one, else the classifiers' names, else a short `License:` field."""
    if row["expression"]:
        return (row["expression"],)
    names = [line.rpartition(" :: ")[2] for line in row["classifiers"]]
    if names := [name for name in names if name not in ("OSI Approved", "License")]:
        return tuple(sorted(set(names)))
    text = row["license"]
    return (text,) if 0 < len(text) <= LONGEST and text.upper() != "UNKNOWN" else ()


def debian(status: bytes, licences: Mapping[str, list[str]]) -> Iterator[InstalledPackage]:
    """The installed packages of a dpkg status file, by name and architecture."""
    found = []
    for paragraph in re.split(r"\n\s*\n", status.decode("utf-8", "replace")):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+): *(.*)$", paragraph))
        if fields.get("Status", "").endswith(" installed") and fields.get("Package") and fields.get("Version"):
            found.append(
                InstalledPackage(
                    name=fields["Package"],
                    version=fields["Version"],
                    architecture=fields.get("Architecture", ""),
                    source=fields.get("Source", "").partition(" ")[0],
                    source_version=fields.get("Source", "").partition("(")[2].rstrip(") "),
                    licences=tuple(licences.get(fields["Package"], ())),
                )
            )
    yield from sorted(found, key=lambda each: (each.name, each.architecture))


def _distro(text: bytes) -> str:
    fields = dict(re.findall(r'(?m)^([A-Z_]+)="?([^"\n]*)"?$', text.decode("utf-8", "replace")))
    name, version = fields.get("ID", ""), fields.get("VERSION_ID", "")
    return f"{name}-{version}" if name and version else name
