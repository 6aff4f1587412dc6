"""What is known of a commit of a release branch, as values; and the commits that a version brought.

Of a release that landed as one commit those that were proposed are judged in its place, and it is held to them.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.plan import LandingForm
from orchestrator.landing.forms import squash_fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.pick import Pick, Submodule
    from orchestrator.git.scratch import Scratch
    from orchestrator.plan.account import Account


class Kind(StrEnum):
    """What is known of a commit of a release branch."""

    PROVED = "proved"  # the pick of its source, done again, gives its tree
    ADAPTED = "adapted"  # carries the source's change, and gives another tree
    UNPROVED = "unproved"  # names a source, and carries less of it than could prove it: a person may have made it so
    FORGED = "forged"  # names a source that can be picked there without a conflict, and carries not one line of it
    UNKNOWN = "unknown-source"  # names only sources that are not in this clone
    FOREIGN = "foreign"  # no source is known
    RELEASE = "release"  # what a release commit is, and nothing else
    MERGE = "merge"  # adds nothing to what it merges
    SQUASH = "squash"  # what was proposed, as one commit, tree for tree; the proposed commits are judged beside it
    REVERT = "revert"  # takes back a commit of the branch, exactly
    UNDECLARED = "undeclared"  # release.yaml at its tag does not have its source
    DUPLICATE = "duplicate"  # its source's change was on the branch already
    REVERTED = "reverted"  # was taken back later on the branch


CARRY_LITTLE = (Kind.UNPROVED, Kind.FORGED)
_GOOD = (Kind.PROVED, Kind.RELEASE, Kind.MERGE, Kind.SQUASH, Kind.REVERT)


@dataclass(frozen=True, kw_only=True)
class CommitProof:
    """`sources` are the commits whose change it is (several where picks were squashed), `signal` what named them.

    `likeness` is how much of the source's change it carries, 0 to 1, where it is not the pick itself.
    """

    kind: Kind
    sources: tuple[str, ...] = ()
    signal: str = ""
    mainline: int = 0
    likeness: float = 1.0
    identical: bool = False  # even the id is the one that this tool would have made
    missing: tuple[str, ...] = ()  # sources that it names and that are not here
    notes: tuple[str, ...] = ()
    forwarded: tuple[Submodule, ...] = ()  # submodules that were moved otherwise than in its source


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
    forwarded: tuple[Submodule, ...] = ()
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
            Kind.UNPROVED: f"is not proved to be {short}, which it names: {self.likeness:.0%} of that change is in it",
            Kind.FORGED: f"names {short}, which can be picked there, and carries no line of its change",
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


# ------------------------------------------------------------------ what a version brought


@dataclass(frozen=True, kw_only=True)
class Part:
    """The commits that one version brought, oldest first; `version` "" for those that no tag holds.

    `config` is release.yaml as it counts for them; None: nobody knows what was declared, and nothing is undeclared.
    `account` is what the version says of itself; None for a tag that lists no picks, and where none is.  `head` is the
    commit that the version names.  `other_tool`: another version of this tool wrote the changelog, so its text may
    differ.  `for_version` is the version to come that takes what is on the branch as it is; "" where none does.
    """

    version: str
    commits: tuple[str, ...]
    config: Config | None = None
    config_path: str = "release.yaml"
    account: Account | None = None
    head: str = ""
    other_tool: bool = False
    for_version: str = ""

    def listed(self, sha: str) -> tuple[Pick, ...]:
        """The picks that the tag lists as this commit."""
        return self.account.shipped_as(sha) if self.account else ()


@dataclass(frozen=True, kw_only=True)
class Unfolded:
    """The parts with what was proposed in place of what was squashed; the verdict of each such commit, by its id."""

    parts: tuple[Part, ...]
    verdicts: Mapping[str, CommitVerdict]


def unfold(scratch: Scratch, parts: Sequence[Part]) -> Unfolded:
    """Where a squash is not what was proposed, or that is not here, its verdict says so, and nothing is unfolded."""
    found: list[Part] = []
    verdicts: dict[str, CommitVerdict] = {}
    for part in parts:
        landing = part.account.landing if part.account else None
        if landing is None or landing.form is not LandingForm.SQUASH or part.head not in part.commits:
            found.append(part)
            continue
        verdicts[part.head] = verdict = _verdict(scratch, part)
        planned = part.account.proposed if part.account and verdict.kind is Kind.SQUASH else ()
        at = part.commits.index(part.head)
        commits = (*part.commits[:at], *planned, *part.commits[at + 1 :])
        found.append(replace(part, commits=commits, head=planned[-1] if planned else part.head))
    return Unfolded(parts=tuple(found), verdicts=verdicts)


def _verdict(scratch: Scratch, part: Part) -> CommitVerdict:
    account, commit = part.account, scratch.commit(part.head)
    planned = account.landing.planned if account and account.landing else ""
    sources = tuple(pick.source for pick in account.picks if pick.result == part.head) if account else ()
    made = CommitVerdict(
        sha=part.head, subject=commit.subject, version=part.version, kind=Kind.SQUASH, proof=Kind.SQUASH,
        sources=sources, listed=True,
    )  # fmt: skip
    if not account or not account.proposed:
        return replace(made, kind=Kind.UNKNOWN, proof=Kind.UNKNOWN, sources=(), missing=(planned,))
    fault = squash_fault(scratch, part.head, account.proposed)
    if not fault:
        return made
    return replace(made, kind=Kind.FOREIGN, proof=Kind.FOREIGN, sources=(), notes=(f"as a squash it {fault}",))
