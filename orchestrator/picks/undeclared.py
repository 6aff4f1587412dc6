"""Commits that came to the release branch since its last version, and that no entry of release.yaml declares."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import copied_from, origins, reverted
from orchestrator.core.commit_message.release import released_versions
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ReleaseError
from orchestrator.core.versions import parse_tag
from orchestrator.git import changes
from orchestrator.picks.equivalents import full, twins
from orchestrator.picks.sources import expand
from orchestrator.session.branch_state import gather

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.git.changes import CommitChange
    from orchestrator.git.repository import Repository
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.branch_state import Facts
    from orchestrator.session.session import Session

_NAMED = 20  # so many are named, and how many more there are
_RELEASE = "chore(release): "  # our own commit, where release.yaml says nothing else


def undeclared(
    scratch: Scratch,
    config: Config,
    base: str,
    older: Sequence[str],
    declared: Collection[str],
    picked: Collection[str] = (),
) -> list[str]:
    """A line for each, with the entry to paste: a release holds all that is on its branch, and should say so.

    `older` are the commits of the versions before, `declared` what the entries name and the commits that carry it,
    `picked` the sources that are picked now: what names one of them did not bring it.
    """
    lines = []
    since = Since.read(scratch, base, older)
    for change in since.standing(declared, picked):
        names, subject = origins(change.message), change.message.partition("\n")[0]
        if _is_release(config, subject) or (names and change.sha in since.spoken_of):
            continue  # of a pick that is taken back with something else, what took it back is named
        name = next((each for each in reversed(names) if scratch.is_commit(each)), change.sha)
        why = ", and no entry declares it;"
        if again := next((each for each in names if each in picked), ""):
            why = f" and names {again[:12]}, which is picked all the same, so it is not that; look at it, and"
            name = change.sha
        lines.append(
            f"{change.sha[:12]} {subject!r} came to {config.branch} since the last version{why}"
            f" add: - {{commit: {name}, allow: [duplicate]}}"
        )
    more = [f"{len(lines) - _NAMED} more came to {config.branch} undeclared"] if len(lines) > _NAMED else []
    return [*lines[:_NAMED], *more]


@dataclass(frozen=True, kw_only=True)
class Since:
    """What came to a branch since the versions before: every commit with its parents, oldest first, merges too.

    `own` are the single ones, oldest first, with their messages; `gone` those that were taken back again, exactly, what
    merges brought that were, and the commits that took them back.
    """

    base: str
    older: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]
    own: tuple[CommitChange, ...] = ()
    gone: frozenset[str] = frozenset()

    @classmethod
    def read(cls, scratch: Scratch, base: str, older: Sequence[str]) -> Since:
        """The history from `older` to `base`."""
        since = cls(base=base, older=tuple(older), parents={})
        if base in older:
            return since
        rows = scratch.rev_list("--topo-order", "--reverse", "--parents", base, "--not", *older, "--")
        since = replace(since, parents={sha: tuple(parents) for sha, *parents in (row.split(" ") for row in rows)})
        own = changes.messages(scratch, base, "--not", *older)[::-1]
        return replace(since, own=tuple(own), gone=frozenset(_cancelled(scratch, since, own)))

    def standing(self, declared: Collection[str], picked: Collection[str] = ()) -> list[CommitChange]:
        """The single commits that no entry declares, oldest first, with their messages.

        What was taken back again needs no entry, nor does what takes it back; what takes back a fix of an older version
        does.  An entry that is `picked` declares no commit that names it.
        """
        known = set(declared)
        return [
            change
            for change in self.own
            if change.sha not in {*self.gone, *known}
            and ((names := set(origins(change.message))).isdisjoint(known) or not names.isdisjoint(picked))
        ]

    @property
    def spoken_of(self) -> set[str]:
        """The commits that others say they take back, exactly or not."""
        known = sorted(self.parents)
        return {full(known, name) for change in self.own for name in reverted(change.message)}

    @property
    def merges(self) -> list[str]:
        return [sha for sha, parents in self.parents.items() if len(parents) > 1]

    def brought(self, merge: str) -> set[str]:
        """The commits that a merge brings to its first parent, without itself."""
        ours, *theirs = self.parents[merge]
        kept = self._below([ours])
        return {sha for sha in self._below(theirs) if sha not in kept}

    def _below(self, tips: Sequence[str]) -> set[str]:
        found, todo = set[str](), [sha for sha in tips if sha in self.parents]
        while todo:
            sha = todo.pop()
            if sha not in found:
                found.add(sha)
                todo += [each for each in self.parents[sha] if each in self.parents]
        return found


def _cancelled(scratch: Scratch, since: Since, own: Sequence[CommitChange]) -> set[str]:
    """Commits that were taken back, what merges brought that were, and the commits that took them back.

    Only what is taken back exactly counts; a revert that was reverted takes nothing back.  The pick of a revert, which
    takes back the pick of what that reverts, is a fix of its own.
    """
    known, by, carried = sorted(since.parents), dict[str, str](), dict[str, str]()
    undone = set[str]()
    for change in own:
        names = reverted(change.message)
        if copied_from(change.message):
            undone |= {carried.pop(name) for name in names if name in carried}
            carried |= dict.fromkeys(origins(change.message), change.sha)
            continue
        for target in {full(known, name) for name in names} & since.parents.keys() - by.keys():
            if takes_back(scratch, change.sha, target):
                for again in [sha for sha, revert in by.items() if revert == target]:
                    del by[again]
                by[target] = change.sha
    merged = {sha for target in by if len(since.parents[target]) > 1 for sha in since.brought(target)}
    return {*by, *by.values(), *merged, *undone}


def takes_back(scratch: Scratch, revert: str, target: str) -> bool:
    """Whether a commit does nothing but to take another one back: of a merge, what that brought to its first parent."""
    made, undone = scratch.commit(revert), scratch.commit(target)
    if len(made.parents) != 1 or not undone.parents:
        return False
    ours = scratch.tree_of(made.parents[0])
    scratch.use_attributes(ours)
    merge = scratch.pick(base=undone.tree, ours=ours, theirs=scratch.tree_of(undone.parents[0]))
    return not merge.conflicts and merge.tree == made.tree


def _is_release(config: Config, subject: str) -> bool:
    """Whether it is our own commit: a release that landed and was not tagged."""
    return subject.startswith(_RELEASE) or bool(released_versions(config, subject))


def older(facts: Facts) -> list[str]:
    """Commits whose histories belong to others: the versions on the branch, where it has none the source branches."""
    return [facts.tags[tag] for tag in facts.reachable if parse_tag(tag)] or list(facts.source_tips.values())


def undeclared_since(
    config: Config, version: str, repository: Repository, scratch: Scratch, offline: bool
) -> list[str]:
    """What came to the branch since its last version, and this one does not declare; without a plan."""
    facts = gather(repository, scratch, config, offline=offline)
    entry = config.release(version)
    unheard = [] if facts.heads is not None or offline else [_unheard(facts, config)]
    if entry is None or entry.from_branch or facts.base in older(facts):
        return unheard  # `from-branch` declares all of it
    from orchestrator.picks.requests import with_frozen

    fixes = with_frozen(scratch, entry.fixes, list(facts.source_tips.values()))
    sources, _ = expand(fixes, config.remote, repository, scratch)
    found = twins(scratch, facts.base, {each.commit.sha: each.parent for each in sources})
    declared = {each.commit.sha for each in sources} | {each.sha for each in found.values()}
    return [*unheard, *undeclared(scratch, config, facts.base, older(facts), declared)]


def _unheard(facts: Facts, config: Config) -> str:
    """What to say where the remote could not be asked, and the branch is looked at as it was last fetched."""
    why = next((each.message for each in facts.problems), f"{config.remote} could not be asked")
    return f"{why}: what came to {config.branch} is told by this clone alone"


def undeclared_here(session: Session) -> list[str]:
    """What came to the branch since its last version and is not declared for the next; where none can tell, that."""
    try:
        version = next_declared(session)
        return undeclared_since(session.config(), version, session.repository, session.scratch, session.options.offline)
    except ReleaseError as error:
        return [f"{error.message}: what came to the branch undeclared is not known"]


def next_declared(session: Session) -> str:
    """The lowest version of release.yaml that has no tag in this clone, "" where every one has."""
    tags = session.repository.local_tags()
    versions = [parse_tag(entry.version) for entry in session.config().releases if entry.version not in tags]
    return str(min((each for each in versions if each), key=lambda each: each.order, default=""))
