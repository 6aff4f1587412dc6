"""What history says about a fix: is its change on the release branch already, under its own id or another?

Three signals name a candidate: ancestry, the `-x` trailer, and the patch-id.  None of
them is proof: a pick may have been undone since, by a revert or by hand.  So a candidate counts only while the tree
still holds its change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.trailers import origins, reverted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.git.scratch import Scratch

_PATCH = ("diff-tree", "--stdin", "-p", "-r", "--root", "--no-ext-diff", "--no-textconv", "--full-index", "--binary")


@dataclass(frozen=True, kw_only=True)
class Twin:
    """A commit on the branch that carries a source's change; `signal` is ancestor, trailer or patch-id."""

    sha: str
    signal: str


def twins(scratch: Scratch, base: str, sources: Sequence[str]) -> dict[str, Twin]:
    """Source id -> its twin on the history of `base`, for those that have one which was not reverted there.

    Costs a fixed number of processes, however many sources and commits.
    """
    if not sources:
        return {}
    outside = set(scratch.rev_list(*sources, "--not", base, "--"))
    found = {source: Twin(sha=source, signal="ancestor") for source in sources if source not in outside}
    messages = _messages(scratch, base, sources)
    for sha, message in messages:  # newest first
        for origin in origins(message)[-1:]:
            if origin in sources:
                found.setdefault(origin, Twin(sha=sha, signal="trailer"))
    rest = [source for source in sources if source not in found]
    found.update(_by_patch(scratch, [sha for sha, _ in messages], rest))
    gone = _reverted_on(messages)
    return {source: twin for source, twin in found.items() if twin.sha not in gone}


def _messages(scratch: Scratch, base: str, sources: Sequence[str]) -> list[tuple[str, str]]:
    """(id, message) of the branch's own commits, newest first: those that no source reaches."""
    output = scratch.git.run(
        "log", "--topo-order", "--no-merges", "--encoding=UTF-8", "--format=%H%x00%B%x00", base, "--not", *sources, "--"
    )
    fields = output.fields()
    return [(sha.strip("\n"), text) for sha, text in zip(fields[::2], fields[1::2], strict=True)]


def _reverted_on(messages: Sequence[tuple[str, str]]) -> set[str]:
    """Commits undone on the branch; a reverted revert brings its commit back.  Oldest first, last word counts."""
    known = {sha for sha, _ in messages}
    gone: set[str] = set()
    undone_by: dict[str, list[str]] = {}
    for sha, message in reversed(messages):
        for named in reverted(message):
            target = next((each for each in known if each.startswith(named)), named)
            if target in undone_by:
                gone.difference_update(undone_by[target])
            else:
                gone.add(target)
                undone_by.setdefault(sha, []).append(target)
    return gone


def _by_patch(scratch: Scratch, branch: Sequence[str], sources: Sequence[str]) -> dict[str, Twin]:
    """Twins by patch-id: the same added and removed lines in the same files, wherever they stand there."""
    singles = [sha for sha in sources if len(scratch.commit(sha).parents) <= 1]
    if not branch or not singles:
        return {}
    paths = scratch.git.run("diff-tree", "--stdin", "-r", "-z", "--root", "--name-only", "--no-commit-id",
                            stdin="\n".join(singles).encode() + b"\n").fields()  # fmt: skip
    near = _touching(scratch, branch, set(paths))
    ids = _patch_ids(scratch, [*near, *singles])
    by_id = {ids[sha]: sha for sha in reversed(near) if sha in ids}
    return {sha: Twin(sha=by_id[ids[sha]], signal="patch-id") for sha in singles if ids.get(sha) in by_id}


def _touching(scratch: Scratch, commits: Sequence[str], paths: set[str]) -> list[str]:
    """Those commits that change one of these paths, in the order given."""
    output = scratch.git.run("diff-tree", "--stdin", "-r", "-z", "--root", "--name-only", "--no-renames",
                             stdin="\n".join(commits).encode() + b"\n")  # fmt: skip
    known, current, near = set(commits), "", {}
    for field in output.fields():
        name = field.lstrip("\n")
        if name in known:
            current = name
        elif field in paths:
            near[current] = True
    return [sha for sha in commits if sha in near]


def _patch_ids(scratch: Scratch, commits: Sequence[str]) -> dict[str, str]:
    """Commit -> stable patch-id of its diff without context; commits without a textual change have none.

    Without context it finds all that the usual patch-id finds, and picks whose surroundings differ.
    """
    if not commits:
        return {}
    patches = scratch.git.run(*_PATCH, "-U0", stdin="\n".join(commits).encode() + b"\n").stdout
    rows = [line.split() for line in scratch.git.run("patch-id", "--stable", stdin=patches).lines()]
    return {row[1]: row[0] for row in rows}
