"""Pick the declared fixes one after another in a scratch object store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import Exit
from orchestrator.core.pick import Pick, PickState, Skipped
from orchestrator.git.batch import outside
from orchestrator.git.objects import later
from orchestrator.picks.classify import Judge
from orchestrator.picks.prerequisites import EFFORT, Finder

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.core.plan import Decisions
    from orchestrator.core.results import Problem
    from orchestrator.git.objects import Commit, Signature, When
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.prerequisites import Needs
    from orchestrator.picks.resolutions.known import Earlier
    from orchestrator.picks.sources import Source


class Picker:
    """Applies sources one by one to a tip.  A pick that does not apply is left out and the rest goes on."""

    def __init__(
        self,
        scratch: Scratch,
        identity: Signature,
        decisions: Decisions,
        base: str,
        effort: float = EFFORT,
        changelog: str = "",
        signoff: bool = False,
        *,
        earlier: Earlier,
    ) -> None:
        self.scratch = scratch
        self.identity = identity
        self.signoff = signoff
        self.earlier = earlier
        self.decisions = decisions
        self.base = base
        self.finder = Finder(scratch, base, effort=effort, for_patch=True, changelog=changelog)

    def run(self, sources: Sequence[Source]) -> tuple[str, list[Pick], list[Skipped], list[Problem]]:
        """(tip, picks, skipped, problems)."""
        decided = self.decisions
        judge = Judge(self.scratch, self.base, sources, decided.resolved, decided.made, self.earlier)
        tip = self.base
        declared = {source.commit.sha for source in sources}
        picks: list[Pick] = []
        skipped: list[Skipped] = []
        problems: list[Problem] = []
        for source in sources:
            sha = source.commit.sha
            if sha in decided.skipped:
                skipped.append(Skipped(source=sha, subject=source.commit.subject, reason=decided.skipped[sha]))
                continue
            if sha in decided.present:
                picks.append(decided.present[sha])
                continue
            made = decided.made.get(sha, "")
            verdict = judge.judge(source, tip, self.scratch.tree_of(made) if made else "")
            pick = verdict.pick
            if verdict.tree:
                tip = write_pick(
                    self.scratch, tip, verdict.tree, source.commit, verdict.like, self.identity, signoff=self.signoff
                )
                by_itself = pick.state is PickState.ADAPTED and not pick.applied
                pick = replace(pick, result=tip, applied=tip if by_itself else pick.applied)
            if pick.state is PickState.CONFLICT and not pick.applied:
                needs = self._needs(source, pick, tip, picks)
                pick = replace(pick, prerequisites=needs.commits, near=needs.near, search=needs.said)
                problems += [lacking(self.scratch, problem, needs, declared) for problem in verdict.problems]
            else:
                problems += verdict.problems
            picks.append(pick)
        return tip, picks, skipped, problems

    def _needs(self, source: Source, pick: Pick, tip: str, before: Sequence[Pick]) -> Needs:
        paths = [conflict.path for conflict in pick.conflicts]
        return self.finder.find(source, tip, paths, [each.source for each in before if each.result])


def mark_own(scratch: Scratch, picks: Sequence[Pick], older: Collection[str]) -> list[Pick]:
    """Mark the duplicates that this version brings: they came to the branch after the commits `older`.

    Those are the versions before, for the first of a line the source branches.
    """
    carriers = {pick.duplicate_of for pick in picks if pick.state is PickState.DUPLICATE} - {""}
    new = outside(scratch, carriers, list(older))
    return [replace(pick, since_previous=True) if pick.duplicate_of in new else pick for pick in picks]


def lacking(scratch: Scratch, problem: Problem, needs: Needs, declared: Collection[str]) -> Problem:
    """The problem of a conflict, with what was found out about it; with a proof, the decision to make instead.

    `declared` are the sources of the whole list: what stands behind the pick already must only be moved.
    """
    if not needs.proved:
        return replace(problem, message=f"{problem.message}; {needs.said}") if needs.said else problem
    names = " and ".join(f"{sha[:12]} {scratch.commit(sha).subject!r}" for sha in needs.commits)
    behind = " and ".join(sha[:12] for sha in needs.commits if sha in declared)
    ways = [f"move {behind} above it in release.yaml"] if behind else []
    if any(sha not in declared for sha in needs.commits):
        ways.append("declare what it needs before it (`release plan --write` does)")
    return replace(
        problem,
        code="missing-prerequisite",
        message=f"{problem.message}; with {names} picked first it applies",
        remedy=f"{', and '.join(ways)}; or let `release cut` pause there",
        exit_code=Exit.DECISION,
    )


def write_pick(
    scratch: Scratch,
    tip: str,
    tree: str,
    source: Commit,
    like: Commit,
    identity: Signature,
    when: When | None = None,
    *,
    signoff: bool = False,
) -> str:
    """The commit of a pick: author and message of `like` (the source, or its backport), `-x` naming the source."""
    from orchestrator.core.commit_message import picked

    when = when or later(scratch.commit(tip).when, source.when)
    return scratch.write_commit(
        tree=tree,
        parents=(tip,),
        author=like.author,
        committer=f"{identity} {when}".encode(),
        message=picked(like.message, source.sha, str(identity) if signoff else ""),
    )
