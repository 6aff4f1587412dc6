"""A thin release by a builder: what the tool prepares is given as folders."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.thin.final import PREPARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.thin.layer import FileNode


@contextmanager
def thin_contexts(trees: Mapping[str, Mapping[str, FileNode]]) -> Iterator[dict[str, str]]:
    """Build contexts in place of the stages of their names: each prepared tree as a folder."""
    with tempfile.TemporaryDirectory(prefix="release-") as place:
        found: dict[str, str] = {}
        for name in PREPARED:
            if name in trees:
                folder = Path(place) / name
                lay(folder, trees[name])
                found[name] = str(folder)
        yield found


def lay(folder: Path, tree: Mapping[str, FileNode]) -> None:
    """The files of a tree below a folder, with their modes and times; owners are the builder's to set."""
    folder.mkdir()
    for path in sorted(tree):
        node, place = tree[path], folder / path
        if node.kind == "folder":
            place.mkdir()
        elif node.kind == "link":
            place.symlink_to(os.fsdecode(node.data))
        else:
            place.write_bytes(node.data)
            place.chmod(node.mode)
    for path in sorted(tree, reverse=True):
        os.utime(folder / path, (tree[path].mtime, tree[path].mtime), follow_symlinks=False)
