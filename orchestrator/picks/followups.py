"""What later commits on the source say of a fix: reverts, fixes of the fix, fixups, and messages that name it.

Messages are read once for all fixes.  What a later commit speaks of is told by ids, and where it gives none by the
subject: then the nearest older commit of that subject is meant.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict, deque
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import copied_from, without_origins
from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import FollowUp

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.containing_branches import ContainingBranches
    from orchestrator.picks.sources import Source

REVERT, FIXES, FIXUP, MENTION = "revert", "fixes", "fixup", "mention"
_RULES = 1  # part of the cache key: raise it when the same history would get another answer
_SHORT = 7  # digits of the shortest id that git itself writes

_HEX = re.compile(rb"\b[0-9a-f]{7,40}\b")
_LATER = (b"fixup! ", b"squash! ", b"amend! ", b'Revert "')
_ID = r"\b[0-9a-f]{7,40}\b"
_IDS = rf"({_ID}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+){_ID})*)"
_QUOTED = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_REVERTS = re.compile(
    rf"(?:\b[Tt]his (?:commit |change |patch )?reverts|^Reverts?:?)\s+(?:commits?\s+)?{_IDS}", re.MULTILINE
)
_MERGE_UNDONE = re.compile(rf"\b[Tt]his reverts commit ({_ID}),\s+reversing\s+changes\s+made\s+to\s+({_ID})")
_FIXES = re.compile(rf"\b[Ff]ix(?:es|ed)?:?\s+(?:up\s+)?(?:commits?:?\s+)?{_IDS}")
_ONE = re.compile(_ID)
_NAMES = re.compile(r"\b[0-9a-f]{8,40}\b")
_REVERT_SUBJECT = re.compile(r'^Revert "(.*)"(?: \(#\d+\))?$')
_FIXUP_SUBJECT = re.compile(r"^(?:(?:fixup|squash|amend)! )++(.*)$")
_NUMBER = re.compile(r" \(#\d+\)$")


@dataclass(frozen=True, kw_only=True)
class _Speaker:
    """A commit that speaks of others: kind -> ids (perhaps abbreviated); `origins` are those it is a copy of."""

    sha: str
    subject: str
    names: Mapping[str, tuple[str, ...]]
    origins: tuple[str, ...]
    of_subject: tuple[str, str]  # kind and subject spoken of, where the message gives no id for it
    merge: tuple[str, str]  # a merge that it takes back, and the parent that was merged into


def followups(
    scratch: Scratch, sources: Sequence[Source], tips: Mapping[str, str], homes: ContainingBranches
) -> dict[str, tuple[FollowUp, ...]]:
    """Source id -> the commits on the source tips that speak of it, and of those in turn, nearest first.

    A fix that is on no source tip is looked for on the branches that hold it, its homes, as well.  One `git log` for
    all sources, and one more where some are elsewhere.
    """
    if not sources or not tips:
        return {}
    commits = [source.commit for source in sources]
    ids = sorted(set(tips.values()))
    key = hashlib.sha256(json.dumps([_RULES, [each.sha for each in commits], ids, homes.key()]).encode()).hexdigest()
    if known := scratch.cache.get("followups", [key]):
        return {sha: tuple(FollowUp(**each) for each in rows) for sha, rows in json.loads(known[key]).items()}
    found = _search(scratch, commits, ids, homes)
    rows = {sha: [asdict(each) for each in one] for sha, one in found.items()}
    scratch.cache.put("followups", {key: json.dumps(rows).encode()})
    return found


def _search(
    scratch: Scratch, commits: Sequence[Commit], tips: Sequence[str], homes: ContainingBranches
) -> dict[str, tuple[FollowUp, ...]]:
    subjects = {commit.sha: commit.subject for commit in commits}
    records = _since(scratch, commits, tips, homes)
    there = elsewhere = _Said(scratch, records, subjects)
    if held := homes.tips():
        records = [*_log(scratch, held, tips), *records]
        elsewhere = _Said(scratch, records, subjects)
    return {
        commit.sha: _Chain(elsewhere if homes.outside(commit.sha) else there, commit, homes, there.position).all()
        for commit in commits
    }


def _since(scratch: Scratch, commits: Sequence[Commit], tips: Sequence[str], homes: ContainingBranches) -> list[bytes]:
    """The messages on the tips that may speak of some fix, newest first.

    All that the oldest fix contains is left out.  Where clocks lie that may be another fix: then only what all of
    them contain.
    """
    oldest = min(commits, key=lambda commit: commit.when.seconds)
    records = _log(scratch, tips, [oldest.sha])
    shown = {commit.sha for commit in commits if len(commit.parents) < 2 and not homes.outside(commit.sha)}
    if shown <= {oldest.sha, *(record[:40].decode() for record in records)}:
        return records
    shared = scratch.git.attempt("merge-base", "--octopus", "--all", *(commit.sha for commit in commits))
    return _log(scratch, tips, shared.lines())


def _log(scratch: Scratch, tips: Sequence[str], without: Sequence[str]) -> list[bytes]:
    """Id, line feed, message of each commit that is no merge; what a merge says is said by what it merges."""
    revisions = [*tips, *(f"^{sha}" for sha in without)]
    output = scratch.git.run(
        "log", "--topo-order", "--no-merges", "--encoding=UTF-8", "--format=%H%n%B%x00", "--stdin",
        stdin="\n".join(revisions).encode() + b"\n",
    )  # fmt: skip
    return output.stdout.split(b"\0\n")[:-1]


class _Said:
    """What a list of messages, newest first, says of which commits."""

    def __init__(self, scratch: Scratch, records: Sequence[bytes], subjects: Mapping[str, str]) -> None:
        self.records = records
        self.position = {record[:40].decode(): number for number, record in enumerate(records)}
        self.by_id: dict[str, list[tuple[str, str, _Speaker]]] = defaultdict(list)
        self.copies: dict[str, list[str]] = defaultdict(list)
        by_subject: list[_Speaker] = []
        for record in records:
            if record.startswith(_LATER, 41) or _HEX.search(record, 41):
                speaker = _speaker(record[:40].decode(), record[41:].decode("utf-8", "replace"))
                self._add(scratch, speaker)
                by_subject += [speaker] if speaker.of_subject[1] else []
        if by_subject:
            self._resolve_subjects(by_subject, subjects)

    def _add(self, scratch: Scratch, speaker: _Speaker) -> None:
        for kind, ids in speaker.names.items():
            for name in ids:
                self._note(name, kind, speaker)
        for origin in speaker.origins[-1:]:
            self.copies[origin].append(speaker.sha)
        merge, into = speaker.merge
        if merge:
            brought = scratch.git.attempt("rev-list", "--no-merges", merge, f"^{into}", "--")
            for sha in brought.lines() if brought.status == 0 else ():
                self._note(sha, REVERT, speaker)

    def _note(self, name: str, kind: str, speaker: _Speaker) -> None:
        self.by_id[name[:_SHORT]].append((name, kind, speaker))

    def _resolve_subjects(self, speakers: Iterable[_Speaker], sources: Mapping[str, str]) -> None:
        """Names by subject: the nearest older commit of that subject, or a source that is not in the list."""
        older: dict[str, list[str]] = defaultdict(list)
        for record in self.records:
            subject = record[41:].partition(b"\n")[0].decode("utf-8", "replace")
            for name in {subject, _NUMBER.sub("", subject)}:
                older[name].append(record[:40].decode())
        for sha, subject in sources.items():
            if sha not in self.position:
                for name in {subject, _NUMBER.sub("", subject)}:
                    older[name].append(sha)
        end = len(self.records)
        for speaker in speakers:
            kind, subject = speaker.of_subject
            mine = self.position[speaker.sha]
            target = next((sha for sha in older.get(subject, ()) if self.position.get(sha, end) > mine), "")
            if target:
                self._note(target, kind, speaker)

    def of(self, sha: str) -> list[tuple[str, _Speaker]]:
        """(kind, speaker) for all that speak of a commit, newest first, each once with its strongest kind."""
        best: dict[str, tuple[str, _Speaker]] = {}
        order = (REVERT, FIXES, FIXUP, MENTION)
        for name, kind, speaker in self.by_id.get(sha[:_SHORT], ()):
            if sha.startswith(name) and speaker.sha != sha:
                old = best.get(speaker.sha)
                if old is None or order.index(kind) < order.index(old[0]):
                    best[speaker.sha] = (kind, speaker)
        return sorted(best.values(), key=lambda each: self.position[each[1].sha])

    def family(self, commit: Commit) -> list[str]:
        """The commit, and the same change under other ids: picks of it, what it was picked from, picks of that."""
        names = [commit.sha, *copied_from(commit.text)[-1:]]
        return list(dict.fromkeys([*names, *(copy for name in names for copy in self.copies.get(name, ()))]))


class _Chain:
    """Everything that follows one fix."""

    def __init__(self, said: _Said, commit: Commit, homes: ContainingBranches, there: Collection[str]) -> None:
        self.said = said
        self.commit = commit
        self.homes = homes
        self.there = there  # commits on the source tips
        self.family = said.family(commit)

    def all(self) -> tuple[FollowUp, ...]:
        found: dict[str, FollowUp] = {}
        origins: dict[str, tuple[str, ...]] = {}
        reverts: dict[str, list[str]] = defaultdict(list)
        todo = deque(self.family)
        while todo:
            sha = todo.popleft()
            of = self.commit.sha if sha in self.family else sha
            for kind, speaker in self.said.of(sha):
                if kind == REVERT:
                    reverts[sha].append(speaker.sha)
                known = found.get(speaker.sha)
                if speaker.sha not in self.family and (known is None or known.kind == MENTION != kind):
                    found[speaker.sha] = FollowUp(sha=speaker.sha, kind=kind, subject=speaker.subject, of=of)
                    origins[speaker.sha] = speaker.origins
                    todo += [speaker.sha] if known is None else []
        gone = _gone([*self.family, *found], reverts)
        listed = {*found, *self.family}
        return tuple(
            replace(each, stands=self._stands(each, gone))
            for each in found.values()
            if each.kind == REVERT or listed.isdisjoint(origins[each.sha])  # a copy of what is listed already
        )

    def _stands(self, followup: FollowUp, gone: set[str]) -> bool:
        if followup.sha in gone:
            return False
        if followup.kind != REVERT or followup.of != self.commit.sha:
            return True
        on_tips = [sha for sha in self.family if sha in self.there]
        if not on_tips or not self.homes.outside(self.commit.sha):
            on_tips.append(self.commit.sha)
        return gone.issuperset(on_tips) and self.homes.cover(self.commit.sha, followup.sha)


def _gone(commits: Sequence[str], reverts: Mapping[str, Sequence[str]]) -> set[str]:
    """The commits that a revert takes back which was not itself taken back.

    Later ones first, again until nothing changes: reverts know only what is older, so that comes to an end.
    """
    gone: set[str] = set()
    for _ in commits:
        before = set(gone)
        for sha in reversed(commits):
            if any(revert not in gone for revert in reverts.get(sha, ())):
                gone.add(sha)
            else:
                gone.discard(sha)
        if gone == before:
            break
    return gone


def _speaker(sha: str, message: str) -> _Speaker:
    subject = " ".join(line.strip() for line in message.lstrip("\n").split("\n\n", 1)[0].splitlines())
    origins = copied_from(message)
    text = without_origins(message) if origins else message
    text = _QUOTED.sub("", text) if ">" in text else text
    reverts = [name for ids in _REVERTS.findall(text) for name in _ONE.findall(ids)] if "evert" in text else []
    fixes = [name for ids in _FIXES.findall(text) for name in _ONE.findall(ids)]
    names = {REVERT: reverts, FIXES: fixes, MENTION: _NAMES.findall(text)}
    merge = _MERGE_UNDONE.search(text) if reverts else None
    if merge:  # the parent that is gone back to is not what the message is about
        names[MENTION] = [name for name in names[MENTION] if name != merge[2]]
    of_subject = ("", "")
    if match := _FIXUP_SUBJECT.match(subject):
        if _ONE.fullmatch(match[1]):
            names[FIXUP] = [match[1]]
        else:
            of_subject = (FIXUP, match[1])
    elif (match := _REVERT_SUBJECT.match(subject)) and not reverts:
        of_subject = (REVERT, match[1])
    return _Speaker(
        sha=sha,
        subject=subject,
        names={kind: tuple(dict.fromkeys(ids)) for kind, ids in names.items()},
        origins=origins,
        of_subject=of_subject,
        merge=(merge[1], merge[2]) if merge else ("", ""),
    )
