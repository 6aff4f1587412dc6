"""Whether a branch still holds what one of its commits brought, and who took it away where it does not.

A trailer or an equal diff says that a commit of the branch carried a change once.  Whether the change is there now is
told by lines: those that the commit added, and how many of them stand in the tree.  Where most are gone, the later
commits of the branch are asked which of them took lines away.  A pick amends what an earlier pick brought, as it did on
the source; any other commit wrote over it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import copied_from
from orchestrator.core.dataclass import dataclass
from orchestrator.git import changes, diff
from orchestrator.git.batch import blobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.changes import ChangedFile, CommitChange
    from orchestrator.git.scratch import Scratch

_NONE = b"0" * 40  # the id of a file that is not there
_RELEASE = "chore(release): "  # our own commit, where release.yaml says nothing else; it writes the version
_REVERT = 'Revert "'
_CHANGELOG = re.compile(r"(change[-_ ]?s?(log)?|history|news|release[-_ ]?notes)(\.[a-z0-9]+)?", re.IGNORECASE)

Lines = Counter[bytes]


def is_changelog(path: str) -> bool:
    """Whether a file is called as changelogs are: `CHANGELOG.md`, `docs/CHANGES`, `NEWS.rst`: all add to it."""
    return _CHANGELOG.fullmatch(path.rpartition("/")[2]) is not None


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A source's change, and the commit of the branch that is said to carry it."""

    source: CommitChange
    twin: CommitChange

    @property
    def files(self) -> list[ChangedFile]:
        """The twin's files that tell: those of the source where it has any of them; no changelogs beside others."""
        own = [file for file in self.twin.files if file.path in self.source.paths] or list(self.twin.files)
        return [file for file in own if not is_changelog(_text(file.path))] or own


@dataclass(kw_only=True)
class Presence:
    """What of the changes that a branch carries stands in the tree of `tip`.  A fixed number of processes.

    `later` are the branch's commits with their files, newest first; None: they are asked for where they are needed.
    """

    scratch: Scratch
    tip: str
    later: Sequence[CommitChange] | None = None
    _blobs: dict[bytes, bytes] = field(default_factory=dict)

    def overwritten(self, carriers: Sequence[Carrier]) -> dict[str, str]:
        """Source -> the commit that wrote over most of what its twin brought; what still stands is left out."""
        changed = [each for each in carriers if any(self._now(file.path) != file.after for file in each.files)]
        self._read(file for each in changed for file in each.files)
        lost = {each.source.sha: Lost(self, each) for each in changed}
        lost = {sha: each for sha, each in lost.items() if each.is_most}
        if not lost:
            return {}
        later = self._later(list(lost.values()))
        paths = {path for each in lost.values() for path in each.missing}
        self._read(file for change in later for file in change.files if file.path in paths)
        return {sha: taker for sha, each in lost.items() if (taker := each.taken_by(later))}

    def is_part(self, source: CommitChange, twins: Sequence[CommitChange]) -> bool:
        """Whether the twins brought some of the source's lines and no other, and the rest is missing in files here."""
        self._read(file for change in (source, *twins) for file in change.files)
        wanted = {file.path: self.added(file) for file in source.files}
        rest = {path: Counter(lines) for path, lines in wanted.items()}
        for file in (file for twin in twins for file in twin.files):
            lines = self.added(file)
            if file.path not in wanted or lines - wanted[file.path]:
                return False  # in words of its own
            rest[file.path].subtract(lines)
        open_ = {path: +lines for path, lines in rest.items() if self._now(path) != _NONE}
        return any(lines - self.lines(self._now(path)) for path, lines in open_.items())

    def stands(self, twin: CommitChange) -> bool:
        """Whether all that a commit of the branch added is there."""
        self._read(twin.files)
        return not any(self.gone(file).total() for file in twin.files)

    # -------------------------------------------------------------- what a file says

    @cached_property
    def _tree(self) -> dict[bytes, bytes]:
        entries = self.scratch.entries(self.scratch.tree_of(self.tip))
        return {each.path.encode("utf-8", "surrogateescape"): each.sha.encode() for each in entries}

    def _now(self, path: bytes) -> bytes:
        return self._tree.get(path, _NONE)

    def has(self, path: bytes) -> bool:
        return path in self._tree

    def _read(self, files: Iterable[ChangedFile]) -> None:
        """Read what these files hold before, after and now; what a submodule names is no content of ours."""
        plain = [file for file in files if b"160000" not in file.modes]
        ids = {sha for file in plain for sha in (file.before, file.after, self._now(file.path))}
        wanted = {sha.decode() for sha in ids if sha != _NONE and sha not in self._blobs}
        self._blobs |= {sha.encode(): data for sha, data in blobs(self.scratch, wanted).items()}

    def lines(self, sha: bytes) -> Lines:
        """The lines that say something; of what has no lines, its id."""
        if sha == _NONE:
            return Counter()
        data = self._blobs.get(sha)
        if data is None or b"\0" in data:
            return Counter([sha])
        found = Counter(line.strip() for line in data.split(b"\n"))
        return Counter({line: number for line, number in found.items() if any(map(_tells, line))})

    def added(self, file: ChangedFile) -> Lines:
        return self.lines(file.after) - self.lines(file.before)

    def brought(self, file: ChangedFile) -> Lines:
        """The lines that were added, or where none were, those that were taken out."""
        return self.added(file) or self.lines(file.before) - self.lines(file.after)

    def gone(self, file: ChangedFile) -> Lines:
        """Those of the added lines that are not there now, or of the lines taken out those that are back."""
        before, after, now = self.lines(file.before), self.lines(file.after), self.lines(self._now(file.path))
        if added := after - before:
            return added - Counter({line: max(now[line] - min(before[line], after[line]), 0) for line in added})
        return Counter(
            {line: min(number, max(now[line] - after[line], 0)) for line, number in (before - after).items()}
        )

    def _later(self, lost: Sequence[Lost]) -> Sequence[CommitChange]:
        if self.later is not None:
            return self.later
        paths = sorted({path for each in lost for path in each.missing})
        return changes.log(self.scratch, self.tip, "--not", *(each.carrier.twin.sha for each in lost), paths=paths)

    def renamed(self, twin: str) -> Mapping[str, str]:
        """Old -> new name of what was given another name since a commit."""
        return diff.renames(self.scratch, twin, self.tip)


class Lost:
    """What one carrier brought that is not there, file by file."""

    def __init__(self, presence: Presence, carrier: Carrier) -> None:
        self.presence = presence
        self.carrier = carrier
        self.total = sum(presence.brought(file).total() for file in carrier.files)
        self.missing = {file.path: gone for file in carrier.files if (gone := presence.gone(file))}
        self._only_removed = {file.path for file in carrier.files if not presence.added(file)}

    @property
    def is_most(self) -> bool:
        return 2 * sum(lines.total() for lines in self.missing.values()) > self.total

    def taken_by(self, later: Sequence[CommitChange]) -> str:
        """The commit that took most of it and is no pick, "" where those took no more than half of it."""
        left = {path: Counter(lines) for path, lines in self.missing.items()}
        by_hand: Counter[str] = Counter()
        for change in later:  # newest first
            if change.sha == self.carrier.twin.sha:
                break
            number = sum(self._took(file, left[file.path]) for file in change.files if file.path in left)
            if number and not self._is_ours(change):
                by_hand[change.sha] += number
        sha, _ = by_hand.most_common(1)[0] if by_hand else ("", 0)
        return sha if 2 * by_hand.total() > self.total and not self._moved() else ""

    def _took(self, file: ChangedFile, left: Lines) -> int:
        """How many of the lines that are left a later change of their file took away, or put back."""
        before, after = self.presence.lines(file.before), self.presence.lines(file.after)
        taken = left & (after - before if file.path in self._only_removed else before - after)
        left.subtract(taken)
        return taken.total()

    def _is_ours(self, change: CommitChange) -> bool:
        """Whether a later commit came from a source, or is a release commit; what takes the twin back is neither."""
        subject = change.message.partition("\n")[0]
        if subject.startswith(_REVERT) and self.carrier.twin.message.partition("\n")[0] in subject:
            return False
        if copied_from(change.message) or subject.startswith(_RELEASE):
            return True
        from orchestrator.session.committed import released_by  # few branches have such a commit

        paths = (
            "release.yaml",
            *(text for file in change.files if (text := _text(file.path)).endswith((".yaml", ".yml"))),
        )
        scratch = self.presence.scratch
        return any(released_by(scratch, scratch.tree_of(change.sha), path, subject)[1] for path in dict.fromkeys(paths))

    def _moved(self) -> bool:
        """Whether the files were only given other names."""
        away = [path for path in self.missing if not self.presence.has(path)]
        return bool(away) and {_text(path) for path in away} <= set(self.presence.renamed(self.carrier.twin.sha))


def _tells(char: int) -> bool:
    return 48 <= char <= 57 or 65 <= char <= 90 or 97 <= char <= 122 or char > 127


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
