"""What a guarded release branch takes as it is, where release.yaml on the protected side has a version `from-branch`.

Requests land there by themselves, as forges merge them; what counts is that they are single commits, and that the
release names all of them and nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ProblemsError, ReleaseError
from orchestrator.core.tag_message import tagged_account
from orchestrator.git.batch import outside
from orchestrator.guard.commits import MAKE_AGAIN, MOST_COMMITS, ReleaseCommits, well_formed
from orchestrator.guard.decisions import Protected, RefusedCommitError
from orchestrator.picks.undeclared import Since
from orchestrator.plan.from_branch.proof import faults, merge_problems
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.declaration import Fix, ReleaseEntry
    from orchestrator.core.pick import Pick
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Source


@dataclass(frozen=True, kw_only=True)
class TakenCommits:
    """Judges what came to a branch before a release is made of it."""

    scratch: Scratch
    protected: Protected

    @property
    def _entries(self) -> list[ReleaseEntry]:
        """The versions to come that take what is on the branch."""
        config, tags = self.protected.config, self.protected.tags
        return [each for each in config.releases if each.version in config.taking(config.branch, tags)]

    def end(self, old: str, new: str, releases: ReleaseCommits) -> str:
        """The last new commit that came by itself: what lies above is what a release made.

        That is `old` where no version takes what is on the branch.  Raises for commits that none can take.
        """
        if not self._entries:
            return old
        end = self._below_release(new, releases)
        if outside(self.scratch, [old], [end]):
            return old  # rewritten, or nothing came: the rest is judged as ever
        return end

    def _below_release(self, new: str, releases: ReleaseCommits) -> str:
        top, proposed = self.scratch.commit(new), self.protected.proposed
        if len(top.parents) == 2 and proposed.merged(top):
            top = self.scratch.commit(top.parents[1])
        if proposed.squashed(top):
            return top.parents[0]
        version = releases.version(top)
        if not version or self.protected.config.release(version) is None:
            return new
        made = sum(row.made for row in tagged_account(releases.told(version, top.sha)))
        for _ in range(made + 1):
            if len(top.parents) != 1:
                return new
            top = self.scratch.commit(top.parents[0])
        return top.sha

    def since(self, base: str, older: Sequence[str]) -> Since:
        """What came to the branch after these commits."""
        return Since.read(self.scratch, base, older)

    def must_be_single(self, since: Since) -> None:
        """Raises for a commit that is malformed, a source branch that was merged as it is, a merge that adds."""
        if not since.parents:
            return
        if len(since.parents) > MOST_COMMITS:
            raise RefusedCommitError(
                f"more than {MOST_COMMITS} new commits in one push",
                where=self.protected.config.branch,
                remedy="is it a source branch that was merged? A release branch takes single commits",
                code="too-many-commits",
            )
        for sha in since.parents:
            if not well_formed(self.scratch, self.protected, sha).parents:
                raise RefusedCommitError(
                    f"commit {sha[:12]} has no parent",
                    where=self.protected.config.branch,
                    remedy="a release branch takes what was made on it",
                    code="not-linear",
                )
        declared = {fix.commit for entry in self._entries for fix in entry.fixes}
        config, tips = self.protected.config, list(self.protected.tips.values())
        if problems := merge_problems(self.scratch, since, declared, tips, config.branch, config.place):
            raise ProblemsError(problems)

    def named(self, entry: ReleaseEntry, commit: Commit) -> tuple[Fix, ...]:
        """What a release commit names of the branch, beside what the protected release.yaml declares."""
        try:
            own = CommittedFiles(self.scratch, commit.tree).config(self.protected.path, commit.sha[:12])
        except ReleaseError:  # which is refused where the two are compared
            return ()
        mine = own.release(entry.version) if own else None
        return mine.fixes[: max(len(mine.fixes) - len(entry.fixes), 0)] if mine else ()

    def must_be_whole(
        self, named: Sequence[Fix], sources: Sequence[Source], picks: Sequence[Pick], since: Since, head: str
    ) -> None:
        """Raises where a release names what did not come to its branch, as what it is not, or leaves out what did."""
        brought = {pick.source for pick in picks if pick.since_previous}
        strange = [
            each
            for each in sources
            if each.fix in named
            and not (each.fix.is_taken_along(self.protected.config.exclude) and each.commit.sha in brought)
        ]
        if strange:
            raise self._refused(head, f"says more of {strange[0].commit.sha[:12]} than that it came to the branch since"
                                f" the last version, and {self.protected.branch} does not declare it")  # fmt: skip
        if fault := next(faults(self.scratch, since, sources, picks), ""):
            raise self._refused(head, fault)

    def _refused(self, sha: str, says: str) -> RefusedCommitError:
        return RefusedCommitError(
            f"release commit {sha[:12]} {says}",
            where=f"{self.protected.config.branch}@{sha[:12]}",
            remedy=MAKE_AGAIN,
            code="undeclared",
        )


def taking(entry: ReleaseEntry, named: Sequence[Fix]) -> ReleaseEntry:
    """The protected entry with what the release commit names of the branch."""
    return replace(entry, fixes=(*named, *entry.fixes))
