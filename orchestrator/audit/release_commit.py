"""The release commit made again, to compare: release.yaml, the changelog section, version files, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.audit.origins.claims import BACKPORT
from orchestrator.audit.verdicts import CARRY_LITTLE, CommitProof, Kind
from orchestrator.core.commit_message import signed_off
from orchestrator.core.commit_message.release import names as placeholders
from orchestrator.core.commit_message.release import released_versions
from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import PickState
from orchestrator.core.text import words
from orchestrator.core.versions import TagVersion
from orchestrator.git.objects import encode_commit, object_id
from orchestrator.landing.forms import below
from orchestrator.landing.signed import unsigned
from orchestrator.picks.classify import pick_of
from orchestrator.picks.sources import expand
from orchestrator.plan.changelog_style import day_of, unlinked, version_headings
from orchestrator.plan.release_commit import message_facts, message_of, release_files
from orchestrator.session.committed import released_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.audit.origins.claims import CommitReader
    from orchestrator.core.declaration import Config, ReleaseEntry
    from orchestrator.core.pick import Pick
    from orchestrator.git.objects import Commit
    from orchestrator.picks.sources import Names, Source
    from orchestrator.plan.account import Account


@dataclass(frozen=True, kw_only=True)
class TaggedRelease:
    """A version, the commit it names, release.yaml for it, and its account; None where its tag lists no picks.

    `other_tool`: the changelog section was written by another version of this tool, and may be another text.
    """

    version: str
    head: str
    config: Config
    path: str
    account: Account | None = None
    other_tool: bool = False
    previous: str = ""  # the version before, as the tag tells it


def remade(
    known: CommitReader, release: TaggedRelease, sources: Sequence[Source], proofs: Mapping[str, CommitProof]
) -> CommitProof | None:
    """The proof of a release commit; None for a commit that does not say it is one and is none.

    `proofs` are those of the other commits of the version.
    """
    head = known.commits[release.head]
    if len(head.parents) != 1:
        return None
    parent = known.commits[head.parents[0]]
    picks = list(release.account.picks) if release.account else _picks(sources, proofs)
    days = _days(known, release, parent, head)
    trees = [_tree(known, release, parent, picks, head, day) for day in days]
    if head.tree in trees:
        day = days[trees.index(head.tree)]
        if _other_message(known, release, head, picks, day):
            return CommitProof(
                kind=Kind.FOREIGN, notes=("a release commit that is not what would be made, in its message",)
            )
        return CommitProof(kind=Kind.RELEASE, identical=_identical(known, release, head, picks, day))
    if release.version not in released_versions(release.config, head.subject):
        return None
    if release.account and release.account.lacking:
        return CommitProof(kind=Kind.UNKNOWN, missing=_lacking(release.account, known))
    paths = known.scratch.git.run("diff-tree", "-r", "--name-only", "-z", trees[0], head.tree).fields()
    named = words(paths[:5], ", ") + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return CommitProof(kind=Kind.FOREIGN, notes=(f"a release commit that is not what would be made, in {named}",))


def given_up(
    known: CommitReader, sha: str, path: str, names: Names, proofs: Mapping[str, CommitProof]
) -> dict[str, CommitProof]:
    """The proof of a release commit that landed and was never tagged, and of the picks below that it tells of as made
    by hand; nothing for a commit that is none.

    What it declared stands in its own tree, what it brought in its message, and `proofs` are those of the commits
    below it.  It is no tag: nobody answers for those picks by it, but they are what a release made.
    """
    commit = known.commits[sha]
    config, versions = released_by(known.scratch, commit.tree, path, commit.subject)
    if config is None or len(commit.parents) != 1:
        return {}
    entries = (entry for version in versions if (entry := config.release(version)))
    tried = (_given_up(known, commit, path, config, entry, names, proofs) for entry in entries)
    return next((found for found in tried if found), {})


def _given_up(
    known: CommitReader,
    commit: Commit,
    path: str,
    config: Config,
    entry: ReleaseEntry,
    names: Names,
    proofs: Mapping[str, CommitProof],
) -> dict[str, CommitProof]:
    """As `given_up`, for one of the versions that it may be."""
    sha, version = commit.sha, entry.version
    sources, _ = expand(entry.fixes, config.remote, names, known.scratch)
    if "picks" in placeholders(config.release_commit.body):
        told = set(commit.text.splitlines())
        sources = [each for each in sources if f"- {each.commit.subject} ({each.commit.sha[:12]})" in told]
    release = TaggedRelease(version=version, head=sha, config=config, path=path)
    proof = remade(known, release, sources, proofs)
    if proof is None or proof.kind is not Kind.RELEASE:
        return {}
    mine = {each.commit.sha for each in sources}
    note = f"{version}, which was not tagged here, brought it as made by hand"
    by_hand = {
        each: replace(made, kind=Kind.ADAPTED, notes=(*made.notes, note))
        for each, made in proofs.items()
        if made.kind in CARRY_LITTLE and not mine.isdisjoint(made.sources)
    }
    return by_hand | {sha: CommitProof(kind=Kind.RELEASE, notes=(f"{version} was not tagged here",))}


def _lacking(account: Account, known: CommitReader) -> tuple[str, ...]:
    """Sources that are not here, of which the changelog tells what they say of themselves."""
    return tuple(pick.source for pick in account.picks if pick.source not in known.commits)


def _picks(sources: Sequence[Source], proofs: Mapping[str, CommitProof]) -> list[Pick]:
    """The picks of a release whose tag lists none: those declared that are there."""
    carrier = {source: sha for sha, proof in proofs.items() for source in proof.sources}
    found = []
    for source in sources:
        names = [source.commit.sha, *([source.backport.sha] if source.backport else [])]
        sha = next((carrier[name] for name in names if name in carrier), "")
        if sha:
            by_hand = source.backport or proofs[sha].kind in (Kind.ADAPTED, *CARRY_LITTLE)
            by_hand = by_hand or proofs[sha].signal == BACKPORT
            found.append(pick_of(source, PickState.ADAPTED if by_hand else PickState.CLEAN))
    return found


def _days(known: CommitReader, release: TaggedRelease, parent: Commit, head: Commit) -> list[str]:
    """The days that its texts may tell: that of the commit below it, or of the one that was proposed.

    Where nobody knows what was proposed it is the one that the changelog tells.
    """
    scratch, account = known.scratch, release.account
    landing = account.landing if account else None
    if landing and scratch.is_commit(landing.planned):
        return [scratch.commit(landing.planned).when.day]
    told = ""
    if (landing or account is None) and (text := scratch.file(head.tree, release.config.changelog)):
        told = day_of(text.decode("utf-8", "replace"), release.version)
    return list(dict.fromkeys(filter(None, (parent.when.day, told))))


def _tree(
    known: CommitReader, release: TaggedRelease, parent: Commit, picks: Sequence[Pick], head: Commit, day: str
) -> str:
    scratch, config = known.scratch, release.config
    entry = config.release(release.version)
    files, _ = release_files(
        config, release.path, scratch, parent.tree, release.version, entry.summary if entry else "", picks, day
    )
    if release.other_tool and config.changelog:
        old, new = (scratch.file(tree, config.changelog) or b"" for tree in (parent.tree, head.tree))
        files |= {config.changelog: new} if _adds_a_section(old, new, release.version) else {}
    if any(scratch.in_the_way(parent.tree, path) for path in files):
        return parent.tree
    return scratch.change_files(parent.tree, files)


def _adds_a_section(old: bytes, new: bytes, version: str) -> bool:
    """Whether the new text is the old one, byte for byte, with one piece in it that begins a section of that name.

    Links of that version, and of what is not released, are not looked at.
    """
    old, new = unlinked(old, version), unlinked(new, version)
    at = next((number for number, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), len(old))
    start = new.rfind(b"\n", 0, at) + 1  # the new heading may begin as the old one does
    piece = new[start : len(new) - (len(old) - start)]
    text = piece.decode("utf-8", "replace")
    named = [str(each.version.bare) for each in version_headings(text)]
    is_one = named == [TagVersion.from_text(version).bare] and piece.count(b"\n## ") <= 1
    return new.endswith(old[start:]) and is_one


def _identical(known: CommitReader, release: TaggedRelease, signed: Commit, picks: Sequence[Pick], day: str) -> bool:
    """Whether its id is that of the commit that a release makes for its committer, or was before it was signed."""
    head = _before_signing(known, signed, picks)
    who = f"{head.committer} {known.scratch.commit(head.parents[0]).when}".encode()
    message = _message(known, release, head, picks, day)
    data = encode_commit(tree=head.tree, parents=head.parents, author=who, committer=who, message=message)
    return object_id("commit", data) == head.sha


def _before_signing(known: CommitReader, signed: Commit, picks: Sequence[Pick]) -> Commit:
    chain = below(known.scratch, signed.sha, sum(1 for pick in picks if pick.result) + 1) or [signed.sha]
    return known.scratch.commit(unsigned(known.scratch, chain)[-1])


def _other_message(
    known: CommitReader, release: TaggedRelease, signed: Commit, picks: Sequence[Pick], day: str
) -> bool:
    """Whether it says something else than a release makes it say, where that can be told.

    A forge that lands it may write another; another version of this tool too.
    """
    account = release.account
    if account is None or account.lacking or account.landing or release.other_tool:
        return False
    head = _before_signing(known, signed, picks)
    return head.message != _message(known, release, head, picks, day)


def _message(known: CommitReader, release: TaggedRelease, head: Commit, picks: Sequence[Pick], day: str) -> bytes:
    """What a release commit of that tree and parent says."""
    parent = known.scratch.commit(head.parents[0])
    who = f"{head.committer} {parent.when}".encode()
    entry = release.config.release(release.version)
    facts = message_facts(release.config, release.version, picks, previous=release.previous, day=day)
    facts = replace(facts, summary=entry.summary if entry else "")
    message = message_of(release.config, facts, head.tree, parent.sha, who)
    return signed_off(message, str(head.committer) if release.config.signoff else "")
