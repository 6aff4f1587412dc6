"""Trees made of other trees, object by object: entries put in or taken out, and parts of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from orchestrator.git.objects import EMPTY_TREE, TreeItem, parse_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Path = tuple[bytes, ...]  # the names on the way
_FOLDER = "40000"
_FEW = 32  # trees
Entry = tuple[str, str]  # octal mode and id


class TreeStore(Protocol):
    """Who has trees, and keeps new ones."""

    def read(self, sha: str) -> tuple[str, bytes]: ...
    def write_tree(self, items: list[TreeItem]) -> str: ...


def split(path: str) -> Path:
    """The names on the way to a path."""
    return tuple(path.encode("utf-8", "surrogateescape").split(b"/"))


def items_of(store: TreeStore, tree: str) -> list[TreeItem]:
    """The entries of one tree, none for the empty name that a file stands for on the way to a path."""
    return parse_tree(store.read(tree)[1]) if tree and tree != EMPTY_TREE else []


def listed(store: TreeStore, tree: str) -> list[tuple[str, str, bytes]] | None:
    """Mode, id and path of every file of a tree, in git's order; None where so many trees are better read by git."""
    rows, waiting, trees = [], [TreeItem(mode=_FOLDER, name=b"", sha=tree)], 0
    while waiting:
        item = waiting.pop()
        if not item.is_tree:
            rows.append((item.mode, item.sha, item.name))
            continue
        trees += 1
        kind, data = store.read(item.sha) if trees <= _FEW else ("", b"")
        if kind != "tree":
            return None
        above = item.name and item.name + b"/"
        below = [TreeItem(mode=each.mode, name=above + each.name, sha=each.sha) for each in parse_tree(data)]
        waiting += reversed(below)
    return rows


def put(store: TreeStore, tree: str, entries: Mapping[str, Entry | None]) -> str:
    """The tree with these entries in it, None for one that is to go.

    Folders on the way are made, and go where nothing is left in them; a file in the way of a folder is replaced.
    """
    for path in sorted(entries, key=lambda path: entries[path] is not None):  # first what goes: it makes room
        tree = _put(store, tree, split(path), entries[path])
    return tree


def _put(store: TreeStore, tree: str, path: Path, entry: Entry | None) -> str:
    items = items_of(store, tree)
    old = next((item for item in items if item.name == path[0]), None)
    rest = [item for item in items if item is not old]
    if len(path) == 1:
        return store.write_tree(rest if entry is None else [*rest, TreeItem(mode=entry[0], name=path[0], sha=entry[1])])
    if entry is None and (old is None or not old.is_tree):
        return tree  # there is nothing to take out
    below = _put(store, old.sha if old and old.is_tree else "", path[1:], entry)
    if below in ("", EMPTY_TREE):
        return store.write_tree(rest)
    return store.write_tree([*rest, TreeItem(mode=_FOLDER, name=path[0], sha=below)])


def partial_tree(store: TreeStore, tree: str, paths: Sequence[str]) -> str:
    """`tree` with these files and folders only, and the `.gitattributes` above them, which decide how they are
    written.  All of it where `paths` is empty.
    """
    return _kept(store, tree, [split(path) for path in paths]) if paths else tree


def _kept(store: TreeStore, tree: str, wanted: Collection[Path]) -> str:
    items = []
    for item in items_of(store, tree):
        below = [path[1:] for path in wanted if path[0] == item.name]
        if () in below or item.name == b".gitattributes":
            items.append(item)
        elif below and item.is_tree and (part := _kept(store, item.sha, below)) != EMPTY_TREE:
            items.append(replace(item, sha=part))
    return store.write_tree(items)


def has_path(store: TreeStore, tree: str, path: str) -> bool:
    """Whether there is anything at `path`."""
    return entry_at(store, tree, path) is not None


def entry_at(store: TreeStore, tree: str, path: str) -> TreeItem | None:
    """What a tree has at a path."""
    item = None
    for name in split(path):
        item = next((each for each in items_of(store, tree) if each.name == name), None)
        if item is None:
            return None
        tree = item.sha if item.is_tree else ""
    return item
