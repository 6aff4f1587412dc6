"""The build context: a tar made from git-tree entries, the same bytes for the same inputs.

The work tree never takes part, so what is built is what is tagged.  Names are sorted by their bytes, owners
are 0 and nameless, modes are 0644 or 0755, and every time is the one given, which the classic builder keeps
for what it copies (folders that it makes itself get the time of the build).
"""

from __future__ import annotations

import difflib
import hashlib
import os
import posixpath
import tarfile
from functools import partial
from typing import IO, TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.dockerfile.ignore import ignore_filter
from orchestrator.git.content import filled, is_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from orchestrator.core.plan import PlannedImage
    from orchestrator.git.scratch import Scratch

# The name under which a Dockerfile from outside the context directory travels.
OUTSIDE_DOCKERFILE = ".release.Dockerfile"
IGNORE_FILE = ".dockerignore"

_SYMLINK = "120000"
_SUBMODULE = "160000"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ContextEntry:
    """A leaf of a git tree.  `path` is relative to the repository's top, undecodable bytes as surrogates."""

    path: str
    mode: str  # "100644", "100755", "120000" (symbolic link), "160000" (submodule)
    sha: str


@dataclass(frozen=True, kw_only=True)
class BuildContext:
    """A context as written.  `size` is the tar's length in bytes; paths are relative to the context."""

    sha256: str
    files: int  # regular files and symbolic links
    size: int
    dockerfile_in_context: str
    submodules: tuple[str, ...] = ()  # sent as empty directories: their content is not at hand
    lfs_pointers: tuple[str, ...] = ()  # sent as pointer text: the file that they stand for is not at hand


@dataclass(frozen=True, kw_only=True)
class IgnoreRules:
    """What a build leaves out.  `is_own`: they are those of one Dockerfile, `NAME.dockerignore` beside it, which count
    in place of the context's `.dockerignore`.
    """

    ignored: Callable[[str], bool] | None = None
    is_own: bool = False


def ignore_rules(read: Callable[[str], bytes | None], root: str, dockerfile: str) -> IgnoreRules:
    """The rules for a build.  `read` gives a file's content by its path from the repository's top, None for none."""
    own = f"{_clean(dockerfile, 'Dockerfile')}{IGNORE_FILE}"
    general = posixpath.normpath(posixpath.join(_clean(root, "context directory"), IGNORE_FILE))
    for path in (own, general):
        if (text := read(path)) is not None:
            rules = ignore_filter(text.decode("utf-8", "replace"), path)
            return IgnoreRules(ignored=rules, is_own=path == own)
    return IgnoreRules()


def write_context(
    entries: Iterable[ContextEntry],
    read: Callable[[ContextEntry], bytes],
    out: IO[bytes],
    *,
    root: str,
    dockerfile: str,
    mtime: int,
    rules: IgnoreRules,
    lfs: Callable[[bytes], Path | None] = lambda _: None,
) -> BuildContext:
    """Write the tar of what `entries` hold under `root` to `out`, from where it stands.

    `read` gives a blob's bytes (a link's target), `lfs` the file that a Git LFS pointer stands for; the rules are asked
    with paths relative to the context, but not about the Dockerfile and `.dockerignore`, which docker always sends.
    `mtime` is seconds since the epoch.  A Dockerfile outside `root` travels as OUTSIDE_DOCKERFILE and is added to
    `.dockerignore`, which makes the engine drop it before `COPY . .` can see it, as docker's own client does.

    Raises UsageError when the tree is empty, or when `root` or `dockerfile` is not in it.
    """
    tree = {entry.path: entry for entry in entries}
    for path in tree:
        _refuse_way_out(path)
    if not tree:
        raise UsageError("the tree holds no files, so there is nothing to build", code="empty-context")
    root = _clean(root, "context directory")
    source = _find_dockerfile(tree, _clean(dockerfile, "Dockerfile"))
    items = {path: _Item(entry.mode, partial(read, entry)) for path, entry in _below(tree, root).items()}
    name = _relative(source.path, root)
    if rules.is_own:  # the builder would follow the other one, which does not count
        items.pop(IGNORE_FILE, None)
        if name and rules.ignored and rules.ignored(name):
            items[IGNORE_FILE] = _hiding(name, IGNORE_FILE)
    if not name:
        name = OUTSIDE_DOCKERFILE
        _add_outside_dockerfile(items, source, read)
    writer = _Writer(out, max(mtime, 0), lfs)
    for path in sorted(items, key=_bytes):
        if path in (name, IGNORE_FILE) or rules.ignored is None or not rules.ignored(path):
            writer.add(path, items[path])
    return writer.finish(name)


def tree_context(
    scratch: Scratch,
    tree: str,
    image: PlannedImage,
    mtime: int,
    out: IO[bytes],
    text: bytes,
    lfs: Callable[[bytes], Path | None],
) -> BuildContext:
    """`write_context` of an image of a plan, from a git tree; `text` is what the builder gets for a Dockerfile."""
    dockerfile = posixpath.normpath(image.dockerfile)
    return write_context(
        [ContextEntry(path=entry.path, mode=entry.mode, sha=entry.sha) for entry in filled(scratch, tree)],
        lambda entry: text if entry.path == dockerfile else scratch.blob(entry.sha),
        out,
        root=image.context,
        dockerfile=image.dockerfile,
        mtime=mtime,
        rules=ignore_rules(lambda path: scratch.file(tree, path), image.context, image.dockerfile),
        lfs=lfs,
    )


def _hiding(*names: str) -> _Item:
    """A `.dockerignore` that makes the engine drop these files once it has read them."""
    return _Item("100644", lambda: "".join(f"{name}\n" for name in names).encode())


def sent(read: Callable[[str], bytes | None], root: str, dockerfile: str) -> Callable[[str], bool]:
    """A function telling whether a path of the repository is among what a build with this context gets.

    `read` gives the content of a file by its path from the repository's top, None where there is none.
    """
    rules = ignore_rules(read, root, dockerfile)
    root, dockerfile = _clean(root, "context directory"), _clean(dockerfile, "Dockerfile")

    def is_sent(path: str) -> bool:
        inside = _relative(path, root)
        if path == dockerfile or inside == IGNORE_FILE:
            return path == dockerfile or not rules.is_own
        return bool(inside) and not (rules.ignored and rules.ignored(inside))

    return is_sent


@dataclass(frozen=True)
class _Item:
    mode: str
    load: Callable[[], bytes]


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _clean(path: str, what: str) -> str:
    """`path` without `./` and a trailing slash, "." for the top.  UsageError outside the repository."""
    clean = posixpath.normpath(path or ".")
    if clean.startswith(("/", "../")) or clean == "..":
        raise UsageError(
            f"the {what} {path!r} is outside the repository",
            remedy="give it relative to the repository's top",
            code="path-outside",
        )
    return clean


def _relative(path: str, root: str) -> str:
    """`path` relative to `root`, or "" when it is not below it."""
    if root == ".":
        return path
    return path.removeprefix(f"{root}/") if path.startswith(f"{root}/") else ""


def _find_dockerfile(tree: dict[str, ContextEntry], path: str) -> ContextEntry:
    entry = tree.get(path)
    if entry is None or entry.mode == _SUBMODULE:
        known = [name for name in tree if "dockerfile" in posixpath.basename(name).lower()]
        near = difflib.get_close_matches(path, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else "commit it on the release branch, or name another one"
        raise UsageError(f"the Dockerfile {path!r} is not in the tree", remedy=hint, where=path, code="no-dockerfile")
    return entry


def _below(tree: dict[str, ContextEntry], root: str) -> dict[str, ContextEntry]:
    inside = {relative: entry for path, entry in tree.items() if (relative := _relative(path, root))}
    if not inside:
        what = "a file" if root in tree else "not in the tree"
        raise UsageError(
            f"the context directory {root!r} is {what}",
            remedy="name a directory that holds committed files, or `.`",
            where=root,
            code="no-context",
        )
    return inside


def _add_outside_dockerfile(
    items: dict[str, _Item], source: ContextEntry, read: Callable[[ContextEntry], bytes]
) -> None:
    """Let `source` travel with `items`, and let the engine forget it before the first step."""
    if OUTSIDE_DOCKERFILE in items:
        raise UsageError(
            f"the context holds a file named {OUTSIDE_DOCKERFILE}, which is reserved",
            remedy="rename that file",
            code="reserved-name",
        )
    if source.mode == _SYMLINK:
        raise UsageError(
            f"the Dockerfile {source.path!r} is a symbolic link outside the context directory",
            remedy="name the file that it points to",
            where=source.path,
            code="no-dockerfile",
        )
    own = items.get(IGNORE_FILE)
    text = own.load() if own else IGNORE_FILE.encode()
    text += f"\n{OUTSIDE_DOCKERFILE}\n".encode()
    items[OUTSIDE_DOCKERFILE] = _Item("100644", partial(read, source))
    items[IGNORE_FILE] = _Item("100644", lambda: text)


def _refuse_way_out(path: str) -> None:
    """Raises UsageError for a name that would leave the folder where the tar is unpacked.

    git itself makes no tree with such an entry; somebody did by hand, and `git fsck` says so.
    """
    if {"", ".", ".."} & set(path.split("/")):
        raise UsageError(
            f"the tree has an entry {path!r}, which is no name for a file",
            where=path,
            remedy="name the tree: git fsck; find out who pushed it, and release from a commit without it",
            code="bad-tree-entry",
        )


class _Writer:
    """Writes, counts and hashes tar members, each parent directory once and before what it holds."""

    def __init__(self, out: IO[bytes], mtime: int, lfs: Callable[[bytes], Path | None]) -> None:
        self._out = out
        self._lfs = lfs
        self._hash = hashlib.sha256()
        self._size = 0
        self._mtime = mtime
        self._directories: set[str] = set()
        self._files = 0
        self._submodules: list[str] = []
        self._pointers: list[str] = []

    def add(self, path: str, item: _Item) -> None:
        self._add_parents(path)
        if item.mode == _SUBMODULE:
            self._submodules.append(path)
            self._add_directory(path)
            return
        self._files += 1
        data = item.load()
        info = self._info(path)
        if item.mode == _SYMLINK:
            info.type, info.mode = tarfile.SYMTYPE, 0o777
            info.linkname = data.decode("utf-8", "surrogateescape")
            self._member(info)
            return
        info.mode = 0o755 if item.mode == "100755" else 0o644
        if is_pointer(data):
            if content := self._lfs(data):
                self._file(info, content)
                return
            self._pointers.append(path)
        info.size = len(data)
        self._member(info, data)

    def finish(self, dockerfile: str) -> BuildContext:
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._size % tarfile.RECORDSIZE))
        return BuildContext(
            sha256=self._hash.hexdigest(),
            files=self._files,
            size=self._size,
            dockerfile_in_context=dockerfile,
            submodules=tuple(self._submodules),
            lfs_pointers=tuple(self._pointers),
        )

    def _add_parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            self._add_directory("/".join(parts[:depth]))

    def _add_directory(self, path: str) -> None:
        if path in self._directories:
            return
        self._directories.add(path)
        info = self._info(path)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        self._member(info)

    def _info(self, path: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.mtime = self._mtime
        return info  # owner, group and their names are 0 and "" from birth

    def _member(self, info: tarfile.TarInfo, data: bytes = b"") -> None:
        # pax: long and non-ASCII names have exactly one spelling in it.
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        self._write(data)
        self._write(bytes(-len(data) % tarfile.BLOCKSIZE))

    def _file(self, info: tarfile.TarInfo, path: Path) -> None:
        """A file of any size, which a pointer has named by its digest."""
        with path.open("rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
            while chunk := file.read(_CHUNK):
                self._write(chunk)
            self._write(bytes(-info.size % tarfile.BLOCKSIZE))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._hash.update(data)
        self._size += len(data)
