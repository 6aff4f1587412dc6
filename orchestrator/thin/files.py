"""What `COPY --link` makes of its sources: a tree of files, as BuildKit lays it out."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.thin.layer import FileNode, Tree, add_parents, owned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.thin.final import Copy


def copied_tree(copy: Copy, origin: Mapping[str, FileNode], *, folder: str, mtime: int, file: str) -> Tree:
    """The files of one COPY, with the folders above them.

    `origin` is what it copies from, folders included; `folder` is the image's working directory, `mtime` the time of
    what has none of its own, `file` the Dockerfile in places.  Raises UsageError for what a builder would refuse.
    """
    place = f"{file}:{copy.line}"
    destination = posixpath.normpath(posixpath.join("/", folder, copy.destination)).lstrip("/")
    is_folder = copy.destination.endswith(("/", "/.")) or copy.destination in ("", ".") or not destination
    if len(copy.sources) + len(copy.heredocs) > 1 and not is_folder:
        raise _refused(place, f"COPY of several files into {copy.destination}", "end the destination with a slash")
    found: Tree = {}
    for source in copy.sources:
        found |= _source(source, origin, destination, place, is_folder=is_folder)
    for name, text in copy.heredocs:
        path = _joined(destination, name) if is_folder else destination
        found[path] = FileNode(data=text, mtime=mtime)
    if destination and is_folder:
        found.setdefault(destination, FileNode(kind="folder", mode=0o755, mtime=mtime))
    uid, gid = copy.owner
    return owned(add_parents(found, mtime), uid, gid) if copy.owner != (0, 0) else add_parents(found, mtime)


def _source(source: str, origin: Mapping[str, FileNode], destination: str, place: str, *, is_folder: bool) -> Tree:
    path = posixpath.normpath(f"/{source}").lstrip("/")
    node = origin.get(path)
    if path and node is None:
        raise _refused(place, f"COPY {source}: it is not in what the build gets", "correct the name or .dockerignore")
    if node is None or node.kind == "folder":
        head = f"{path}/" if path else ""
        below = {each.removeprefix(head): origin[each] for each in origin if each.startswith(head) and each != path}
        tree = {_joined(destination, each): inner for each, inner in below.items()}
        if destination and node:  # the folder itself, which the destination becomes
            tree[destination] = node
        return tree
    if node.kind == "link":
        raise _refused(place, f"COPY {source}: it is a symbolic link", "name the file that it points to")
    name = posixpath.basename(path)
    return {_joined(destination, name) if is_folder else destination: replace(node)}


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _refused(place: str, message: str, remedy: str) -> UsageError:
    return UsageError(message, where=place, remedy=remedy, code="thin-copy")
