"""A throw-away object store in which picks are made.

The store is a repository of its own in a temporary directory; it borrows every object of the user's repository
(alternates) and shares nothing else with it: no configuration, attributes, replace refs, grafts, hooks or index.
So the result of a pick depends on the commits alone, and nothing is left behind.

A pick without a checkout, also before git 2.40 (`merge-tree --merge-base`): three throw-away commits.  The base
has the tree of the pick's parent and no parents; ours has the tree of the tip, theirs the tree of the pick, both
on that base.  Merging ours and theirs then uses exactly that base.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import LARGEST, DocumentError
from orchestrator.core.errors import UsageError
from orchestrator.git.cache import Cache
from orchestrator.git.isolation import isolated, remove, settings
from orchestrator.git.merge.result import Merge, decode_merge, encode_merge, merged
from orchestrator.git.merge.submodules import Submodules
from orchestrator.git.objects import EMPTY_TREE, Commit, TreeItem, encode_commit, encode_tree, parse_commit, parse_tree
from orchestrator.git.process import Git, Reader, failure, version
from orchestrator.git.trees import entry_at, items_of, listed, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

_NOBODY = b"release <release@localhost> 0 +0000"

_WORDS = {"40000": "a directory", "120000": "a symbolic link", "160000": "a submodule"}


@dataclass(frozen=True, kw_only=True)
class TreeEntry:
    """A line of `git ls-tree -r`: octal mode, blob (or submodule commit) id, path from the top."""

    mode: str
    sha: str
    path: str


class Scratch:
    """An open scratch store.  Use as a context manager: the directory goes away at the end."""

    def __init__(self, path: Path, objects: Sequence[Path], cache: Cache) -> None:
        self.path = path
        self.listings: dict[str, list[TreeEntry]] = {}  # of trees by their ids
        self.cache = cache
        self._tree = path / "tree"
        self._tree.mkdir()
        for directory in ("objects/info", "objects/pack", "refs/heads"):
            (path / "git" / directory).mkdir(parents=True)
        gitdir = path / "git"
        (gitdir / "HEAD").write_text("ref: refs/heads/none\n")
        (gitdir / "objects/info/alternates").write_bytes(b"".join(os.fsencode(each) + b"\n" for each in objects))
        (gitdir / "config").write_bytes(os.fsencode(settings(self._tree)))
        self.gitdir = gitdir
        self.git = Git(self._tree, env=isolated(gitdir))
        self.submodules = Submodules()
        self._commits: dict[str, Commit] = {}
        self._attributes = ""
        self._attributes_key = ""
        self._more = objects[1:]
        self._reader = Reader(self.git)

    @classmethod
    def open(cls, objects: Path, cache: Cache | None = None, *more: Path) -> Scratch:
        """A new store that borrows from the object directory `objects` (and `more` of them, such as the quarantine
        of a push), and what is known of them from `cache`.
        """
        return cls(Path(tempfile.mkdtemp(prefix="release-")), (objects, *more), cache or Cache())

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the reader process, keep what was found out, and remove the directory."""
        self.cache.close()
        self._reader.close()
        remove(self.path)

    @property
    def git_version(self) -> str:
        """As git prints it; another git may merge differently."""
        return version()

    # -------------------------------------------------------------- reading

    def read(self, sha: str) -> tuple[str, bytes]:
        """Type and content of an object.  Raises MissingObjectError."""
        if (found := self._reader.content(sha)) is None:
            raise MissingObjectError(sha)
        return found

    def read_all(self, ids: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
        """Id, type and content of each of these objects, without those that are not here."""
        return self._reader.contents(ids)

    def header(self, sha: str) -> tuple[str, int]:
        """Type and size in bytes of an object, without reading it.  Raises MissingObjectError."""
        if (found := self._reader.header(sha)) is None:
            raise MissingObjectError(sha)
        return found[1:]

    def blob(self, sha: str) -> bytes:
        return self.read(sha)[1]

    def document(self, sha: str) -> bytes:
        """A blob that others wrote, of a size that can be parsed.  Raises DocumentError before anything is read."""
        kind, size = self.header(sha)
        if kind != "blob":
            raise DocumentError(f"is a {kind}, not a blob")
        if size > LARGEST:
            raise DocumentError(f"has {size} bytes, more than {LARGEST}")
        return self.blob(sha)

    def has(self, sha: str) -> bool:
        """Whether the object is here (a replaced or missing one is not fetched)."""
        return self._reader.header(sha) is not None

    def is_commit(self, sha: str) -> bool:
        """Whether the object is here and a commit (a tag may name a tree or a blob)."""
        found = self._reader.header(sha)
        return found is not None and found[1] == "commit"

    def resolve(self, revision: str, kind: str = "commit") -> str:
        """Full id of a revision told by an id, perhaps a short one; "" for an ambiguous one and for refs."""
        if "@{" in revision or revision.startswith(":"):  # `@{u}` would end git; `:/text` asks refs
            return ""
        found = self._reader.header(f"{revision}^{{{kind}}}")
        return found[0] if found else ""

    def commit(self, sha: str) -> Commit:
        """A commit by its full id.  Raises MissingObjectError."""
        if sha not in self._commits:
            kind, data = self.read(sha)
            if kind != "commit":
                raise MissingObjectError(sha)
            try:
                self._commits[sha] = parse_commit(sha, data)
            except ValueError as error:
                raise UsageError(
                    f"commit {sha} is malformed: no author, no committer, or a date that is none",
                    remedy="see more: git fsck; declare a hand-made commit of the same change instead",
                    code="malformed-commit",
                ) from error
        return self._commits[sha]

    def tree_of(self, sha: str) -> str:
        return self.commit(sha).tree

    def entries(self, tree: str) -> list[TreeEntry]:
        """Every file of a tree, recursively, in git's order."""
        if tree not in self.listings:
            self.listings[tree] = [
                TreeEntry(mode=mode, sha=sha, path=path.decode("utf-8", "surrogateescape"))
                for mode, sha, path in self._listed(tree)
            ]
        return self.listings[tree]

    def _listed(self, tree: str) -> Iterable[tuple[str, str, bytes]]:
        """Mode, id and path of every file."""
        with suppress(MissingObjectError):
            if (few := listed(self, tree)) is not None:
                return few
        rows = (
            row.partition(b"\t") for row in self.git.run("ls-tree", "-r", "-z", "--full-tree", tree).stdout.split(b"\0")
        )
        return ((head[:6].decode(), head[-40:].decode(), path) for head, tab, path in rows if tab)

    def file(self, tree: str, path: str) -> bytes | None:
        """The content of a regular file in a tree, None when there is none at that path."""
        item = entry_at(self, tree, path)
        return self.blob(item.sha) if item and item.mode.startswith("100") else None

    def has_folder(self, tree: str, path: str) -> bool:
        item = entry_at(self, tree, path)
        return item is not None and item.is_tree

    def in_the_way(self, tree: str, path: str) -> str:
        """What keeps a regular file from being written at `path`: `docs, a directory`; "" when nothing does."""
        parts = path.split("/")
        for depth, part in enumerate(parts, 1):
            name = part.encode("utf-8", "surrogateescape")
            item = next((each for each in items_of(self, tree) if each.name == name), None)
            wanted = "100" if depth == len(parts) else "40000"
            if item is None:
                return ""
            if not item.mode.startswith(wanted):
                return f"{'/'.join(parts[:depth])}, {_WORDS.get(item.mode, 'a file')},"
            tree = item.sha
        return ""

    def borrowing(self, objects: Path) -> dict[str, str]:
        """Environment for git in a repository with these objects: what it makes comes into this store."""
        return {
            "GIT_OBJECT_DIRECTORY": str(self.gitdir / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(objects),
        }

    def rev_list(self, *args: str) -> list[str]:
        """Full ids as `git rev-list ARGS` gives them."""
        return self.git.run("rev-list", *args).lines()

    # -------------------------------------------------------------- writing

    def write_raw(self, kind: str, data: bytes) -> str:
        """Store an object whose content is known."""
        from gitdb import IStream
        from gitdb.db import LooseObjectDB

        stream = LooseObjectDB(str(self.gitdir / "objects")).store(IStream(kind.encode(), len(data), io.BytesIO(data)))
        return str(stream.hexsha.decode())

    def write_blob(self, data: bytes) -> str:
        return self.write_raw("blob", data)

    def write_tree(self, items: list[TreeItem]) -> str:
        return self.write_raw("tree", encode_tree(items))

    def write_commit(
        self, *, tree: str, parents: tuple[str, ...], author: bytes, committer: bytes, message: bytes
    ) -> str:
        """Store a commit; the same arguments always give the same id."""
        return self.write_raw(
            "commit",
            encode_commit(tree=tree, parents=parents, author=author, committer=committer, message=message),
        )

    def change_files(self, tree: str, files: Mapping[str, bytes | None]) -> str:
        """The tree with these files written, in mode 100644 or the one that a file has already; None removes it."""
        return put(self, tree, {path: self._entry(tree, path, data) for path, data in files.items()})

    def _entry(self, tree: str, path: str, data: bytes | None) -> tuple[str, str] | None:
        old = entry_at(self, tree, path)
        mode = old.mode if old and old.mode.startswith("100") else "100644"
        return None if data is None else (mode, self.write_blob(data))

    # -------------------------------------------------------------- merging

    def pick(self, *, base: str, ours: str, theirs: str, remember: bool = False, options: Sequence[str] = ()) -> Merge:
        """Apply the change from tree `base` to tree `theirs` on tree `ours`, as a cherry-pick does.

        `remember` keeps the outcome in the cache, new objects and all: the same pick costs no process then.
        `options` are strategy options.
        """
        merge = self.plain_pick(base=base, ours=ours, theirs=theirs, remember=remember, options=options)
        return self.submodules.settled(self, merge)

    def plain_pick(
        self, *, base: str, ours: str, theirs: str, remember: bool = False, options: Sequence[str] = ()
    ) -> Merge:
        """As `pick`, where no submodule is at hand: one that both sides moved conflicts."""
        key = f"2 {self.git_version} {base} {ours} {theirs} {self._attributes_key}{''.join(options)}"
        if remember and (merge := self._recalled(key)):
            return merge
        root = self._throw_away(base or EMPTY_TREE, ())
        commit = self._throw_away(theirs, (root,))
        if options:
            from orchestrator.git.merge.options import picked_with

            merge = picked_with(options, gitdir=self.gitdir, env=self.git.env, ours=ours, theirs=commit)
        else:
            merge = self.merge_commits(self._throw_away(ours, (root,)), commit)
        if remember:
            new = {} if merge.conflicts else self._new_objects(merge.tree, ours)
            self.cache.put("merge", {key: encode_merge(merge, new)})
        return merge

    def _recalled(self, key: str) -> Merge | None:
        """The outcome of an earlier pick; its objects are put back here."""
        known = self.cache.get("merge", [key])
        if not known:
            return None
        merge, objects = decode_merge(known[key])
        for sha, data in objects.items():
            path = self._loose(sha)
            if not path.exists():  # planned twice in one run: git's own file is there, and may not be written to
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
        return merge

    def _new_objects(self, tree: str, ours: str) -> dict[str, bytes]:
        """Loose objects of this store that `tree` has and `ours` has not: id -> bytes of the object file."""
        path = self._loose(tree)
        if tree == ours or not path.exists():
            return {}
        found = {tree: path.read_bytes()}
        old = {item.name: item for item in items_of(self, ours)}
        for item in parse_tree(zlib.decompress(found[tree]).partition(b"\0")[2]):
            before = old.get(item.name)
            if before and before.sha == item.sha:
                continue
            if item.is_tree:
                found |= self._new_objects(item.sha, before.sha if before and before.is_tree else "")
            elif (blob := self._loose(item.sha)).exists():
                found[item.sha] = blob.read_bytes()
        return found

    def _loose(self, sha: str) -> Path:
        return self.gitdir / "objects" / sha[:2] / sha[2:]

    @property
    def is_loose(self) -> bool:
        """Whether what is here is borrowed from one store, or a file of its own."""
        return not self._more and not any((self.gitdir / "objects/pack").iterdir())

    def stored(self, sha: str) -> tuple[str, bytes] | None:
        """Type and content of an object that has a file in this store, None of any other."""
        try:
            head, _, data = zlib.decompress(self._loose(sha).read_bytes()).partition(b"\0")
        except FileNotFoundError:
            return None
        return head.split(b" ")[0].decode(), data

    def _throw_away(self, tree: str, parents: tuple[str, ...]) -> str:
        return self.write_commit(tree=tree, parents=parents, author=_NOBODY, committer=_NOBODY, message=b"x\n")

    def merge_commits(self, ours: str, theirs: str) -> Merge:
        args = ("merge-tree", "--write-tree", "-z", ours, theirs)
        output = self.git.attempt(*args)
        if output.status not in (0, 1):
            raise failure(args, output)
        # A file in a directory's way is put aside as `path~<commit>`: our commits are nobody's business.
        fields = [field.removesuffix(f"~{ours}").removesuffix(f"~{theirs}") for field in output.fields()]
        return merged(fields) if output.status else Merge(tree=fields[0])

    def use_attributes(self, tree: str) -> None:
        """Let merges see the `.gitattributes` of a tree, as a cherry-pick in a checkout of it would.

        Only git's own merge drivers can be chosen that way: drivers are configuration, and none is here.
        """
        if tree == self._attributes:
            return
        shutil.rmtree(self._tree)
        self._tree.mkdir()
        files = self.attribute_files(tree)
        for path, sha in files:
            target = self._tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.blob(sha))
        self._attributes = tree
        self._attributes_key = hashlib.sha256(json.dumps(files).encode()).hexdigest() if files else ""

    @property
    def attributes_key(self) -> str:
        """Equal for trees whose `.gitattributes` are the same; of the tree given to `use_attributes`."""
        return self._attributes_key

    def attribute_files(self, tree: str) -> list[tuple[str, str]]:
        """(path, blob) of every `.gitattributes` in a tree."""
        if known := self.cache.get("attributes", [tree]):
            return [(path, sha) for path, sha in json.loads(known[tree])]
        files = [
            (path.decode("utf-8", "surrogateescape"), sha)
            for mode, sha, path in self._listed(tree)
            if mode.startswith("100") and path.rpartition(b"/")[2] == b".gitattributes"
        ]
        self.cache.put("attributes", {tree: json.dumps(files).encode()})
        return files


def _quoted(path: Path) -> str:
    """A path as GIT_ALTERNATE_OBJECT_DIRECTORIES wants it: C-quoted where it holds the separator."""
    text = str(path)
    plain = os.pathsep not in text and not text.startswith('"')
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class MissingObjectError(UsageError):
    """An object that should be in the clone is not."""

    default_code = "missing-object"

    def __init__(self, sha: str) -> None:
        remedy = "have all objects sent again: git fetch --refetch --no-filter --all --tags"
        super().__init__(f"commit {sha} is not in this clone", remedy=remedy)
        self.sha = sha
