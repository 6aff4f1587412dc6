"""What a merge came to: git's words for it, and how it is kept in the cache."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.pick import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KIND = re.compile(r"CONFLICT \(([^)]*)\)")


@dataclass(frozen=True, kw_only=True)
class Merge:
    """A merged tree; with conflicts it holds files with conflict markers and must not be used."""

    tree: str
    conflicts: tuple[Conflict, ...] = ()


def encode_merge(merge: Merge, objects: Mapping[str, bytes]) -> bytes:
    """A line of JSON, then the object files one after another."""
    conflicts = [(each.path, each.kind) for each in merge.conflicts]
    head = json.dumps([merge.tree, conflicts, [(sha, len(data)) for sha, data in objects.items()]])
    return b"".join([head.encode(), b"\n", *objects.values()])


def decode_merge(data: bytes) -> tuple[Merge, dict[str, bytes]]:
    """Back from `encode_merge`."""
    head, _, rest = data.partition(b"\n")
    tree, conflicts, sizes = json.loads(head)
    objects, at = {}, 0
    for sha, size in sizes:
        objects[sha] = rest[at : at + size]
        at += size
    return Merge(tree=tree, conflicts=tuple(Conflict(path=path, kind=kind) for path, kind in conflicts)), objects


def conflicts(fields: Sequence[str]) -> tuple[Conflict, ...]:
    """Parse what follows the tree in `merge-tree -z`: unmerged entries, an empty field, then messages.

    The paths are those that git leaves unmerged; a conflict without any (a directory in the way, a submodule) is
    known by the paths that its message names.  The kind is git's own word.
    """
    blank = fields.index("") if "" in fields else len(fields)
    unmerged = [field.partition("\t")[2] for field in fields[:blank]]
    kinds: dict[str, str] = {}
    for paths, message in _messages(fields[blank + 1 :]):
        match = _KIND.match(message)
        if match:
            for path in paths:
                kinds.setdefault(path, match[1])
    return tuple(Conflict(path=path, kind=kinds.get(path, "content")) for path in sorted(set(unmerged) or kinds))


def _messages(fields: Sequence[str]) -> Iterable[tuple[Sequence[str], str]]:
    """(paths, message) of each record `<count> <path>... <short type> <message>`."""
    position = 0
    while position < len(fields):
        count = int(fields[position])
        paths = fields[position + 1 : position + 1 + count]
        yield paths, fields[position + 2 + count]
        position += count + 3
