"""The release commit: release.yaml as used, the changelog and the version files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.config.keys import written_twice
from orchestrator.core.commit_message import signed_off
from orchestrator.core.commit_message.release import MessageFacts, commit_message, facts_of, lacking
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit
from orchestrator.core.results import Problem
from orchestrator.git.content import as_stored
from orchestrator.git.objects import encode_commit, object_id
from orchestrator.picks.prerequisites import EFFORT
from orchestrator.plan import changelog, changelog_style
from orchestrator.plan.version_files import rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.pick import Pick
    from orchestrator.git.objects import Commit, Signature
    from orchestrator.git.scratch import Scratch


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What to plan.  `version` "" means the next patch; `offline` believes the last fetch."""

    version: str
    config: Config
    config_path: str  # relative to the repository's top, where the release commit puts it
    identity: Signature
    tag_object: str = ""  # the version's tag, where it is public and only the image is to be made
    offline: bool = False
    effort: float = EFFORT  # seconds to look for what a conflicting pick needs; 0 does not look


@dataclass(frozen=True, kw_only=True)
class ReleaseCommit:
    head: str
    tree: str
    when: str
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def release_commit(
    config: Config,
    config_path: str,
    identity: Signature,
    *,
    scratch: Scratch,
    tip: str,
    version: str,
    summary: str,
    picks: Sequence[Pick],
    previous: str = "",
    proposed: Commit | None = None,
) -> ReleaseCommit:
    """The release commit on `tip`, by `identity`: release.yaml as used, the changelog section, version files.

    `previous` is the version before, for its message.  `proposed` is the commit that it was, where a forge made it
    anew: who signed it off, and the day that its texts tell, are that one's.
    """
    parent = scratch.commit(tip)
    when, signer = (proposed.when, proposed.committer) if proposed else (parent.when, identity)
    files, problems = release_files(config, config_path, scratch, parent.tree, version, summary, picks, when.day)
    problems += [_in_the_way(path, there, config) for path in files if (there := scratch.in_the_way(parent.tree, path))]
    problems += written_twice(config, config_path)
    tree = scratch.change_files(parent.tree, files)
    who = f"{identity} {parent.when}".encode()
    facts = message_facts(config, version, picks, previous=previous, day=when.day)
    problems += _empty(config, replace(facts, summary=summary))
    message = message_of(config, replace(facts, summary=summary), tree, parent.sha, who)
    head = scratch.write_commit(
        tree=tree,
        parents=(tip,),
        author=who,
        committer=who,
        message=signed_off(message, str(signer) if config.signoff else ""),
    )
    return ReleaseCommit(
        head=head,
        tree=tree,
        when=str(parent.when),
        problems=tuple(problems),
        notes=_notes(config, scratch, parent.tree),
    )


def _notes(config: Config, scratch: Scratch, tree: str) -> tuple[str, ...]:
    """What is said of a changelog that only its people can write."""
    path = config.changelog
    what = changelog_style.format_of(path, scratch.file(tree, path)) if path else ""
    said = f"{path} is {what}, and the release commit leaves it alone: write there what is new yourself; without a word"
    return (f"{said} of it: `changelog: false`",) if what else ()


def message_facts(config: Config, version: str, picks: Sequence[Pick], *, previous: str, day: str) -> MessageFacts:
    """What the message of a release commit is made from."""
    facts = facts_of(config, version, config.release(version))
    return replace(facts, picks=picks, previous=previous, date=day)


def message_of(config: Config, facts: MessageFacts, tree: str, parent: str, who: bytes) -> bytes:
    """The message of the release commit with this tree and parent; a Change-Id is made of them as Gerrit's hook does:
    the id of the commit that it would be with the message so far.
    """

    def change_id(message: bytes) -> str:
        data = encode_commit(tree=tree, parents=(parent,), author=who, committer=who, message=message.rstrip(b"\n"))
        return f"I{object_id('commit', data)}"

    return commit_message(config, facts, change_id)


def _empty(config: Config, facts: MessageFacts) -> list[Problem]:
    """A problem for each placeholder of the message that stands for nothing in this version."""
    entry = config.release(facts.version)
    return [
        Problem(
            code="release-commit-empty",
            message=f"the message of the release commit names {{{name}}}, and {facts.version} has none",
            where=str(entry.place if entry else config.place),
            remedy=f"add `{name}:` to it, or leave {{{name}}} out of `release-commit`",
            exit_code=Exit.USAGE,
        )
        for name in lacking(config, facts)
    ]


def release_files(
    config: Config,
    config_path: str,
    scratch: Scratch,
    tree: str,
    version: str,
    summary: str,
    picks: Sequence[Pick],
    day: str,
) -> tuple[dict[str, bytes], list[Problem]]:
    """What a release commit of that `day` writes on a tree, by path, and a problem for each version file that cannot
    be.
    """
    files = {config_path: config.text}
    old = scratch.file(tree, config.changelog) if config.changelog else None
    if config.changelog and not changelog_style.format_of(config.changelog, old):
        section = partial(changelog.section, version, summary, picks, config.repository_url)
        files[config.changelog] = changelog.insert(old, version, day, section)
    rewritten, problems = rewrite(config.version_files, version, lambda path: scratch.file(tree, path))
    return as_stored(scratch, tree, files | rewritten), problems


def _in_the_way(path: str, there: str, config: Config) -> Problem:
    return Problem(
        code="path-in-the-way",
        message=f"the release commit writes {path}, but on {config.branch} {there} is in the way",
        where=str(config.place),
        remedy="name another path (`changelog:`, --config), or make it a regular file on the branch first",
        exit_code=Exit.USAGE,
    )
