"""One source against one tip: clean, adapted, duplicate, empty or conflict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import breaks, conventional
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit
from orchestrator.core.pick import Conflict, Pick, PickState
from orchestrator.core.results import Problem
from orchestrator.core.text import word
from orchestrator.git import changes
from orchestrator.git.batch import outside
from orchestrator.git.merge.submodules import DIVERGED, UNKNOWN, held_to
from orchestrator.git.objects import EMPTY_TREE
from orchestrator.picks.equivalents import BACKPORT, TRAILER, Equivalent, twins
from orchestrator.picks.presence import Carrier, Presence
from orchestrator.picks.resolution import resolution_fault
from orchestrator.picks.resolutions.known import Earlier, KnownResolutions, Question

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.core.pick import Resolution, Submodule
    from orchestrator.git.changes import CommitChange
    from orchestrator.git.merge.result import Merge
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Source


@dataclass(frozen=True, kw_only=True)
class Classification:
    """`tree` is the tree of the commit to make, "" when none is made; `like` gives author and message."""

    pick: Pick
    tree: str
    like: Commit
    problems: tuple[Problem, ...] = ()


class Judge:
    """Judges the sources of one plan; what history says is looked up once for all of them."""

    def __init__(
        self,
        scratch: Scratch,
        base: str,
        sources: Sequence[Source],
        resolved: Mapping[str, str],
        made: Collection[str] = (),
        earlier: Earlier | None = None,
    ) -> None:
        """`made` are sources that a release has a commit of, as its tag tells: history is not asked about them."""
        self.scratch = scratch
        self.resolved = resolved
        self.made = made
        self.earlier = earlier or Earlier(known=KnownResolutions(scratch=scratch))
        self._attributes_stale = True
        self._touch_attributes = _touching_attributes(scratch, sources, resolved)
        open_ = [_applied(source) for source in sources if source.commit.sha not in made]
        asked = {sha: each.parent for each in open_ for sha in (each.commit.sha, each.change.sha)}
        found = twins(scratch, base, asked, [each.backport.sha for each in sources if each.backport])
        self.twins = {
            each.commit.sha: twin
            for each in open_
            if (twin := found.get(each.commit.sha) or found.get(each.change.sha))
        }
        self.carried = _carried(scratch, base, [source for source in sources if source.commit.sha not in made])

    def judge(self, source: Source, tip: str, made: str = "") -> Classification:
        """What becomes of `source` on top of commit `tip`.

        `made` is the tree that a release made of it: it tells where submodules went that nobody here knows.
        """
        ours = self.scratch.tree_of(tip)
        if self._attributes_stale:
            self.scratch.use_attributes(ours)
        self._attributes_stale = source.commit.sha in self._touch_attributes
        if source.backport and source.commit.sha in self.carried:
            return self._present(source, PickState.DUPLICATE, self.carried[source.commit.sha])
        if source.applied and source.applied.is_empty:
            return self._nothing_left(source)
        if source.stand_in:
            return self._backport(source, source.stand_in, tip, made)
        if source.commit.sha in self.made and source.commit.sha in self.resolved:
            return self._apply_stand_in(
                source, self.scratch.commit(self.resolved[source.commit.sha]), ours, "resolution"
            )
        merge = self._held(source, self._merge(source, source.parent, source.change.tree, ours), made)
        twin = None if source.fix.again else self.twins.get(source.commit.sha)
        why = ""
        if twin:
            holds, why = self._still_there(source, ours, tip, merge, twin)
            if holds or _is_own(source, twin):
                return self._present(source, PickState.DUPLICATE, twin)
        if merge.conflicts:
            return self._conflict(source, ours, merge, why)
        if merge.tree == ours:
            return self._present(source, PickState.EMPTY, None)
        pick = pick_of(source, PickState.CLEAN, forwarded=merge.forwarded)
        return Classification(pick=pick, tree=merge.tree, like=source.commit)

    def _backport(self, source: Source, stand_in: Commit, tip: str, made: str) -> Classification:
        """Apply it, unless the branch has what it brings, by itself or by another commit."""
        ours, applied = self.scratch.tree_of(tip), _applied(source)
        if not source.fix.again and (twin := self.twins.get(applied.commit.sha)):
            merge = self._merge(source, applied.parent, applied.change.tree, ours)
            if self._still_there(applied, ours, tip, merge, twin)[0]:
                return self._present(source, PickState.DUPLICATE, twin)
        return self._apply_stand_in(source, stand_in, ours, "backport", made)

    def _held(self, source: Source, merge: Merge, made: str) -> Merge:
        """The merge, with submodules as they were released where nobody here can tell; a person's word goes first."""
        if source.commit.sha in self.resolved:
            return replace(merge, conflicts=merge.conflicts or _unsettled(merge))
        return held_to(self.scratch, merge, made).merge if made else merge

    def _merge(self, source: Source, parent: str, theirs: str, ours: str) -> Merge:
        base, options = self.scratch.tree_of(parent) if parent else EMPTY_TREE, source.fix.strategy_options
        return self.scratch.pick(base=base, ours=ours, theirs=theirs, remember=True, options=options)

    def _still_there(self, source: Source, ours: str, tip: str, forward: Merge, twin: Equivalent) -> tuple[bool, str]:
        """(whether the tree holds the change, else why not where that helps).

        It does where putting it in does nothing new, or where it could be taken out again.  A change that goes in
        cleanly and cannot be taken out was undone on the branch; one that conflicts is asked for line by line.
        """
        if not forward.conflicts and forward.tree == ours:
            return True, ""
        if forward.conflicts:
            return self._stands(source, tip, twin)
        before = self.scratch.tree_of(source.parent) if source.parent else EMPTY_TREE
        backward = self.scratch.pick(base=source.change.tree, ours=ours, theirs=before, remember=True)
        if backward.conflicts or backward.tree == ours:
            return False, ""
        return not self._is_part(source, tip, twin), ""

    def _stands(self, source: Source, tip: str, twin: Equivalent) -> tuple[bool, str]:
        """As `_still_there`, for a change that conflicts."""
        if twin.sha == source.commit.sha:
            return True, ""
        if self._is_part(source, tip, twin):
            return False, f"{twin.sha[:12]} brought only a part of it"
        wanted, carried = self._changes(source, (twin.sha,))
        presence = Presence(scratch=self.scratch, tip=tip)
        by = presence.overwritten([Carrier(source=wanted, twin=carried[0])]).get(source.change.sha, "")
        subject = self.scratch.commit(by).subject if by else ""
        return not by, f"{twin.sha[:12]} brought it, and {by[:12]} {subject!r} wrote over that"

    def _is_part(self, source: Source, tip: str, twin: Equivalent) -> bool:
        """Whether only some of the change was picked, as it is, where all of it would have gone in.

        What a person resolved at a conflict is the whole of it, whatever was left out.
        """
        if twin.signals != (TRAILER,):
            return False
        wanted, carried = self._changes(source, (twin.sha, *twin.others))
        if not Presence(scratch=self.scratch, tip=tip).is_part(wanted, carried):
            return False
        then = self._merge(source, source.parent, source.change.tree, self.scratch.tree_of(carried[0].parent))
        return not then.conflicts

    def _changes(self, source: Source, twins: Sequence[str]) -> tuple[CommitChange, list[CommitChange]]:
        parents = {sha: next(iter(self.scratch.commit(sha).parents), "") for sha in twins}
        found = {each.sha: each for each in changes.of(self.scratch, parents | {source.change.sha: source.parent})}
        return found[source.change.sha], [found[sha] for sha in twins]

    def _conflict(self, source: Source, ours: str, merge: Merge, why: str) -> Classification:
        resolution = self.resolved.get(source.commit.sha)
        if resolution:
            return self._apply_stand_in(source, self.scratch.commit(resolution), ours, "resolution")
        found = self.earlier.known.find(question(source, ours))
        if found and self.earlier.applies(found):
            pick = pick_of(source, PickState.ADAPTED, resolution=found.resolution)
            return Classification(pick=pick, tree=found.tree, like=source.commit)
        verdict = self._conflicting(source, merge.conflicts, "", "", why)
        return replace(verdict, pick=replace(verdict.pick, resolution=found.resolution)) if found else verdict

    def _apply_stand_in(self, source: Source, backport: Commit, ours: str, what: str, made: str = "") -> Classification:
        """Apply a commit that a person made in place of the source; of a backport what is not excluded."""
        named = source.backport.sha if source.backport and what == "backport" else backport.sha
        parent = backport.parents[0] if backport.parents else ""
        forwarded: tuple[Submodule, ...] = ()
        if parent and self.scratch.tree_of(parent) == ours:
            tree = backport.tree
        else:
            merge = self._held(source, self._merge(source, parent, backport.tree, ours), made)
            resolution = self.resolved.get(source.commit.sha, "")
            if merge.conflicts and resolution not in ("", named):
                verdict = self._apply_stand_in(source, self.scratch.commit(resolution), ours, "resolution")
                return replace(verdict, like=backport)
            if merge.conflicts:
                return self._conflicting(source, merge.conflicts, f"{what} {named[:12]} of ", named)
            tree, forwarded = merge.tree, merge.forwarded
        if tree == ours:
            return self._present(source, PickState.EMPTY, None)
        like = backport if what == "backport" else source.commit
        fault = resolution_fault(self.scratch, source, ours, tree) if what == "resolution" else ""
        before = self.earlier.of(question(source, ours), tree) if what == "resolution" else None
        return Classification(
            pick=pick_of(source, PickState.ADAPTED, applied=named, forwarded=forwarded, resolution=before),
            tree=tree, like=like,
            problems=(_strays(source, fault),) if fault else (),
        )  # fmt: skip

    def _conflicting(
        self, source: Source, conflicts: tuple[Conflict, ...], what: str, applied: str, why: str = ""
    ) -> Classification:
        files = ", ".join(f"{word(conflict.path)} ({conflict.kind})" for conflict in conflicts)
        problem = Problem(
            code="conflict",
            message=f"{what}{source.commit.sha[:12]} {source.commit.subject!r} conflicts in {files}"
            + (f": {why}" if why else ""),
            where=str(source.fix.place),
            remedy=self._with_submodules(conflicts)
            + "`release cut` pauses there for you to resolve it; or declare a hand-made commit as `backport:`",
            exit_code=Exit.CONFLICT,
        )
        pick = pick_of(source, PickState.CONFLICT, conflicts=conflicts, applied=applied)
        return Classification(pick=pick, tree="", like=source.commit, problems=(problem,))

    def _nothing_left(self, source: Source) -> Classification:
        problem = Problem(
            code="excluded-pick",
            message=f"{source.commit.sha[:12]} {source.commit.subject!r} changes nothing but what is excluded"
            f" ({', '.join(source.excluded)})",
            where=str(source.fix.place),
            remedy="remove the entry, exclude less, or add `allow: [empty]` to it to leave it out knowingly",
            exit_code=Exit.DECISION,
        )
        problems = () if PickState.EMPTY in source.fix.allow else (problem,)
        return Classification(pick=pick_of(source, PickState.EMPTY), tree="", like=source.commit, problems=problems)

    def _with_submodules(self, conflicts: Sequence[Conflict]) -> str:
        """What brings the submodules here that would tell whether it conflicts at all."""
        commands = [self.scratch.submodules.fetched_by(each.path) for each in conflicts if each.kind == UNKNOWN]
        if not commands:
            return ""
        return f"git tells whether it is a fast-forward with the submodule's commits: {' && '.join(commands)}; or "

    def _present(self, source: Source, state: PickState, twin: Equivalent | None) -> Classification:
        pick = pick_of(source, state, twin=twin)
        if state.value in source.fix.allow:
            return Classification(pick=pick, tree="", like=source.commit)
        return Classification(pick=pick, tree="", like=source.commit, problems=(_already(source, state, twin),))


def _is_own(source: Source, twin: Equivalent) -> bool:
    """Whether an entry names a commit of the branch, and a person says that it is there, whatever came over it."""
    return twin.sha == source.commit.sha and PickState.DUPLICATE.value in source.fix.allow


def _applied(source: Source) -> Source:
    """The commit that is applied, as a source of its own."""
    if source.backport is None:
        return source
    return replace(source, commit=source.backport, parent=next(iter(source.backport.parents), ""), backport=None)


def _carried(scratch: Scratch, base: str, sources: Sequence[Source]) -> dict[str, Equivalent]:
    """Source id -> its backport, where that is on the branch already, and its entry allows for it: whatever the
    signals and the tree say of the source, this commit is what carries it.
    """
    backports = {
        source.commit.sha: source.backport.sha
        for source in sources
        if source.backport and PickState.DUPLICATE in source.fix.allow and not source.fix.again
    }
    away = outside(scratch, set(backports.values()), [base])
    return {
        sha: Equivalent(sha=backport, signals=(BACKPORT,))
        for sha, backport in backports.items()
        if backport not in away
    }


def _strays(source: Source, fault: str) -> Problem:
    """What is kept as the resolution of a conflict is none: `continue` takes no such thing."""
    return Problem(
        code="resolution-strays",
        message=f"the resolution of {source.commit.sha[:12]} {source.commit.subject!r} {fault}",
        where=str(source.fix.place),
        remedy="release abort, then resolve it anew, in the files of the fix alone; or declare a `backport:` of it",
        exit_code=Exit.DECISION,
    )


def _touching_attributes(scratch: Scratch, sources: Sequence[Source], resolved: Mapping[str, str]) -> set[str]:
    """Sources after which `.gitattributes` may have changed: asked once for all of them."""
    stands_for = {source.commit.sha: source.commit.sha for source in sources}
    stands_for |= {source.backport.sha: source.commit.sha for source in sources if source.backport}
    stands_for |= {commit: source for source, commit in resolved.items()}
    known = scratch.cache.get("touches attributes", stands_for)
    if rest := [sha for sha in stands_for if sha not in known]:
        output = scratch.git.run(
            "diff-tree", "--stdin", "-m", "-r", "-z", "--root", "--name-only", "--", ":(glob)**/.gitattributes",
            stdin="\n".join(rest).encode() + b"\n",
        )  # fmt: skip
        named = {field.strip("\n").split(" ")[0] for field in output.fields()}
        new = {sha: b"yes" if sha in named else b"no" for sha in rest}
        scratch.cache.put("touches attributes", new)
        known |= new
    return {source for commit, source in stands_for.items() if known[commit] == b"yes"}


def question(source: Source, ours: str) -> Question:
    """The conflict of a source, for who may have met it before."""
    change, parent, options = source.change, source.parent, source.fix.strategy_options
    return Question(source=source.commit.sha, change=change, parent=parent, ours=ours, options=options)


def _unsettled(merge: Merge) -> tuple[Conflict, ...]:
    return tuple(Conflict(path=each.path, kind=DIVERGED) for each in merge.forwarded)


def _already(source: Source, state: PickState, twin: Equivalent | None) -> Problem:
    said = "changes nothing on the branch"
    if twin and twin.sha == source.commit.sha:
        said = "is on the branch already"
    elif twin:
        said = f"is on the branch already as {twin.sha[:12]} (by {twin.said_by})"
    return Problem(
        code=f"{state.value}-pick",
        message=f"{source.commit.sha[:12]} {source.commit.subject!r} {said}",
        where=str(source.fix.place),
        remedy=f"remove the entry, or add `allow: [{state.value}]` to it to leave it out knowingly",
        exit_code=Exit.DECISION,
    )


def written(submodules: Sequence[Submodule]) -> tuple[Submodule, ...]:
    """Submodules with their paths as plan, tag and record write them."""
    return tuple(replace(each, path=word(each.path)) for each in submodules)


def pick_of(
    source: Source,
    state: PickState,
    *,
    conflicts: tuple[Conflict, ...] = (),
    twin: Equivalent | None = None,
    applied: str = "",
    forwarded: Sequence[Submodule] = (),
    resolution: Resolution | None = None,
) -> Pick:
    """The pick of a source, as plans and records have it."""
    return Pick(
        source=source.commit.sha,
        subject=source.commit.subject,
        state=state,
        conflicts=conflicts,
        duplicate_of=twin.sha if twin else "",
        duplicate_by=twin.signals if twin else (),
        applied=applied,
        forwarded=written(forwarded),
        resolution=resolution,
        mainline=source.mainline,
        declared=source.fix.declared,
        reason=source.fix.reason,
        approved_by=source.fix.approved_by,
        author=source.commit.author_name,
        type=conventional(source.commit.subject).type,
        breaking=breaks(source.commit.text),
        confirm=source.fix.confirm,
        exclude=source.excluded,
        strategy_options=source.fix.strategy_options,
    )
