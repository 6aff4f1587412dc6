"""A part of a tree, as a tree of its own: what a sparse checkout holds, with an id that says when it has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.git.objects import EMPTY_TREE, parse_tree

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.git.scratch import Scratch

_Path = tuple[bytes, ...]


def partial_tree(scratch: Scratch, tree: str, paths: Sequence[str]) -> str:
    """`tree` with these files and folders only, and the `.gitattributes` above them, which decide how they are
    written.  All of it where `paths` is empty.
    """
    return _kept(scratch, tree, [_split(path) for path in paths]) if paths else tree


def _kept(scratch: Scratch, tree: str, wanted: Collection[_Path]) -> str:
    items = []
    for item in parse_tree(scratch.read(tree)[1]):
        below = [path[1:] for path in wanted if path[0] == item.name]
        if () in below or item.name == b".gitattributes":
            items.append(item)
        elif below and item.is_tree and (part := _kept(scratch, item.sha, below)) != EMPTY_TREE:
            items.append(replace(item, sha=part))
    return scratch.write_tree(items)


def has_path(scratch: Scratch, tree: str, path: str) -> bool:
    """Whether there is anything at `path`."""
    names = _split(path)
    for depth, name in enumerate(names, 1):
        item = next((each for each in parse_tree(scratch.read(tree)[1]) if each.name == name), None)
        if item is None or (depth < len(names) and not item.is_tree):
            return False
        tree = item.sha
    return True


def _split(path: str) -> _Path:
    return tuple(path.encode("utf-8", "surrogateescape").split(b"/"))
