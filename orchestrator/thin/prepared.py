"""Stages that this tool stands in for: their files are made here, where a builder would run something.

`patched` is what the patches make of what is installed in the heavy base, `stamp` what differs in every release.  A
Dockerfile has stages of these names, so that a plain build makes the same by itself.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.image.patches import RECORD, digest, normal
from orchestrator.image.patchfile import PatchError, apply_all, read_series
from orchestrator.thin.layer import WHITEOUT, FileNode, Tree, add_parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.image.patchfile import PatchEntry
    from orchestrator.thin.base import SitePackage

_FOLDER = "etc/release"


def stamp(version: str, revision: str, variant: str, mtime: int) -> Tree:
    """What an image says of itself inside."""
    said = {"version": version, "revision": revision, "variant": variant}
    files = {f"{_FOLDER}/{name}": FileNode(data=f"{text}\n".encode(), mtime=mtime) for name, text in said.items()}
    return add_parents(files, mtime)


@dataclass(frozen=True, kw_only=True)
class Patching:
    """Patches of a folder, applied to what a heavy base has installed.  `folder` is shown in messages."""

    folder: str
    files: Mapping[str, bytes]
    installed: tuple[SitePackage, ...]
    mtime: int

    @property
    def entries(self) -> Sequence[PatchEntry]:
        return read_series(self.files)[0]

    def inputs(self, base: str) -> str:
        """SHA-256 of what its result is made from; `base` is the heavy base's digest."""
        patches = [[each.name, digest(each.data)] for each in self.entries]
        return hashlib.sha256(json.dumps([base, self.mtime, patches]).encode()).hexdigest()

    def _place(self, entry: PatchEntry) -> SitePackage | None:
        return next((each for each in self.installed if normal(each.name) == normal(entry.package)), None)

    def touched(self) -> list[str]:
        """The files that it needs from the base."""
        return sorted({f"{place.site}/{path}" for entry, place in self._placed() for path in entry.patch.files})

    def result(self, originals: Mapping[str, bytes]) -> Tree:
        """Raises UsageError for a patch that does not fit, or whose file is not among the originals."""
        changed: dict[str, bytes | None] = {}
        for entry, place in self._placed():
            changed |= self._apply(entry, place, {**originals, **changed})
        return add_parents(self._files(changed), self.mtime)

    def taken_over(self, files: Mapping[str, bytes]) -> Tree | None:
        """As `result`, from the files of a layer that it was before on the same base; None for one of other patches.

        The layer tells what changed files hold.  That it has exactly these files, and the same account of the same
        patches, is compared.
        """
        changed: dict[str, bytes | None] = {}
        for entry, place in self._placed():
            for change in entry.patch.changes:
                changed |= {f"{place.site}/{path}": None for path in change.paths if path != change.new}
                if change.new:
                    changed[f"{place.site}/{change.new}"] = files.get(f"{place.site}/{change.new}", b"")
        made = self._files(changed)
        same = {path: node.data for path, node in made.items()} == dict(files)
        return add_parents(made, self.mtime) if same else None

    def _placed(self) -> Iterator[tuple[PatchEntry, SitePackage]]:
        for entry in self.entries:
            if place := self._place(entry):
                yield entry, place

    def _files(self, changed: Mapping[str, bytes | None]) -> Tree:
        """The account of the patches, and what they change, without folders."""
        rows = [_row(each, "" if self._place(each) else f"{each.package} is not installed") for each in self.entries]
        text = json.dumps({"schema_version": 1, "patches": rows}, indent=2, ensure_ascii=False) + "\n"
        tree = {RECORD.lstrip("/"): FileNode(data=text.encode(), mtime=self.mtime)}
        for path, content in changed.items():
            tree |= self._file(path, content)
        return tree

    def _apply(
        self, entry: PatchEntry, place: SitePackage, there: Mapping[str, bytes | None]
    ) -> dict[str, bytes | None]:
        if not entry.concerns(place.version):
            raise self._wrong(entry, f"{entry.package} {place.version} is installed, not {entry.version}")
        made = {change.new for change in entry.patch.changes if not change.old}
        lacking = [path for path in entry.patch.files if f"{place.site}/{path}" not in there and path not in made]
        if lacking:
            raise UsageError(
                f"{lacking[0]} is not among the sources that are kept of the heavy base, which {entry.name} changes",
                where=f"{self.folder}/{entry.name}",
                remedy="let a builder make the image: `builder: classic`",
                code="no-original",
            )
        try:
            after = apply_all(entry.patch, self._reader(place, there))
        except PatchError as error:
            raise self._wrong(entry, error.message) from None
        return {f"{place.site}/{path}": content for path, content in after.items()}

    @staticmethod
    def _reader(place: SitePackage, there: Mapping[str, bytes | None]) -> Callable[[str], bytes | None]:
        return lambda path: there.get(f"{place.site}/{path}")

    def _file(self, path: str, content: bytes | None) -> Tree:
        """A changed file; byte code of the one before is hidden, since Python would believe it."""
        folder, _, name = path.rpartition("/")
        tree: Tree = {}
        if name.endswith(".py"):
            python = next(part for part in reversed(path.split("/")) if part.startswith("python3."))
            cached = f"{name.removesuffix('.py')}.cpython-{python.removeprefix('python').replace('.', '')}.pyc"
            tree[f"{folder}/__pycache__/{WHITEOUT}{cached}"] = FileNode(mtime=self.mtime)
        where = path if content is not None else posixpath.join(folder, f"{WHITEOUT}{name}")
        tree[where] = FileNode(data=content or b"", mtime=self.mtime)
        return tree

    def _wrong(self, entry: PatchEntry, message: str) -> UsageError:
        return UsageError(
            f"patch {entry.name}: {message}",
            where=f"{self.folder}/{entry.name}",
            remedy=f"make it for {entry.package} as installed (release patch import), or remove it",
            code="bad-patch",
        )


def _row(entry: PatchEntry, reason: str) -> dict[str, Any]:
    """What patches.json says of a patch, as images/pytorch-cuda/build/apply_patches.py does."""
    fields = entry.patch.fields
    return {
        "name": entry.name,
        "sha256": digest(entry.data),
        "package": entry.package,
        "version": entry.version,
        "subject": fields["Subject"],
        "author": fields.get("From", ""),
        "origin": fields["Origin"],
        "commit": fields.get("Commit", ""),
        "files": list(entry.patch.files),
        "applied": not reason,
        "reason": reason,
    }
