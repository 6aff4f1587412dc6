"""What is known of a commit of a release branch, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is known of a commit of a release branch."""

    PROVED = "proved"  # the pick of its source, done again, gives its tree
    ADAPTED = "adapted"  # carries the source's change, and gives another tree
    FORGED = "forged"  # names a source whose change it does not carry
    UNKNOWN = "unknown-source"  # names only sources that are not in this clone
    FOREIGN = "foreign"  # no source is known
    RELEASE = "release"  # what a release commit is, and nothing else
    MERGE = "merge"  # adds nothing to what it merges
    SQUASH = "squash"  # what was proposed, as one commit, tree for tree; the proposed commits are judged beside it
    REVERT = "revert"  # takes back a commit of the branch, exactly
    UNDECLARED = "undeclared"  # release.yaml at its tag does not have its source
    DUPLICATE = "duplicate"  # its source's change was on the branch already
    REVERTED = "reverted"  # was taken back later on the branch


_GOOD = (Kind.PROVED, Kind.RELEASE, Kind.MERGE, Kind.SQUASH, Kind.REVERT)


@dataclass(frozen=True, kw_only=True)
class CommitProof:
    """`sources` are the commits whose change it is (several where picks were squashed), `signal` what named them.

    `likeness` is how much of the source's change an adapted or forged one carries, 0 to 1.
    """

    kind: Kind
    sources: tuple[str, ...] = ()
    signal: str = ""
    mainline: int = 0
    likeness: float = 1.0
    identical: bool = False  # even the id is the one that this tool would have made
    missing: tuple[str, ...] = ()  # sources that it names and that are not here
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CommitVerdict:
    """What a commit of the branch is.  `kind` is what counts, `proof` what doing it again gave, whatever else is so.

    `of` is the other commit that a duplicate, a reverted one or a revert speaks of; `accepted` says where an adapted
    pick is answered for.  `declared` is None where that is not known, `on_source` where there is no source.
    """

    sha: str
    subject: str
    version: str
    kind: Kind
    proof: Kind
    sources: tuple[str, ...] = ()
    signal: str = ""
    mainline: int = 0
    likeness: float = 1.0
    identical: bool = False
    declared: bool | None = None
    on_source: bool | None = None
    accepted: str = ""
    of: str = ""
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    undoes: tuple[str, ...] = ()  # what its sources say they revert
    listed: bool = False  # the tag of its version lists it as one of its picks
    harmless: bool = False  # a reverted one: taken back in a later version than it came with

    @property
    def source(self) -> str:
        return self.sources[0] if self.sources else ""

    @property
    def ok(self) -> bool:
        """Whether there is nothing to object to."""
        if self.kind is Kind.ADAPTED:
            return bool(self.accepted)
        return self.kind in _GOOD or (self.kind is Kind.REVERTED and self.harmless)

    @property
    def said(self) -> str:
        """In words, what it is and why."""
        short = " and ".join(sha[:12] for sha in self.sources)
        text = {
            Kind.PROVED: f"is {short} picked" + (", to the very id" if self.identical else f" (by {self.signal})"),
            Kind.ADAPTED: self._adapted(short),
            Kind.FORGED: f"names {short}, and carries {self.likeness:.0%} of its change",
            Kind.UNKNOWN: f"names {' and '.join(each[:12] for each in self.missing)}, not in this clone: not provable",
            Kind.FOREIGN: "has no known source",
            Kind.RELEASE: "is the release commit" + (", to the very id" if self.identical else ""),
            Kind.MERGE: "adds nothing to what it merges",
            Kind.SQUASH: f"is what was proposed, as one commit: {short or 'the release commit'}",
            Kind.REVERT: f"takes back {short}, exactly",
            Kind.UNDECLARED: f"is {self.proof} ({short}), and release.yaml does not declare it",
            Kind.DUPLICATE: f"is {short}, which was there already as {self.of[:12]}",
            Kind.REVERTED: f"is {short}, and was taken back by {self.of[:12]}",
        }[self.kind]
        answered = f"; answered for: {self.accepted}" if self.accepted else ""
        return text + answered + "".join(f"; {note}" for note in self.notes)

    def _adapted(self, short: str) -> str:
        if any(sha in self.missing for sha in self.sources):
            return f"stands for {short}, not in this clone"
        return f"carries {self.likeness:.0%} of {short}" if short else "was resolved by hand"
