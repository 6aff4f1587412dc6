"""Trees as files in a directory: whole, or the part that a command reads, as a tree with an id of its own."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.git.isolation import remove
from orchestrator.git.objects import EMPTY_TREE, parse_tree
from orchestrator.git.process import Git

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.git.scratch import Scratch

_Path = tuple[bytes, ...]


def checkout(scratch: Scratch, tree: str, directory: Path) -> None:
    """Make `directory` hold a tree and nothing else; of what was checked out there, only the rest is written."""
    index = Path(f"{directory}.index")
    git = Git(directory, env={**scratch.git.env, "GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(directory)})
    if directory.exists():
        remove(directory / ".git")  # made by somebody: git would neither see nor remove it
        if git.attempt("clean", "-ffdxq").status:
            remove(directory)
            index.unlink(missing_ok=True)
            if directory.exists():  # it holds files of another user, a container's perhaps
                directory.rename(tempfile.mkdtemp(dir=scratch.path))
    directory.mkdir(parents=True, exist_ok=True)
    git.run("read-tree", "--reset", "-u", tree)


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
