"""Which commits a merge brought, to the parent whose side its pick (or its revert) kept.

No message says which `mainline` a pick had: of the merge's differences to each parent, the pick is likest to one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins, reverted, reverted_merges
from orchestrator.git import diff

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from orchestrator.git.changes import CommitChange
    from orchestrator.git.diff import FileDiff
    from orchestrator.git.scratch import Scratch

_FULL = 40  # digits of a whole id


def named_merges(scratch: Scratch, own: Sequence[CommitChange]) -> dict[str, list[str]]:
    """The merges that these commits are picks of, or take back -> their parents."""
    return merges_among(scratch, {name for change in own for name in (*origins(change.message), *_reverted(change))})


def _reverted(change: CommitChange) -> list[str]:
    return [name for name in reverted(change.message) if len(name) == _FULL]


def merges_among(scratch: Scratch, ids: Collection[str]) -> dict[str, list[str]]:
    """The merges among these ids -> their parents.  Ids that are not here are passed over."""
    if not ids:
        return {}
    args = ("--no-walk=unsorted", "--merges", "--parents", "--ignore-missing", "--stdin")
    rows = scratch.git.run("rev-list", *args, stdin="".join(f"{sha}\n" for sha in ids).encode()).lines()
    return {sha: parents for sha, *parents in (row.split(" ") for row in rows)}


def brought(
    scratch: Scratch,
    base: str,
    merges: Mapping[str, Sequence[str]],
    own: Sequence[CommitChange],
    wanted: Collection[str],
) -> list[tuple[str, str]]:
    """(source, twin): the twin is the pick of a merge that brought the source to the parent that the pick kept."""
    picks = sides(scratch, merges, own)
    inside = brought_by(scratch, list(picks), wanted, f"^{base}")
    return [(sha, twin) for sha, those in inside.items() for side in those for twin in picks[side]]


def sides(
    scratch: Scratch, merges: Mapping[str, Sequence[str]], own: Iterable[CommitChange]
) -> dict[tuple[str, str], list[str]]:
    """(merge, the parent whose side was kept) -> its picks among these commits."""
    picks = [(name, change) for change in own for name in origins(change.message) if name in merges]
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    if not picks:
        return found
    made = diff.of(scratch, {change.sha: change.parent for _, change in picks})
    among: dict[tuple[str, str], Counter[tuple[str, ...]]] = {}
    for number in range(max(len(merges[name]) for name, _ in picks)):
        parents = {name: merges[name][number] for name, _ in picks if number < len(merges[name])}
        among |= {(name, parents[name]): _tokens(files) for name, files in diff.of(scratch, parents).items()}
    for name, change in picks:
        mine = _tokens(made.get(change.sha, ()))
        kept = max(merges[name], key=lambda parent: _likeness(mine, among.get((name, parent), Counter())))
        found[name, kept].append(change.sha)
    return found


def _tokens(files: Iterable[FileDiff]) -> Counter[tuple[str, ...]]:
    """Paths and changed lines."""
    found: Counter[tuple[str, ...]] = Counter()
    for file in files:
        path = file.new or file.old
        found[path,] += 1
        for hunk in file.hunks:
            found.update((path, "-", line.decode("latin-1")) for line in hunk.removed)
            found.update((path, "+", line.decode("latin-1")) for line in hunk.added)
    return found


def _likeness(one: Counter[tuple[str, ...]], other: Counter[tuple[str, ...]]) -> float:
    return (one & other).total() / ((one | other).total() or 1)


def taken_back(
    scratch: Scratch, merges: Mapping[str, Sequence[str]], own: Sequence[CommitChange]
) -> dict[str, list[str]]:
    """The merges that commits say they take back -> what each brought to the parent that the message names."""
    kept = {name: merges[name][0] for change in own for name in _reverted(change) if name in merges}
    for change in own:
        for name, parent in reverted_merges(change.message):
            kept.update((name, each) for each in merges.get(name, ()) if each.startswith(parent))
    return {sha: scratch.rev_list("--no-merges", sha, f"^{parent}", "--") for sha, parent in kept.items()}


def brought_by(
    scratch: Scratch, picked: Sequence[tuple[str, str]], wanted: Collection[str], *bounds: str
) -> dict[str, list[tuple[str, str]]]:
    """Wanted commit -> those (merge, parent) where the merge brought it to that parent; nothing below the bounds is
    seen."""
    if not picked:
        return {}
    rows = scratch.rev_list("--topo-order", "--parents", *dict.fromkeys(merge for merge, _ in picked), *bounds, "--")
    flags: dict[str, int] = defaultdict(int)  # two bits a pair: in the merge's history; in that of the parent
    for number, (merge, parent) in enumerate(picked):
        flags[merge] |= 1 << 2 * number
        flags[parent] |= 2 << 2 * number
    found = {}
    for sha, *parents in (row.split(" ") for row in rows):
        mine = flags.pop(sha, 0)
        if sha in wanted:
            found[sha] = [side for number, side in enumerate(picked) if mine >> 2 * number & 3 == 1 and side[0] != sha]
        for parent in parents:
            flags[parent] |= mine
    return found
