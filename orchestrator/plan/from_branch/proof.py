"""Is what a release takes from its branch what it says?  Single commits, plain picks of what they are declared as.

A plan asks before it declares them; publish, the server's hook and an audit ask of what was released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import Exit
from orchestrator.core.results import Problem
from orchestrator.git import batch
from orchestrator.git.batch import Trees
from orchestrator.git.objects import EMPTY_TREE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.core.results import Place
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Source
    from orchestrator.picks.undeclared import Since


def faults(scratch: Scratch, since: Since, sources: Sequence[Source], picks: Sequence[Pick]) -> Iterator[str]:
    """In what the account of a release is not what its branch holds, as ends of sentences.

    `sources` are those that its release.yaml declares, `since` what came to the branch before its own commits.
    """
    known = {each.commit.sha: each for each in sources}
    there = [pick for pick in picks if pick.since_previous]
    for pick in there:
        if pick.source not in known:
            yield f"lists {pick.source[:12]}, which its release.yaml does not declare"
    carried: dict[str, list[Source]] = {}
    for pick in there:
        source = known.get(pick.source)
        if source and source.backport and source.backport.sha != pick.duplicate_of:
            yield f"lists {pick.source[:12]} as {pick.duplicate_of[:12]}, and declares {source.backport.sha[:12]}"
        elif source and not source.backport and pick.duplicate_of != pick.source:
            carried.setdefault(pick.duplicate_of, []).append(source)
    for sha, files in differing(scratch, carried).items():
        names = " and ".join(each.commit.sha[:12] for each in carried[sha])
        yield f"lists {names} as {sha[:12]}, which is another change, in {', '.join(files[:5])}"
    declared = known.keys() | {pick.duplicate_of for pick in there}
    for change in since.standing(declared):
        subject = change.message.partition("\n")[0]
        yield f"leaves out {change.sha[:12]} {subject[:60]!r}, which is on the branch"
    for sha in adding(scratch, since, declared):
        yield f"takes merge {sha[:12]}, which holds what none of its sides has"


def differing(scratch: Scratch, carried: Mapping[str, Sequence[Source]]) -> dict[str, list[str]]:
    """Commit -> the files in which it is not what picking its sources there, one after another, gives.

    Of files that are excluded it may hold what they bring, or nothing.
    """
    whole = _picked(scratch, {sha: [each.commit for each in those] for sha, those in carried.items()}, carried)
    rest = {sha: those for sha, those in carried.items() if whole[sha] != scratch.tree_of(sha)}
    less = {sha: those for sha, those in rest.items() if any(each.part for each in those)}
    parts = _picked(scratch, {sha: [each.change for each in those] for sha, those in less.items()}, less)
    wrong = {sha: parts.get(sha) or whole[sha] for sha in rest if parts.get(sha) != scratch.tree_of(sha)}
    return {sha: _files(scratch, tree or _before(scratch, sha), scratch.tree_of(sha)) for sha, tree in wrong.items()}


def _picked(
    scratch: Scratch, commits: Mapping[str, Sequence[Commit]], carried: Mapping[str, Sequence[Source]]
) -> dict[str, str]:
    """Commit -> the tree that picking these on its parent gives, "" where that conflicts; all of them at once."""
    tips = {sha: _before(scratch, sha) for sha in commits}
    rest = {sha: [*zip(those, carried[sha], strict=True)] for sha, those in commits.items()}
    while rest:  # the first source of all, then the second of those that have several
        wanted = [Trees(base=_tree(scratch, each[0][1].parent), ours=tips[sha], theirs=each[0][0].tree)
                  for sha, each in rest.items()]  # fmt: skip
        for sha, merge in zip(rest, batch.picks(scratch, wanted), strict=True):
            tips[sha] = merge.tree if merge and merge.tree and not merge.conflicts else ""
        rest = {sha: each[1:] for sha, each in rest.items() if len(each) > 1 and tips[sha]}
    return tips


def _before(scratch: Scratch, sha: str) -> str:
    return _tree(scratch, next(iter(scratch.commit(sha).parents), "")) or EMPTY_TREE


def _tree(scratch: Scratch, sha: str) -> str:
    return scratch.tree_of(sha) if sha else ""


def _files(scratch: Scratch, one: str, other: str) -> list[str]:
    return scratch.git.run("diff-tree", "-r", "--name-only", "-z", one, other).fields()


# ------------------------------------------------------------------ merges


def merge_problems(
    scratch: Scratch, since: Since, declared: Collection[str], tips: Sequence[str], branch: str, place: Place
) -> list[Problem]:
    """A problem for each merge that brings a source branch as it is, or holds what none of its sides has.

    What was taken back, and what entries name, is nobody's concern.
    """
    kept = {change.sha for change in since.standing(declared)}
    theirs = _own_of_sources(scratch, since, tips) & kept if since.merges else set()
    brought = {sha: since.brought(sha) & kept for sha in since.merges}
    wholesale = [sha for sha in since.merges if brought[sha] & theirs]
    return [
        *(_wholesale(scratch, sha, len(brought[sha]), branch, place) for sha in wholesale),
        *(_adds(scratch, sha, place) for sha in adding(scratch, since, {*declared, *wholesale})),
    ]


def _own_of_sources(scratch: Scratch, since: Since, tips: Sequence[str]) -> set[str]:
    """The commits that source branches were made of, not those that they merged, back from here say."""
    if not tips:
        return set()
    mine = scratch.rev_list("--first-parent", since.base, "--not", *since.older, "--")
    return set(scratch.rev_list("--first-parent", *tips, "--not", *since.older, "--")).difference(mine)


def adding(scratch: Scratch, since: Since, declared: Collection[str]) -> list[str]:
    """Those merges that are not what git makes of their sides."""
    merges = [sha for sha in since.merges if sha not in declared and sha not in since.gone]
    pairs = [since.parents[sha] for sha in merges]
    outcomes = batch.merges(scratch, [(pair[0], pair[1]) for pair in pairs])
    return [
        sha
        for sha, pair, merge in zip(merges, pairs, outcomes, strict=True)
        if len(pair) > 2 or not merge or merge.conflicts or merge.tree != scratch.tree_of(sha)
    ]


def _wholesale(scratch: Scratch, merge: str, number: int, branch: str, place: Place) -> Problem:
    return Problem(
        code="merge-of-a-source",
        message=f"{merge[:12]} {scratch.commit(merge).subject[:60]!r} brings a source branch to {branch} as it is, with"
        f" {number} commits: no picks",
        where=str(place),
        remedy=f"take it back on {branch}: git revert -m 1 {merge[:12]}   | or declare what it brought, each with"
        " `allow: [duplicate]`",
        exit_code=Exit.DECISION,
    )


def _adds(scratch: Scratch, merge: str, place: Place) -> Problem:
    return Problem(
        code="merge-adds",
        message=f"merge {merge[:12]} {scratch.commit(merge).subject[:60]!r} holds what none of its sides has: somebody"
        " resolved a conflict in it, or slipped something in",
        where=str(place),
        remedy="look at it: git show --cc " + merge[:12] + f"   | where it is right, add under `fixes:`"
        f" - {{commit: {merge}, mainline: 1, allow: [duplicate]}}",
        exit_code=Exit.DECISION,
    )
