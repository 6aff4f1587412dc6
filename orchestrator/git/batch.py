"""Many commits, many picks, many merges at once: a fixed number of processes, on two cores.

The results are those of `Scratch.pick` and `Scratch.merge_commits`; only here no outcome is an input of the next one,
so git can be given all of them.  The throw-away commits of the picks are written as one pack.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import struct
import zlib
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.pick import Conflict
from orchestrator.git.merge.result import Merge, links_among
from orchestrator.git.objects import (
    EMPTY_TREE,
    TreeItem,
    encode_commit,
    encode_tree,
    object_id,
    parse_commit,
    parse_tree,
)
from orchestrator.git.process import GitCommandError, side_by_side

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch

_NOBODY = b"release <release@localhost> 0 +0000"
_TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}  # of a pack entry
_FEW = 8  # merges that are not worth a second process
_PARTS = 6  # one merge may take as long as thirty: two processes at a time, each of a small part, end together
_ASKED, _NEAR = 16, 64  # commits that are looked for, and looked at, without a process
_AT_ONCE = 400  # merges in one process: so much is lost, and done one by one, where git gives up on one of them


@dataclass(frozen=True, kw_only=True)
class Trees:
    """A pick: apply the change from tree `base` ("" for the empty one) to tree `theirs` on tree `ours`."""

    base: str
    ours: str
    theirs: str


def commits(scratch: Scratch, ids: Iterable[str]) -> dict[str, Commit]:
    """The commits among these full ids; what is not here, no commit, or malformed is left out."""
    found = {}
    for sha, kind, data in scratch.read_all(sorted(set(ids))):
        if kind == "commit":
            with contextlib.suppress(ValueError):  # who needs a malformed one asks `Scratch.commit`, and is told
                found[sha] = parse_commit(sha, data)
    return found


def outside(scratch: Scratch, ids: Collection[str], tips: Sequence[str]) -> set[str]:
    """Those of these commits that are in the history of none of the tips."""
    left = set(ids)
    if not left or (len(left) <= _ASKED and len(tips) <= _ASKED and _walked(scratch, left, tips)):
        return left
    listing = "\n".join([*ids, *(f"^{tip}" for tip in tips)]).encode() + b"\n"
    return set(scratch.git.run("rev-list", "--stdin", stdin=listing).lines()).intersection(ids)


def straight(scratch: Scratch, new: str, old: str) -> list[str] | None:
    """The commits above `old` ("": all) up to `new`, oldest first, where they are few and each stands on one other.

    None where that is not so.
    """
    line: list[str] = []
    try:
        while new != old:
            line.append(new)
            parents = scratch.commit(new).parents
            if (len(parents) != 1 and (old or parents)) or len(line) > _NEAR:
                return None
            new = parents[0] if parents else ""
    except UsageError:
        return None
    return line[::-1]


def blobs(scratch: Scratch, ids: Iterable[str]) -> dict[str, bytes]:
    """The contents of many objects.  Raises MissingObjectError for one that is not here."""
    wanted = sorted(set(ids))
    found = {sha: data for sha, _, data in scratch.read_all(wanted)}
    for sha in wanted:
        if sha not in found:
            scratch.read(sha)
    return found


def _walked(scratch: Scratch, left: set[str], tips: Sequence[str]) -> bool:
    """Take what is found off `left`, newest first; False where that takes a process, or would be no faster."""
    seen, waiting = set[str](), list[tuple[int, str]]()
    new: Iterable[str] = tips
    try:
        while left:
            for sha in set(new) - seen:
                seen.add(sha)
                heappush(waiting, (-scratch.commit(sha).when.seconds, sha))
            left -= seen
            if not waiting:
                return True
            new = scratch.commit(heappop(waiting)[1]).parents
            if len(seen) > _NEAR:
                return False
    except UsageError:  # a history that ends here, or a tip that is no commit
        return False
    return True


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
        return self.add("commit", data)

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
        return self.add("tree", encode_tree(items))

    def add(self, kind: str, data: bytes) -> str:
        sha = object_id(kind, data)
        self._objects[sha] = _TYPES[kind], data
        return sha

    def write(self, scratch: Scratch) -> None:
        if self._objects:
            scratch.git.run("index-pack", "--stdin", stdin=self.encoded())

    def encoded(self) -> bytes:
        """As git reads a pack."""
        parts = [b"PACK", struct.pack(">II", 2, len(self._objects))]
        for number, data in self._objects.values():
            parts += [_entry_head(number, len(data)), zlib.compress(data, 1)]
        body = b"".join(parts)
        return body + hashlib.sha1(body, usedforsecurity=False).digest()


def made_in(scratch: Scratch, ids: Iterable[str]) -> Pack | None:
    """The objects of a scratch store's own that these objects need, they among them.

    None where they cannot be told by their files: what was fetched by the hundred is in a pack, and objects of a third
    store may be lent too.
    """
    if not scratch.is_loose:
        return None
    pack, waiting, seen = Pack(), list(ids), set[str]()
    while waiting:
        sha = waiting.pop()
        if sha in seen or (stored := scratch.stored(sha)) is None:
            continue  # the repository's own, with all that it needs
        seen.add(sha)
        kind, data = stored
        pack.add(kind, data)
        if kind == "tree":
            waiting += [item.sha for item in parse_tree(data)]
        elif kind != "blob":  # `tree`, `parent` and `object` lines
            head = data.partition(b"\n\n")[0]
            waiting += [match[1].decode() for match in _NEEDED.finditer(head)]
    return pack


def here_below(scratch: Scratch, objects: Path, made: Sequence[str]) -> list[str]:
    """The commits of an object store right below what was made in a scratch store, though no ref may name them."""
    rows = [row.split(" ") for row in scratch.git.run("rev-list", "--parents", *made, "--").lines()]
    asked = "".join(f"{sha}\n" for sha in dict.fromkeys(sha for row in rows for sha in row)).encode()
    here = {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": ""}
    answers = scratch.git.run("cat-file", "--batch-check", stdin=asked, env=here).lines()
    lacking = {row.split(" ")[0] for row in answers if row.endswith(" missing")}
    return sorted({sha for row in rows if row[0] in lacking for sha in row[1:]} - lacking)


_NEEDED = re.compile(rb"^(?:tree|parent|object) ([0-9a-f]{40})$", re.MULTILINE)


def _entry_head(number: int, size: int) -> bytes:
    """Type and size of a pack entry: four bits of the size in the first byte, seven in each that follows."""
    head = bytearray([number << 4 | size & 15])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head)
