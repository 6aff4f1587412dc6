"""Many commits, many picks, many merges at once: a fixed number of processes, on two cores.

The results are those of `Scratch.pick` and `Scratch.merge_commits`; only here no outcome is an input of the next one,
so git can be given all of them.  The throw-away commits of the picks are written as one pack.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.core.pick import Conflict
from orchestrator.git.merge.result import Merge, links_among
from orchestrator.git.objects import EMPTY_TREE, TreeItem, encode_commit, encode_tree, object_id, parse_commit
from orchestrator.git.process import GitCommandError, side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch

_NOBODY = b"release <release@localhost> 0 +0000"
_TYPES = {"commit": 1, "tree": 2}  # of a pack entry
_FEW = 8  # merges that are not worth a second process
_PARTS = 6  # one merge may take as long as thirty: two processes at a time, each of a small part, end together
_AT_ONCE = 400  # merges in one process: so much is lost, and done one by one, where git gives up on one of them


@dataclass(frozen=True, kw_only=True)
class Trees:
    """A pick: apply the change from tree `base` ("" for the empty one) to tree `theirs` on tree `ours`."""

    base: str
    ours: str
    theirs: str


def commits(scratch: Scratch, ids: Iterable[str]) -> dict[str, Commit]:
    """The commits among these full ids; what is not here, no commit, or malformed is left out.  One process."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    data = scratch.git.run("cat-file", "--batch", stdin="".join(f"{sha}\n" for sha in wanted).encode()).stdout
    found, at = {}, 0
    for sha in wanted:
        end = data.index(b"\n", at)
        head = data[at:end].split(b" ")
        at = end + 1
        if head[-1] == b"missing":
            continue
        size = int(head[2])
        if head[1] == b"commit":
            with contextlib.suppress(ValueError):  # who needs a malformed one asks `Scratch.commit`, and is told
                found[sha] = parse_commit(sha, data[at : at + size])
        at += size + 1
    return found


def picks(scratch: Scratch, wanted: Sequence[Trees], pack: Pack | None = None) -> list[Merge | None]:
    """The outcome of each pick, in order; None where git cannot tell (an object is missing).

    `pack` may hold trees that these picks are made of, and that are not written yet.
    """
    pack = pack or Pack()
    pairs = []
    for each in wanted:
        base = pack.commit(each.base or EMPTY_TREE, ())
        pairs.append((pack.commit(each.ours, (base,)), pack.commit(each.theirs, (base,))))
    pack.write(scratch)
    return merges(scratch, pairs)


def merges(scratch: Scratch, pairs: Sequence[tuple[str, str]]) -> list[Merge | None]:
    """The outcome of merging two commits, for each pair, in order; None where git cannot tell."""
    number = max(min(_PARTS, len(pairs) // _FEW), -(-len(pairs) // _AT_ONCE), 1)
    parts = side_by_side(lambda part: _merged(scratch, part), [pairs[first::number] for first in range(number)])
    outcomes = [parts[at % number][at // number] for at in range(len(pairs))]
    return [merge and scratch.submodules.settled(scratch, merge) for merge in outcomes]


def _merged(scratch: Scratch, pairs: Sequence[tuple[str, str]]) -> list[Merge | None]:
    feed = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode()
    output = scratch.git.attempt(
        "merge-tree", "--write-tree", "--allow-unrelated-histories", "--no-messages", "--stdin", stdin=feed
    )
    if output.status == 0:
        return list(_parse(output.fields()))
    return [_single(scratch, *pair) for pair in pairs]  # git 2.38 has no --stdin; a missing object ends the whole batch


def _single(scratch: Scratch, ours: str, theirs: str) -> Merge | None:
    try:
        return scratch.merge_commits(ours, theirs)
    except GitCommandError:
        return None


def _parse(fields: Sequence[str]) -> Iterable[Merge]:
    """Read `merge-tree --stdin --no-messages`: status, tree, unmerged entries, an empty field, for each merge."""
    at = 0
    while at < len(fields):
        clean, tree = fields[at] == "1", fields[at + 1]
        end = fields.index("", at + 2)
        paths = {entry.partition("\t")[2] for entry in fields[at + 2 : end]}
        conflicts = tuple(Conflict(path=path, kind="content") for path in sorted(paths))
        conflicts = () if clean else conflicts or (Conflict(path="", kind="other"),)
        yield Merge(tree=tree, conflicts=conflicts, links=links_among(fields[at + 2 : end]))
        at = end + 1


class Pack:
    """Commits without a history, and trees for them, written all at once."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[int, bytes]] = {}

    def commit(self, tree: str, parents: tuple[str, ...]) -> str:
        data = encode_commit(tree=tree, parents=parents, author=_NOBODY, committer=_NOBODY, message=b"x\n")
        return self._add("commit", data)

    def tree(self, files: Mapping[bytes, tuple[str, str]]) -> str:
        """The tree that holds just these: path -> mode and blob."""
        folders: dict[bytes, dict[bytes, tuple[str, str]]] = {}
        items = []
        for path, (mode, sha) in files.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                folders.setdefault(name, {})[rest] = mode, sha
            else:
                items.append(TreeItem(mode=mode, name=name, sha=sha))
        items += [TreeItem(mode="40000", name=name, sha=self.tree(below)) for name, below in folders.items()]
        return self._add("tree", encode_tree(items))

    def _add(self, kind: str, data: bytes) -> str:
        sha = object_id(kind, data)
        self._objects[sha] = _TYPES[kind], data
        return sha

    def write(self, scratch: Scratch) -> None:
        if not self._objects:
            return
        parts = [b"PACK", struct.pack(">II", 2, len(self._objects))]
        for number, data in self._objects.values():
            parts += [_entry_head(number, len(data)), zlib.compress(data, 1)]
        body = b"".join(parts)
        digest = hashlib.sha1(body, usedforsecurity=False).digest()
        scratch.git.run("index-pack", "--stdin", stdin=body + digest)


def _entry_head(number: int, size: int) -> bytes:
    """Type and size of a pack entry: four bits of the size in the first byte, seven in each that follows."""
    head = bytearray([number << 4 | size & 15])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head)
