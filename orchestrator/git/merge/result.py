"""What a merge came to: git's words for it, and how it is kept in the cache."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import Conflict, Submodule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KIND = re.compile(r"CONFLICT \(([^)]*)\)")
LINK: Final = "160000"  # the mode of a submodule's entry


@dataclass(frozen=True, kw_only=True)
class Link:
    """A submodule that both sides moved: the commits of it before, on the branch, and in what is merged."""

    path: str
    base: str
    ours: str
    theirs: str


@dataclass(frozen=True, kw_only=True)
class Merge:
    """A merged tree; with conflicts it holds files with conflict markers and must not be used.

    `links` are the submodules among the conflicts of which nobody has said yet whether one side contains the other;
    `forwarded` those that were moved to the side that does.
    """

    tree: str
    conflicts: tuple[Conflict, ...] = ()
    links: tuple[Link, ...] = ()
    forwarded: tuple[Submodule, ...] = ()


def encode_merge(merge: Merge, objects: Mapping[str, bytes]) -> bytes:
    """A line of JSON, then the object files one after another."""
    conflicts = [(each.path, each.kind) for each in merge.conflicts]
    links = [(each.path, each.base, each.ours, each.theirs) for each in merge.links]
    head = json.dumps([merge.tree, conflicts, [(sha, len(data)) for sha, data in objects.items()], links])
    return b"".join([head.encode(), b"\n", *objects.values()])


def decode_merge(data: bytes) -> tuple[Merge, dict[str, bytes]]:
    """Back from `encode_merge`."""
    head, _, rest = data.partition(b"\n")
    tree, conflicts, sizes, links = json.loads(head)
    objects, at = {}, 0
    for sha, size in sizes:
        objects[sha] = rest[at : at + size]
        at += size
    merge = Merge(
        tree=tree,
        conflicts=tuple(Conflict(path=path, kind=kind) for path, kind in conflicts),
        links=tuple(Link(path=path, base=base, ours=ours, theirs=theirs) for path, base, ours, theirs in links),
    )
    return merge, objects


def merged(fields: Sequence[str]) -> Merge:
    """Parse what `merge-tree -z` says of a merge with conflicts: the tree, unmerged entries, an empty field, messages.

    The paths are those that git leaves unmerged; a conflict without any (a directory in the way) is known by the paths
    that its message names.  The kind is git's own word.
    """
    blank = fields.index("") if "" in fields else len(fields)
    stages = fields[1:blank]
    unmerged = [field.partition("\t")[2] for field in stages]
    kinds: dict[str, str] = {}
    for paths, message in _messages(fields[blank + 1 :]):
        match = _KIND.match(message)
        if match:
            for path in paths:
                kinds.setdefault(path, match[1])
    named = sorted(set(unmerged) or kinds)
    found = tuple(Conflict(path=path, kind=kinds.get(path, "content")) for path in named)
    return Merge(tree=fields[0], conflicts=found, links=links_among(stages))


def links_among(stages: Iterable[str]) -> tuple[Link, ...]:
    """The submodules of which all three sides are unmerged, of entries `mode id stage<TAB>path`."""
    found: dict[str, dict[str, str]] = {}
    for field in stages:
        meta, _, path = field.partition("\t")
        mode, sha, stage = meta.split(" ")
        if mode == LINK:
            found.setdefault(path, {})[stage] = sha
    return tuple(
        Link(path=path, base=sides["1"], ours=sides["2"], theirs=sides["3"])
        for path, sides in found.items()
        if len(sides) == 3
    )


def _messages(fields: Sequence[str]) -> Iterable[tuple[Sequence[str], str]]:
    """(paths, message) of each record `<count> <path>... <short type> <message>`."""
    position = 0
    while position < len(fields):
        count = int(fields[position])
        paths = fields[position + 1 : position + 1 + count]
        yield paths, fields[position + 2 + count]
        position += count + 3
