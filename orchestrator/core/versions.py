"""Which version may follow which: semver's order, told by tags and branch names alone.

A line is a pair (major, minor).  Tags of a line carry one prefix, `v` or none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from semver import Version

from orchestrator.core.documents import shown
from orchestrator.core.errors import Exit, UsageError
from orchestrator.core.results import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Line = tuple[int, int]
Order = tuple[int, int, int, bool, tuple[tuple[int, int, str], ...], str]

MAX_TAG = 128  # characters in an image tag, by the OCI distribution spec

_WORDS = "release|releases|rel|r|stable|maint|maintenance|support|branch|hotfix|lts|version|line"
_BRANCH = re.compile(
    rf"(?:.*/)?(?:(?:{_WORDS})[-_.]?)?v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:\.(?:[xX*]|[0-9]+))?"
    rf"(?:[-_](?:{_WORDS}))?",
    re.DOTALL,
)
_FLOATING = re.compile(r"v?(0|[1-9][0-9]*)(?:\.(0|[1-9][0-9]*))?(?![0-9.])")
_NATURAL = re.compile(r"[0-9]+|[A-Za-z-]+")
_PRERELEASE = re.compile(r"([A-Za-z-]+)(\.?)(0|[1-9][0-9]*)")


@dataclass(frozen=True, kw_only=True, eq=False)
class TagVersion:
    """A version tag: `prefix` is "v" or "".  Two are equal when their texts are, also in build metadata."""

    prefix: str
    version: Version

    @classmethod
    def from_text(cls, text: str) -> TagVersion:
        """As `parse_tag`.  Raises UsageError for what is no version."""
        found = parse_tag(text)
        if found is None:
            raise UsageError(f"{shown(text)} is not a version", remedy="write it as v2.7.1", code="version-malformed")
        return found

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, TagVersion) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def line(self) -> Line:
        return (self.version.major, self.version.minor)

    @property
    def order(self) -> Order:
        """What versions are sorted by: as semver does it, but `rc10` comes after `rc9`, as people mean it."""
        version = self.version
        parts = _NATURAL.findall(version.prerelease or "")
        natural = tuple((1, 0, part) if not part.isdigit() else (0, int(part), "") for part in parts)
        return (version.major, version.minor, version.patch, not version.prerelease, natural, version.prerelease or "")

    def __str__(self) -> str:
        return f"{self.prefix}{self.version}"


@dataclass(frozen=True, kw_only=True)
class NextVersion:
    """`previous` is the tag that the version follows, "" for the first of a line; `tag` the one to make.

    `notes` is what may be done and should be known.
    """

    previous: str
    tag: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def parse_tag(tag: str) -> TagVersion | None:
    """`v2.7.1`, `2.7.1-rc.1`; None for anything that is not a version."""
    bare = tag.removeprefix("v")
    if not tag.isascii():  # \d in older semver releases takes any script's digits
        return None
    try:
        return TagVersion(prefix=tag[: len(tag) - len(bare)], version=Version.parse(bare))
    except ValueError:
        return None


def final_of(candidate: str) -> str:
    """The version that this is a pre-release of, "" for a final one."""
    parsed = parse_tag(candidate)
    if parsed is None or not parsed.version.prerelease:
        return ""
    return str(replace(parsed, version=parsed.version.finalize_version()))


def line_of_branch(branch: str) -> Line | None:
    """(2, 7) of `release/v2.7`, `release-2.7`, `releases/2.7.x`, `v2.7`, `stable/2.7`; None when unclear.

    A number after any other word (`release/cuda-12.6`) is not taken for a line.
    """
    found = _BRANCH.fullmatch(branch) if len(branch) < 256 else None
    return (int(found[1]), int(found[2])) if found else None


def next_patch(highest: TagVersion) -> TagVersion:
    """The next final version: 2.7.2 after 2.7.1, and 2.7.1 after 2.7.1-rc.3."""
    return TagVersion(prefix=highest.prefix, version=highest.version.next_version("patch"))


def moves_forward(current: str | None, new: str) -> bool:
    """Whether a floating tag at version `current` may move to `new`.

    None means that the tag does not exist yet.  Never to a pre-release, never back, and not where the order
    cannot be told; the same version is no move.
    """
    target = parse_tag(new)
    if target is None or target.version.prerelease:
        return False
    if current is None:
        return True
    now = parse_tag(current)
    return now is not None and target.order > now.order


def names_other_line(tag: str, version: str) -> bool:
    """Whether a floating tag (`v2.7`, `2.7-cpu`, `v2`) names a line that `version` is not of; `latest` names none."""
    named, target = _FLOATING.match(tag), parse_tag(version)
    if not named or not target:
        return False
    major, minor = int(named[1]), named[2]
    return major != target.version.major or (minor is not None and int(minor) != target.version.minor)


def default_version(branch: str, reachable: Collection[str]) -> str:
    """The version that a cut without one makes.  Raises UsageError where nothing tells the line."""
    tags = version_tags(reachable)
    line = line_of_branch(branch) or _line_of(tags)
    if line is None:
        raise UsageError(
            f"branch {branch!r} names no release line and no version tag is reachable from it",
            remedy="give the version, such as `release cut v2.7.0`",
            code="version-unknown",
        )
    highest = _highest([tag for tag in tags if tag.line == line])
    return str(next_patch(highest) if highest else _first(line, _prefix(tags, "v")))


def check_version(
    requested: str, *, branch: str, reachable: Collection[str], existing: Collection[str], where: str
) -> NextVersion:
    """Judge a version against the tags `reachable` from the branch and all `existing` tags."""
    wanted = parse_tag(requested)
    if wanted is None or (fault := _malformed(requested, wanted)):
        fault = "is not a version" if wanted is None else fault
        return NextVersion(previous="", tag=requested, problems=(_malformed_problem(requested, fault, where),))
    tags = version_tags(reachable)
    line = line_of_branch(branch) or _line_of(tags) or wanted.line
    highest = _highest([tag for tag in tags if tag.line == line])
    prefix = highest.prefix if highest else _prefix(tags or version_tags(existing), wanted.prefix)
    rule = _Rule(wanted=wanted, line=line, highest=highest, prefix=prefix, branch=branch, where=where)
    problems = rule.existing(reachable, existing) or [
        *rule.prefixed(),
        *(rule.other_line() or rule.follows()),
    ]
    return NextVersion(
        previous=str(highest) if highest else "",
        tag=requested,
        problems=tuple(problems),
        notes=() if problems else rule.notes(),
    )


# ------------------------------------------------------------------ the rule


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """One request against the state of its line; each method is one refusal."""

    wanted: TagVersion
    line: Line
    highest: TagVersion | None
    prefix: str
    branch: str
    where: str

    @property
    def right(self) -> str:
        """The versions that may be cut now, in words."""
        final = next_patch(self.highest) if self.highest else _first(self.line, self.prefix)
        before = f"{final.version}-rc.1"
        if self.highest and self.highest.version.prerelease:
            before = _next_prerelease(self.highest)
        return f"{final} or {self.prefix}{before}" if before else str(final)

    def _refusal(self, code: str, message: str, remedy: str) -> list[Problem]:
        return [Problem(code=code, message=message, where=self.where, remedy=remedy, exit_code=int(Exit.REFUSED))]

    def existing(self, reachable: Collection[str], existing: Collection[str]) -> list[Problem]:
        known = {*existing, *reachable}
        same = sorted(tag for tag in (f"v{self.wanted.version}", f"{self.wanted.version}") if tag in known)
        if not same:
            return []
        tag = str(self.wanted) if str(self.wanted) in same else same[0]
        remedy = f"a version is never made twice: the next is {self.right}"
        if tag not in reachable:
            remedy = f"it is not on {self.branch}: see who made it with `git show {tag}`; a version never moves"
        return self._refusal("version-exists", f"tag {tag} exists already", remedy)

    def prefixed(self) -> list[Problem]:
        if self.wanted.prefix == self.prefix:
            return []
        habit = f"start with {self.prefix!r}" if self.prefix else "have no prefix"
        right = f"{self.prefix}{self.wanted.version}"
        remedy = f"write {right}" if not self.follows() and not self.other_line() else f"cut {self.right}"
        return self._refusal("version-prefix", f"{self.wanted}: the tags here {habit}", remedy)

    def other_line(self) -> list[Problem]:
        if self.wanted.line == self.line:
            return []
        message = f"{self.wanted} is not of line {self.line[0]}.{self.line[1]} ({self.branch})"
        return self._refusal("version-other-line", message, f"cut {self.right}, or use that line's branch")

    def follows(self) -> list[Problem]:
        wanted = self.wanted.version
        if self.highest is None:
            return [] if _starts(wanted, _first(self.line, "").version, None) else self._skips()
        last = self.highest.version
        if self.wanted.order <= self.highest.order:
            message = f"{self.wanted} goes back: {self.highest} is on {self.branch} already"
            return self._refusal("version-goes-back", message, f"cut {self.right}")
        return [] if _starts(wanted, next_patch(self.highest).version, last) else self._skips()

    def notes(self) -> tuple[str, ...]:
        """At the first `rc1` of a version: other tools will sort its tenth before its second."""
        name, dot, number = _split(self.wanted.version)
        last = self.highest.version if self.highest else None
        begun = last is not None and last.prerelease and _split(last)[0] == name
        if not name or dot or begun:
            return ()
        dotted = self.wanted.version.replace(prerelease=f"{name}.{number}")
        right = f"{self.wanted.prefix}{dotted} sorts right everywhere"
        return (f"{self.wanted}: other tools follow semver, where {name}10 comes before {name}2; {right}",)

    def _skips(self) -> list[Problem]:
        line = f"{self.line[0]}.{self.line[1]}"
        message = f"{self.wanted} skips: the last version of line {line} on {self.branch} is {self.highest}"
        if self.highest is None:
            message = f"{self.wanted} skips: line {line} has no version on {self.branch} yet"
        return self._refusal("version-skips", message, f"cut {self.right}")


def _starts(wanted: Version, target: Version, last: Version | None) -> bool:
    """Whether `wanted` is `target`, or a pre-release of it that may come right after `last`."""
    if wanted.finalize_version() != target:
        return False
    if not wanted.prerelease:
        return True
    name, dot, number = _split(wanted)
    before = _split(last) if last is not None and last.prerelease else ("", "", -1)
    if name == before[0]:
        return (dot, number) == (before[1], before[2] + 1)
    return number in (0, 1)


def _split(version: Version) -> tuple[str, str, int]:
    """("rc", ".", 3) of 2.7.1-rc.3; an empty name where the pre-release has no such form."""
    found = _PRERELEASE.fullmatch(version.prerelease or "")
    return (found[1], found[2], int(found[3])) if found else ("", "", -1)


def _next_prerelease(highest: TagVersion) -> str:
    """2.7.1-rc.4 after 2.7.1-rc.3; "" after one that has no such form."""
    name, dot, number = _split(highest.version)
    return str(highest.version.replace(prerelease=f"{name}{dot}{number + 1}")) if name else ""


def _malformed(requested: str, wanted: TagVersion) -> str:
    if wanted.version.build:
        return "has build metadata ('+'), which image tags cannot hold"
    if wanted.version.prerelease and not _split(wanted.version)[0]:
        return "has a pre-release that is not a word and a number"
    return f"is longer than {MAX_TAG} characters" if len(requested) > MAX_TAG else ""


def _malformed_problem(requested: str, fault: str, where: str) -> Problem:
    shown = requested if len(requested) <= MAX_TAG else f"{requested[:40]}…"
    return Problem(
        code="version-malformed",
        message=f"{shown!r} {fault}",
        where=where,
        remedy="write it as v2.7.1 or v2.7.1-rc.1",
        exit_code=int(Exit.USAGE),
    )


def version_tags(tags: Iterable[str]) -> list[TagVersion]:
    """Those of the tags that are versions, in the order given."""
    return [version for tag in tags if (version := parse_tag(tag)) is not None]


def _highest(tags: Collection[TagVersion]) -> TagVersion | None:
    return max(tags, key=lambda tag: (tag.order, tag.prefix), default=None)


def _line_of(tags: Collection[TagVersion]) -> Line | None:
    highest = _highest(tags)
    return highest.line if highest else None


def _prefix(tags: Collection[TagVersion], otherwise: str) -> str:
    """The prefix in use: that of the highest tag."""
    highest = _highest(tags)
    return highest.prefix if highest else otherwise


def _first(line: Line, prefix: str) -> TagVersion:
    return TagVersion(prefix=prefix, version=Version(line[0], line[1], 0))
