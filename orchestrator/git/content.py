"""Files as git stores them, and what a stored file only points to.

A file is stored as git's clean filters (line ends, `ident`, a filter of the user) make it.  A submodule is named by the
commit, a file of Git LFS by the digest of its content; both are filled in as far as this clone has them, so what is
filled in is a function of the tree alone, wherever it is read.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import UsageError
from orchestrator.git.merge.submodules import directories
from orchestrator.git.objects import object_id
from orchestrator.git.process import Git

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch, TreeEntry


_IDENT = re.compile(rb"\$Id:[^$\r\n]*\$")
_KNOWN_ATTRIBUTES = ("text", "eol", "ident")
# Of what a clone is set to, its filters count here, and no hook and no monitor.
_QUIET = (("core.safecrlf", "false"), ("core.hooksPath", "/dev/null"), ("core.fsmonitor", "false"))
_CRLF, _LF = b"\r\n", b"\n"


def as_added(repository: Repository, scratch: Scratch, path: str) -> bytes:
    """What `git add` would store of a file of the work tree.  Nothing in the repository changes.

    Raises UsageError where a filter that is required cannot run.
    """
    own = Git(repository.top, env=repository.git.env, config=_QUIET)
    if (same := _as_it_is(own, repository.top / path)) is not None:
        return same
    env = scratch.borrowing(repository.common_dir / "objects") | {"GIT_INDEX_FILE": str(scratch.path / "index")}
    here = own.run("ls-files", "--stage", "-z", "--", f":(literal,top){path}").stdout
    git = Git(repository.top, env={**repository.git.env, **env}, config=_QUIET)
    git.run("update-index", "-z", "--index-info", stdin=here)  # whether a file had CRLF before counts
    output = git.attempt("update-index", "--add", "--", path)
    if output.status:
        raise UsageError(
            f"git cannot store {path}: {(output.stderr.strip().splitlines() or ['no message'])[-1]}",
            where=path,
            remedy=f"`git add -- {path}` must work: install or correct its filter (`git check-attr -a -- {path}`)",
            code="filter-failed",
            detail=output.stderr,
        )
    row = git.run("ls-files", "--stage", "-z", "--", f":(literal,top){path}").fields()[0]
    return scratch.blob(row.split(" ")[1])


def _as_it_is(git: Git, path: Path) -> bytes | None:
    """The content of a file that git stores unchanged, None where it may not.

    What it had before counts for one with CR only.
    """
    if path.is_symlink() or b"\r" in (data := path.read_bytes()):
        return None
    told = git.attempt("hash-object", "--stdin", f"--path={path.relative_to(git.cwd).as_posix()}", stdin=data)
    return data if told.text.strip() == object_id("blob", data) else None


def as_stored(scratch: Scratch, tree: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as a commit on `tree` must have them, so that a clone of it is clean: by the attributes there."""
    attributes = _attributes(scratch, tree, list(files))
    return {path: _cleaned(data, scratch.file(tree, path), attributes.get(path, {})) for path, data in files.items()}


def _cleaned(data: bytes, old: bytes | None, attributes: Mapping[str, str]) -> bytes:
    text, eol = attributes.get("text", "unspecified"), attributes.get("eol", "unspecified")
    is_text = text == "set" or (text == "unspecified" and eol in ("lf", "crlf"))
    if text == "auto":  # a file that was stored with CRLF keeps them
        is_text = b"\0" not in data and (old is None or _CRLF not in old)
    if is_text:
        data = data.replace(_CRLF, _LF)
    return _IDENT.sub(b"$Id$", data) if attributes.get("ident") == "set" else data


def _attributes(scratch: Scratch, tree: str, paths: list[str]) -> dict[str, dict[str, str]]:
    """Path -> attribute -> value, by the `.gitattributes` of a tree."""
    found: dict[str, dict[str, str]] = {}
    if not (files := scratch.attribute_files(tree)):
        return found
    with tempfile.TemporaryDirectory(dir=scratch.path) as folder:
        for path, sha in files:
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(scratch.blob(sha))
        git = Git(Path(folder), env={**scratch.git.env, "GIT_WORK_TREE": folder})
        fields = git.run("check-attr", "-z", *_KNOWN_ATTRIBUTES, "--", *paths).fields()
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        found.setdefault(path, {})[name] = value
    return found


SUBMODULE: Final = "160000"
_MAX_POINTER: Final = 1024  # bytes; git-lfs takes no larger file for a pointer
# As git-lfs has it in lfs/pointer.go, with its names before 2015, which it still reads.
_HEADS: Final = (
    b"version https://git-lfs.github.com/spec/",
    b"version https://hawser.github.com/spec/",
    b"version http://git-media.io/v/2",
)
_OID: Final = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_CHUNK: Final = 1024 * 1024
_ATTRIBUTES: Final = ".gitattributes"
_LFS_FILTER: Final = b"filter=lfs"


def is_pointer(data: bytes) -> bool:
    """Whether a file's content is a Git LFS pointer."""
    return len(data) < _MAX_POINTER and data.lstrip().startswith(_HEADS)


class Pointed:
    """Submodules and LFS files of one repository, where git and git-lfs keep them.  Nothing is fetched."""

    def __init__(self, repository: Repository) -> None:
        self._git_dirs = [repository.common_dir, *directories(repository.common_dir)]
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
