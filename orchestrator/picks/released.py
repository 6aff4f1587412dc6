"""In which releases is this fix?  Told by git notes, by release tags that hold the commit, and by its duplicates.

Nothing in the clone changes: what only the remote has is fetched into the scratch store.  The number of git processes
does not depend on how many releases or commits there are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import origins, reverted
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.tag_message import tagged_account
from orchestrator.core.versions import parse_tag
from orchestrator.git import changes, notes
from orchestrator.git.repository import RemoteRefs
from orchestrator.picks.equivalents import MERGE, PATCH_ID, TRAILER, ZERO_CONTEXT
from orchestrator.picks.merged.brought import brought_by, merges_among, sides
from orchestrator.picks.sources import known
from orchestrator.session import kept_sources, yanks
from orchestrator.session.branch_state import commit_named
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history
from orchestrator.session.published import remote_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.scratch import Scratch
    from orchestrator.session.session import Session

NOTE, ITSELF, LISTED = "note", "itself", "tag"
_ABBREVIATED = re.compile(r"[0-9a-f]{7,40}")
_LINE = re.compile(r"^in (?P<version>\S+) as (?P<sha>[0-9a-f]{40}) on (?P<branch>\S+)$", re.MULTILINE)
_SPEAKING = ("--extended-regexp", "--grep=cherry picked from commit|This reverts commit")
_MANY_PATHS = 200  # more of them are not compared by patch-id: a vendor drop, not a fix


@dataclass(frozen=True, kw_only=True)
class ShippedIn:
    """A release that has the fix: as which commit, said by what; `undone_by` took it back in there."""

    version: str
    sha: str
    branch: str  # "" where no note says it
    signals: tuple[str, ...]
    undone_by: str = ""
    yanked: str = ""  # when, by whom and why the release was yanked


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """`source` is the commit that was asked for, or the one that it was picked from."""

    asked: str
    source: str
    subject: str
    releases: tuple[ShippedIn, ...]
    notes: tuple[str, ...]  # what could not be looked at


def whereabouts(session: Session, revision: str) -> Whereabouts:
    """Raises UsageError when `revision` names no commit of this clone."""
    remote = remote_name(session)
    offline = session.options.offline
    have_history(session.repository, remote, offline=offline)
    scratch = session.scratch
    public, said = _public(session, remote)
    tags = _tags(session, public)
    if not known(revision, remote, session.repository, scratch):
        said += _bring_sources(session, remote, public)
    carried = _listed(session, public)
    asked = _named(session, remote, revision, carried)
    if not all(scratch.is_commit(each) for each in origins(scratch.commit(asked).text)):
        said += _bring_sources(session, remote, public)
    source = _source(scratch, asked)
    have_contents(
        session.repository,
        scratch,
        (*tags.values(), asked, source),
        (asked, source, public.refs.get(notes.REF, "")),
        offline=offline,
    )
    listed = {each: LISTED for name, commits in carried.items() if name in (source, asked) for each in commits}
    listed |= {each: LISTED for commits in carried.values() if asked in commits for each in commits}
    family = _Family(scratch, source, asked, tuple(dict.fromkeys(tags.values())), listed)
    written = _written(session, public, family.members)
    found = _joined([*_by_note(written), *family.releases(tags)])
    marks = public.refs if public.refs else session.repository.refs(yanks.PREFIX.rstrip("/"))
    told = next((name for name, commits in carried.items() if source in commits and name.startswith(revision)), source)
    taken_back = yanks.known(session.repository, scratch, remote, marks)
    return Whereabouts(
        asked=asked,
        source=told,
        subject=scratch.commit(source).subject,
        releases=tuple(
            replace(each, yanked=taken_back[each.version].said) if each.version in taken_back else each
            for each in found
        ),
        notes=tuple(said),
    )


def _listed(session: Session, public: RemoteRefs) -> dict[str, list[str]]:
    """Source -> the commits that carry it, by the lists in the tags of releases: no note and no record is needed."""
    scratch = session.scratch
    refs = {**session.repository.refs("refs/tags"), **public.refs}
    found: dict[str, list[str]] = defaultdict(list)
    for sha in {
        sha for ref, sha in refs.items() if ref.startswith("refs/tags/") and _is_release(ref[len("refs/tags/") :])
    }:
        if not scratch.has(sha):
            continue
        kind, data = scratch.read(sha)
        for row in tagged_account(data.decode("utf-8", "replace")) if kind == "tag" else ():
            if row.shipped and scratch.is_commit(row.commit):
                found[row.source].append(row.commit)
    return found


def _named(session: Session, remote: str, revision: str, carried: Mapping[str, Sequence[str]]) -> str:
    """The commit that is asked for; where it is not here, one that a tag says to carry it."""
    try:
        return commit_named(session.repository, remote, revision, session.scratch)
    except UsageError:
        names = [name for name in carried if name.startswith(revision)] if _ABBREVIATED.fullmatch(revision) else []
        if len(names) != 1:
            raise
        return carried[names[0]][0]


def _source(scratch: Scratch, sha: str) -> str:
    """The first commit of a chain of picks, as far as it is here."""
    seen = {sha}
    while True:
        named = [each for each in reversed(origins(scratch.commit(sha).text)) if scratch.is_commit(each)]
        if not named or named[0] in seen:
            return sha
        sha = named[0]
        seen.add(sha)


def _public(session: Session, remote: str) -> tuple[RemoteRefs, list[str]]:
    """Tags and notes of the remote, brought here; and what to say when it cannot be asked."""
    nothing = RemoteRefs(refs={})
    if session.options.offline or not session.repository.remote_url(remote):
        return nothing, []
    try:
        patterns = ("refs/tags/*", notes.REF, f"{yanks.PREFIX}*", f"{kept_sources.PREFIX}*")
        refs = session.repository.ls_remote(remote, *patterns)
        wanted = [
            ref for ref, sha in refs.refs.items()
            if (ref == notes.REF or _is_release(ref.removeprefix("refs/tags/"))) and not session.scratch.has(sha)
        ]  # fmt: skip
        if wanted:
            session.repository.bring(session.scratch, remote, wanted)
    except RemoteError as error:
        return nothing, [f"{error.message}: only this clone was checked"]
    return refs, []


def _bring_sources(session: Session, remote: str, public: RemoteRefs) -> list[str]:
    """The sources of all releases, also of those whose branches are gone; and what to say when they cannot be had."""
    try:
        kept_sources.bring(session.repository, session.scratch, remote, public.refs)
    except RemoteError as error:
        return [f"{error.message}: sources that are kept there were not looked at"]
    return []


def _is_release(tag: str) -> bool:
    return parse_tag(tag) is not None


def _tags(session: Session, public: RemoteRefs) -> dict[str, str]:
    """ShippedIn tag -> commit.  The remote's word counts."""
    tags = {**session.repository.local_tags(), **public.tags()}
    return {tag: sha for tag, sha in tags.items() if _is_release(tag) and session.scratch.is_commit(sha)}


class _Family:
    """The commits that carry one change, and which tags reach them."""

    def __init__(
        self, scratch: Scratch, source: str, asked: str, tips: tuple[str, ...], listed: Mapping[str, str]
    ) -> None:
        self.scratch = scratch
        # What came before the change cannot hold it.  One walk tells who reaches whom among the rest.
        bounds = [f"^{parent}" for parent in scratch.commit(source).parents]
        self._range = (*tips, source, asked, *bounds)
        lines = scratch.rev_list("--topo-order", "--parents", *self._range)
        self._parents = {sha: parents for sha, *parents in (line.split(" ") for line in lines)}
        self.members: dict[str, str] = {source: ITSELF}
        self.merges: list[str] = []  # that brought it, and were picked
        self.undoing: dict[str, set[str]] = defaultdict(set)  # commit -> those that say they revert it
        self._by_trailer(asked)
        self.members = {**{sha: signal for sha, signal in listed.items() if sha in self._parents}, **self.members}
        self._by_patch(source)

    def _by_trailer(self, asked: str) -> None:
        bearers: dict[str, list[str]] = defaultdict(list)
        for change in changes.messages(self.scratch, *_SPEAKING, *self._range):
            for origin in origins(change.message):
                bearers[origin].append(change.sha)
            for name in reverted(change.message):
                self.undoing[name].add(change.sha)
        self._by_merge(bearers)
        open_ = list(self.members)
        if asked not in self.members:
            self.members[asked] = TRAILER
            open_.append(asked)
        while open_:
            for sha in bearers[open_.pop()]:
                if sha not in self.members:
                    self.members[sha] = TRAILER
                    open_.append(sha)

    def _by_merge(self, bearers: Mapping[str, Sequence[str]]) -> None:
        """Picks of a merge that brought the change to the parent whose side they kept."""
        bounds = [each for each in self._range if each.startswith("^")]
        merges = merges_among(self.scratch, [origin for origin in bearers if origin not in self.members])
        picks = {sha: self._parents[sha] for merge in merges for sha in bearers[merge]}
        made = changes.of(self.scratch, {sha: next(iter(parents), "") for sha, parents in picks.items()})
        kept = sides(self.scratch, merges, made)
        inside = brought_by(self.scratch, list(kept), set(self.members), *bounds)
        pairs = dict.fromkeys(each for those in inside.values() for each in those)
        self.merges = list(dict.fromkeys(merge for merge, _ in pairs))
        for pair in pairs:
            self.members |= dict.fromkeys(kept[pair], MERGE)

    def _by_patch(self, source: str) -> None:
        parents = self.scratch.commit(source).parents
        if len(parents) > 1:
            return
        change = changes.of(self.scratch, {source: parents[0] if parents else ""})[0]
        if not 0 < len(change.paths) <= _MANY_PATHS:
            return
        near = changes.log(self.scratch, *self._range, paths=sorted(change.paths))
        alike = [each for each in near if each.paths == change.paths and each.sha not in self.members]
        if not alike:
            return
        compared = {each.sha: each.parent for each in (change, *alike)}
        bare = changes.patch_ids(self.scratch, compared, context=0)
        full = changes.patch_ids(self.scratch, compared, context=3)
        for each in alike:
            if each.digest == change.digest or _agree(full, source, each.sha):
                self.members[each.sha] = PATCH_ID
            elif _agree(bare, source, each.sha):
                self.members[each.sha] = ZERO_CONTEXT

    def releases(self, tags: Mapping[str, str]) -> list[ShippedIn]:
        """A release for each tag and each of the commits that it reaches."""
        reverts = {sha: self._undoers(sha) for sha in (*self.members, *self.merges)}
        first = {each for undoers in reverts.values() for each in undoers}
        second = {each: self._undoers(each) for each in first}
        marked = {*self.members, *first, *(each for undoers in second.values() for each in undoers)}
        reached = self._reached({sha: number for number, sha in enumerate(marked)})
        found = []
        for tag, tip in tags.items():
            there = reached.get(tip, set())
            here = [sha for sha in self.members if sha in there]
            valid = {each for each in first & there if not there.intersection(second[each])}
            picked = {each for sha in reverts if sha not in there for each in reverts[sha]}
            for sha in here:
                # a revert names the commit that it takes back, or, picked from elsewhere, the one of over there
                undone = sorted(valid & ({*reverts[sha]} | picked))
                found.append(ShippedIn(version=tag, sha=sha, branch="", signals=(self.members[sha],),
                                     undone_by=undone[0] if undone else ""))  # fmt: skip
        return found

    def _undoers(self, sha: str) -> list[str]:
        """Commits that say they revert this one, by its id or the beginning of it."""
        return [each for name, undoers in self.undoing.items() if sha.startswith(name) for each in sorted(undoers)]

    def _reached(self, numbers: Mapping[str, int]) -> dict[str, set[str]]:
        """Commit -> which of the numbered ones it reaches, as bits handed from parents to children."""
        bits: dict[str, int] = {}
        for sha in reversed(self._parents):
            mine = 1 << numbers[sha] if sha in numbers else 0
            for parent in self._parents[sha]:
                mine |= bits.get(parent, 0)
            bits[sha] = mine
        names = list(numbers)
        sets = {value: {name for at, name in enumerate(names) if value >> at & 1} for value in set(bits.values())}
        return {sha: sets[value] for sha, value in bits.items()}


def _agree(ids: Mapping[str, str], one: str, other: str) -> bool:
    return bool(ids.get(one)) and ids.get(one) == ids.get(other)


# ------------------------------------------------------------------ notes


def _written(session: Session, public: RemoteRefs, members: Iterable[str]) -> list[str]:
    """The notes on these commits, here and on the remote."""
    git = session.scratch.git
    texts = []
    local = session.repository.refs(notes.REF).get(notes.REF, "")
    for tip in {local, public.refs.get(notes.REF, "")} - {""}:
        listing = notes.listing(git, tip)
        wanted = [listing[sha] for sha in members if sha in listing]
        texts += [text.decode("utf-8", "replace") for text in notes.blobs(git, wanted).values()]
    return texts


def _by_note(texts: Iterable[str]) -> list[ShippedIn]:
    return [
        ShippedIn(version=match["version"], sha=match["sha"], branch=match["branch"], signals=(NOTE,))
        for text in texts
        for match in _LINE.finditer(text)
        if _is_release(match["version"])
    ]


def _joined(found: Iterable[ShippedIn]) -> tuple[ShippedIn, ...]:
    """One row for each release and commit, in the order of versions; a branch holds for its whole line."""
    rows: dict[tuple[str, str], ShippedIn] = {}
    branches = {_line(each.version): each.branch for each in found if each.branch}
    for each in found:
        old = rows.get((each.version, each.sha))
        signals = dict.fromkeys((*(old.signals if old else ()), *each.signals))
        rows[each.version, each.sha] = ShippedIn(
            version=each.version,
            sha=each.sha,
            branch=each.branch or (old.branch if old else "") or branches.get(_line(each.version), ""),
            signals=tuple(signals),
            undone_by=each.undone_by or (old.undone_by if old else ""),
        )
    return tuple(sorted(rows.values(), key=lambda each: (_order(each.version), each.sha)))


def _order(version: str) -> tuple[object, str]:
    parsed = parse_tag(version)
    return (parsed.order if parsed else (), version)


def _line(version: str) -> tuple[int, int] | None:
    parsed = parse_tag(version)
    return parsed.line if parsed else None
