"""The folder of patches in a released tree: what is wrong with it, and whether an image has exactly these."""

from __future__ import annotations

import hashlib
import re
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.record import RecordedPatch
from orchestrator.core.results import CheckState, Problem
from orchestrator.image.patchfile import PatchError, apply_all, read_series

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from orchestrator.image.patchfile import PatchEntry
    from orchestrator.image.pytorch_builds import Pin

RECORD: Final = "/etc/release/patches.json"  # written by the image's build
_AGAIN: Final = "import it again: release patch import --repo DIR SHA"


def judge(folder: str, files: Mapping[str, bytes], locks: Sequence[Mapping[str, Pin]]) -> Iterator[Problem]:
    """What is wrong with the patches in `folder` (a path to show); `files` by path within it.

    `locks` are the pins of each variant: a patch of a version that none of them pins would fail the build.
    """
    entries, faults = read_series(files)
    for path, line, message in faults:
        yield _bad(f"{folder}/{path}" + (f":{line}" if line else ""), message, _AGAIN)
    places = {f"{entry.package}-{entry.version}": entry for entry in entries}
    for name, entry in places.items() if locks else ():
        pins = [pin for lock in locks if (pin := lock.get(normal(entry.package)))]
        wrong = [pin for pin in pins if not entry.concerns(pin.version)]
        if not pins:
            yield _bad(f"{folder}/{name}", f"no lock pins {entry.package}", "correct the folder's name, or remove it")
        for pin in wrong:
            message = f"{pin.place} pins {entry.package} {pin.version}, these patches are for {entry.version}"
            yield _bad(
                f"{folder}/{name}", message, f"make them for {pin.version} (release patch import), or remove them"
            )
    commits: dict[tuple[str, str], str] = {}
    for entry in entries:
        commit = entry.patch.fields.get("Commit", "")
        other = commits.setdefault((entry.package, commit), entry.name)
        if commit and other != entry.name:
            yield _bad(f"{folder}/{entry.name}", f"is the same commit as {other}", "keep one")


def _bad(where: str, message: str, remedy: str) -> Problem:
    return Problem(code="bad-patch", message=message, where=where, remedy=remedy)


def normal(name: str) -> str:
    """A package's name as PEP 503 says."""
    return re.sub(r"[-_.]+", "-", name).lower()


def concerning(files: Mapping[str, bytes], pins: Mapping[str, Pin]) -> list[PatchEntry]:
    """The patches of a folder in order, without those whose package is not locked."""
    return [entry for entry in read_series(files)[0] if not pins or normal(entry.package) in pins]


def label(entries: Iterable[PatchEntry]) -> str:
    """`name@sha256:hex` of each patch, with blanks between."""
    return " ".join(f"{entry.name}@sha256:{digest(entry.data)}" for entry in entries)


def recorded(entry: PatchEntry) -> RecordedPatch:
    """What the record of a release says of a patch."""
    fields = entry.patch.fields
    return RecordedPatch(
        name=entry.name,
        sha256=digest(entry.data),
        subject=fields["Subject"],
        origin=fields["Origin"],
        commit=fields.get("Commit", ""),
    )


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ------------------------------------------------------------------ proving


@dataclass(frozen=True, kw_only=True)
class InstalledPatches:
    """What is in an image: its record as parsed, None for none; package -> installed version; path -> content.

    `stale` are files whose byte code is of another source.
    """

    record: Any
    installed: Mapping[str, str]
    files: Mapping[str, bytes] = field(default_factory=dict)
    stale: Collection[str] = ()


Verdict = tuple[CheckState, str, str]


def touched(files: Mapping[str, bytes]) -> dict[str, str]:
    """Path below its package's folder -> package, of every file that the patches of a folder change."""
    return {path: entry.package for entry in read_series(files)[0] for path in entry.patch.files}


def prove(released: Mapping[str, bytes] | None, inside: InstalledPatches) -> Verdict:
    """Whether the image has exactly the released patches.  `released` None: only the image's own word is there."""
    if released is None:
        return CheckState.SKIPPED, "no patches are declared: `image.patches`, or --patches DIR", ""
    entries, faults = read_series(released)
    if faults:
        path, line, message = faults[0]
        return _failed(f"{path}:{line}: {message}")
    if inside.record is None:
        if not entries:
            return CheckState.SKIPPED, "there are no patches, and the image lists none", ""
        return _failed(f"the image has no {RECORD}, the release has {len(entries)} patches")
    try:
        rows = {str(row["name"]): row for row in inside.record["patches"]}
    except (TypeError, KeyError):
        return _failed(f"{RECORD} is not what this tool knows")
    if wrong := [*_differences(entries, rows, inside), *_not_there(entries, inside)]:
        return _failed("; ".join(wrong[:5]))
    applied = [entry for entry in entries if rows[entry.name]["applied"]]
    if not applied:
        reasons = "; ".join(f"{entry.name}: {rows[entry.name]['reason']}" for entry in entries)
        return CheckState.SKIPPED, reasons or "there are no patches, and the image lists none", ""
    return CheckState.PASSED, f"{len(applied)} of {len(entries)} applied: {', '.join(e.name for e in applied)}", ""


def _failed(message: str) -> Verdict:
    return CheckState.FAILED, message, "build the image again from the released tree"


def _differences(entries: Sequence[PatchEntry], rows: Mapping[str, Any], inside: InstalledPatches) -> Iterator[str]:
    """Where the image's record is not the released folder, or not what is installed."""
    installed = {normal(name): version for name, version in inside.installed.items()}
    for entry in entries:
        row = rows.get(entry.name)
        version = installed.get(normal(entry.package))
        if row is None:
            yield f"{entry.name} is not in the image"
        elif row.get("sha256") != digest(entry.data):
            yield f"{entry.name} is another one in the image: sha256 {str(row.get('sha256'))[:12]}"
        elif row.get("applied") is not (version is not None):
            there = f"{entry.package} {version} is installed" if version else f"{entry.package} is not installed"
            yield f"{entry.name} is recorded as {'' if row.get('applied') else 'not '}applied, and {there}"
        elif version and not entry.concerns(version):
            yield f"{entry.name} is of {entry.version}, {version} is installed"
    for name in rows.keys() - {entry.name for entry in entries}:
        yield f"{name} is in the image and not in the release"


def _not_there(entries: Sequence[PatchEntry], inside: InstalledPatches) -> Iterator[str]:
    """The patches are taken back from what is installed, the last one first: that goes only where all are there."""
    installed = {normal(name) for name in inside.installed}
    files: dict[str, bytes | None] = dict(inside.files)
    for entry in reversed(entries):
        if normal(entry.package) not in installed:
            continue
        try:
            files |= apply_all(entry.patch, files.get, back=True)
        except PatchError as error:
            yield f"{entry.name} is not applied: {error.message}"
            return
        for path in sorted(set(entry.patch.files) & set(inside.stale)):
            yield f"{path} has byte code of another source"
