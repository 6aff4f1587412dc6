"""What a tree only points to, submodules and Git LFS files: filled in as far as this clone has them.

A submodule is named by the commit, a file of Git LFS by the digest of its content, so what is filled in is a function
of the tree alone, wherever it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch, TreeEntry

SUBMODULE: Final = "160000"
_MAX_POINTER: Final = 1024  # bytes; git-lfs takes no larger file for a pointer
_HEAD: Final = b"version https://git-lfs.github.com/spec/"
_OID: Final = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_CHUNK: Final = 1024 * 1024
_ATTRIBUTES: Final = ".gitattributes"
_LFS_FILTER: Final = b"filter=lfs"


def is_pointer(data: bytes) -> bool:
    """Whether a file's content is a Git LFS pointer."""
    return len(data) < _MAX_POINTER and data.startswith(_HEAD)


class Pointed:
    """Submodules and LFS files of one repository, where git and git-lfs keep them.  Nothing is fetched."""

    def __init__(self, repository: Repository) -> None:
        self._git_dirs = [repository.common_dir, *_module_dirs(repository.common_dir)]
        self._configured = repository.config("lfs.storage")
        self._known: dict[str, Path | None] = {}

    @property
    def stores(self) -> list[Path]:
        """Directories of objects, those of the submodules: a scratch store over them has their commits."""
        return [each / "objects" for each in self._git_dirs[1:]]

    def lfs(self, pointer: bytes) -> Path | None:
        """The file that a pointer stands for; None where it is not here.  Raises UsageError for a damaged one."""
        found = _OID.search(pointer)
        if found is None:
            return None
        oid = found[1].decode()
        if oid not in self._known:
            self._known[oid] = next(filter(None, (_checked(path, oid) for path in self._places(oid))), None)
        return self._known[oid]

    def _places(self, oid: str) -> Iterator[Path]:
        for each in self._git_dirs:
            yield each / "lfs/objects" / oid[:2] / oid[2:4] / oid
        if self._configured:  # relative to the git directory
            yield self._git_dirs[0] / self._configured / "objects" / oid[:2] / oid[2:4] / oid


def _module_dirs(common_dir: Path) -> list[Path]:
    """The git directories of submodules, those inside others too."""
    found = []
    for folder, names, files in os.walk(common_dir / "modules"):
        if "HEAD" in files and "objects" in names:
            found.append(common_dir / folder)
            names[:] = [name for name in names if name == "modules"]
    return sorted(found)


def _checked(path: Path, oid: str) -> Path | None:
    """`path` where it is there; its content must be what its name says."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    if digest.hexdigest() != oid:
        raise UsageError(
            "this file of Git LFS is damaged: its content is not what its name says",
            where=str(path),
            remedy="remove it, and fetch it again: git lfs fetch --all",
            code="lfs-damaged",
        )
    return path


def filled(scratch: Scratch, tree: str) -> Iterator[TreeEntry]:
    """The entries of a tree, submodules followed; one whose commit is not at hand stays as its own entry."""
    yield from _filled(scratch, scratch.entries(tree), "")


def _filled(scratch: Scratch, entries: Iterable[TreeEntry], prefix: str) -> Iterator[TreeEntry]:
    for entry in entries:
        moved = type(entry)(mode=entry.mode, sha=entry.sha, path=prefix + entry.path)
        if entry.mode == SUBMODULE and scratch.has(entry.sha):
            yield from _filled(scratch, scratch.entries(entry.sha), f"{moved.path}/")
        else:
            yield moved


def lfs_pointers(scratch: Scratch, entries: Iterable[TreeEntry]) -> Iterator[TreeEntry]:
    """The entries that are Git LFS pointers, where the tree's attributes speak of Git LFS at all."""
    entries = list(entries)
    attributes = [each.sha for each in entries if each.path.rpartition("/")[2] == _ATTRIBUTES]
    if not any(_LFS_FILTER in scratch.blob(sha) for sha in attributes):
        return
    for entry in entries:
        if (
            entry.mode.startswith("100")
            and scratch.header(entry.sha)[1] < _MAX_POINTER
            and is_pointer(scratch.blob(entry.sha))
        ):
            yield entry
