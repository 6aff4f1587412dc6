"""Where a fix lives: the branches that hold a fix which is not on a source branch yet."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from orchestrator.git.batch import outside

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch

_SAID = 3  # so many branches are named, and how many more there are


class ContainingBranches:
    """Which branches hold the fixes that are on no source tip."""

    def __init__(
        self, branches: Mapping[str, str], holders: Mapping[str, int], outside: Collection[str], remote: str
    ) -> None:
        self._branches = dict(sorted(branches.items()))  # full ref name -> tip
        self._holders = holders  # commit -> the branches that hold it, a bit each in that order
        self._outside = {sha: holders.get(sha, 0) for sha in sorted(outside)}
        self._remote = f"refs/remotes/{remote}/"

    def outside(self, sha: str) -> bool:
        """Whether the fix is on no source tip."""
        return sha in self._outside

    def said(self, sha: str) -> str:
        """The branches that hold a fix which is on no source tip, in a few words; "" for none.

        A local branch is named only where the remote's of that name does not hold it.
        """
        held = self._outside.get(sha, 0)
        refs = [ref for number, ref in enumerate(self._branches) if held >> number & 1]
        names = [ref.split("/", 2)[2] for ref in refs if self._remote + ref.removeprefix("refs/heads/") not in refs]
        more = f" and {len(names) - _SAID} more" if len(names) > _SAID else ""
        return ", ".join(names[:_SAID]) + more

    def cover(self, fix: str, other: str) -> bool:
        """Whether every branch that the fix lives on holds the other commit too, or a source tip does."""
        return other not in self._holders or not self._outside.get(fix, 0) & ~self._holders[other]

    def tips(self) -> list[str]:
        """The tips of all branches that hold such a fix, local ones too."""
        held = 0
        for each in self._outside.values():
            held |= each
        return sorted({tip for number, tip in enumerate(self._branches.values()) if held >> number & 1})

    def key(self) -> list[list[str]]:
        """The ids that answers depend on, for a cache."""
        return [list(self._outside), self.tips()]


def find(
    repository: Repository, scratch: Scratch, sources: Sequence[str], tips: Sequence[str], remote: str
) -> ContainingBranches:
    """Look for the fixes that are on none of the source tips, all at once.  Without tips nothing is outside."""
    away = outside(scratch, sources, tips) if sources and tips else set()
    if not away:
        return ContainingBranches({}, {}, (), remote)
    refs, kept = repository.refs("refs/heads", "refs/remotes"), repository.kept_on
    keeping = kept.branches if kept else ()
    branches = {ref: sha for ref, sha in sorted(refs.items()) if not ref.endswith("/HEAD") and ref not in keeping}
    listing = "\n".join([*branches.values(), *(f"^{tip}" for tip in tips)]).encode() + b"\n"
    output = scratch.git.run("rev-list", "--topo-order", "--parents", "--ignore-missing", "--stdin", stdin=listing)
    reached: dict[str, int] = defaultdict(int)
    for number, tip in enumerate(branches.values()):
        reached[tip] |= 1 << number
    holders: dict[str, int] = {}
    for line in output.lines():  # children before parents
        sha, *parents = line.split(" ")
        holders[sha] = reached.pop(sha)
        for parent in parents:
            reached[parent] |= holders[sha]
    return ContainingBranches(branches, holders, away, remote)
