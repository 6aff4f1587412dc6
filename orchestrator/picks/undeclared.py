"""Commits that came to the release branch since its last version, and that no entry of release.yaml declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins, reverted
from orchestrator.core.commit_message.release import released_versions
from orchestrator.core.errors import ReleaseError
from orchestrator.core.versions import parse_tag
from orchestrator.git import changes
from orchestrator.git.objects import EMPTY_TREE
from orchestrator.picks.equivalents import Undone, twins
from orchestrator.picks.sources import expand
from orchestrator.session.branch_state import gather

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.core.declaration import Config
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
    What was taken back again needs no entry; what takes back a fix of an older version, or more than a commit, does.
    """
    if base in older:
        return []
    own = changes.messages(scratch, base, "--not", *older)
    branch = config.branch
    gone, mine = Undone(own, []), [change.sha for change in own]
    lines = []
    for change in reversed(own):
        subject, names = change.message.partition("\n")[0], origins(change.message)
        taken = [sha for name in reverted(change.message) for sha in mine if sha.startswith(name)]
        takes_back = bool(taken) and all(_takes_back(scratch, change.sha, each) for each in taken)
        if _is_release(config, subject) or change.sha in gone.commits or takes_back:
            continue
        again = sorted(set(names) & set(picked))
        if again and change.sha not in declared:
            lines.append(
                f"{change.sha[:12]} {subject!r} came to {branch} since the last version and names {again[0][:12]},"
                f" which is picked all the same, so it is not that; look at it, and"
                f" add: - {{commit: {change.sha}, allow: [duplicate]}}"
            )
        elif not {change.sha, *names} & set(declared):
            name = next((each for each in reversed(names) if scratch.is_commit(each)), change.sha)
            lines.append(
                f"{change.sha[:12]} {subject!r} came to {branch} since the last version, and no entry declares it;"
                f" add: - {{commit: {name}, allow: [duplicate]}}"
            )
    more = [f"{len(lines) - _NAMED} more came to {branch} undeclared"] if len(lines) > _NAMED else []
    return [*lines[:_NAMED], *more]


def _takes_back(scratch: Scratch, sha: str, other: str) -> bool:
    """Whether a commit is the very inverse of another, and nothing else."""
    before, above = (next(iter(scratch.commit(each).parents), "") for each in (other, sha))
    trees = {each: scratch.tree_of(each) if each else EMPTY_TREE for each in (before, above, other)}
    merge = scratch.pick(base=trees[other], ours=trees[above], theirs=trees[before])
    return not merge.conflicts and merge.tree == scratch.tree_of(sha)


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
    if entry is None or facts.base in older(facts):
        return unheard
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
