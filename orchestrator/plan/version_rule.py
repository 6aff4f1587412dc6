"""Which version may follow which: told by tags and branch names alone, by the project's scheme.

semver and PEP 440 number on without a gap; a calendar version only goes forward.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit, UsageError
from orchestrator.core.results import Problem
from orchestrator.core.versions import (
    MAX_TAG,
    TagVersion,
    candidate_parts,
    first_of,
    in_use,
    line_of_branch,
    next_patch,
    parse_tag,
    version_tags,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.core.versions import Line


@dataclass(frozen=True, kw_only=True)
class NextVersion:
    """`previous` is the tag that the version follows, "" for the first of a line; `tag` the one to make.

    `notes` is what may be done and should be known.
    """

    previous: str
    tag: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def default_version(branch: str, reachable: Collection[str]) -> str:
    """The version that a cut without one makes.  Raises UsageError where nothing tells the line."""
    tags = version_tags(reachable)
    line = line_of_branch(branch) or _line_of(tags)
    if line is None:
        raise UsageError(
            f"branch {branch!r} names no release line and no version tag is reachable from it",
            remedy=f"give the version, such as `release cut {in_use().first_example}`",
            code="version-unknown",
        )
    highest = _highest([tag for tag in tags if tag.line == line])
    return str(next_patch(highest) if highest else first_of(line, _prefix(tags, f"{in_use().product}v")))


def check_version(
    requested: str, *, branch: str, reachable: Collection[str], existing: Collection[str], where: str
) -> NextVersion:
    """Judge a version against the tags `reachable` from the branch and all `existing` tags."""
    wanted = parse_tag(requested)
    if wanted is None or (fault := _malformed(requested, wanted)):
        fault = "is not a version" if wanted is None else fault
        return NextVersion(previous="", tag=requested, problems=(_malformed_problem(requested, fault, where),))
    tags = version_tags(reachable)
    line = line_of_branch(branch) or (wanted.line if _by_calendar() else _line_of(tags) or wanted.line)
    highest = _highest([tag for tag in tags if tag.line == line or (_by_calendar() and not line_of_branch(branch))])
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
        final = next_patch(self.highest) if self.highest else self.first
        before: TagVersion | None = replace(final, pre="rc.1" if final.joint else "rc1")
        if self.highest and self.highest.is_candidate:
            before = _next_candidate(self.highest)
        return f"{final} or {before}" if before else str(final)

    @property
    def first(self) -> TagVersion:
        """The first version of the line, written as the one that is asked for."""
        return replace(first_of(self.line, self.prefix), joint=self.wanted.joint)

    def _refusal(self, code: str, message: str, remedy: str) -> list[Problem]:
        return [Problem(code=code, message=message, where=self.where, remedy=remedy, exit_code=int(Exit.REFUSED))]

    def existing(self, reachable: Collection[str], existing: Collection[str]) -> list[Problem]:
        known = {*existing, *reachable}
        product, bare = in_use().product, self.wanted.bare
        same = sorted(tag for tag in (f"{product}v{bare}", f"{product}{bare}") if tag in known)
        if not same:
            return []
        tag = str(self.wanted) if str(self.wanted) in same else same[0]
        remedy = f"a version is never made twice: the next is {self.right}; what it lacks: release publish {tag}"
        if tag not in reachable:
            remedy = (
                f"it is not on {self.branch}: see who made it with `git show {tag}`; where that is another product's,"
                " give this one a `tag-prefix:` of its own"
            )
        return self._refusal("version-exists", f"tag {tag} exists already", remedy)

    def prefixed(self) -> list[Problem]:
        if self.wanted.prefix == self.prefix:
            return []
        habit = f"start with {self.prefix!r}" if self.prefix else "have no prefix"
        right = f"{self.prefix}{self.wanted.bare}"
        remedy = f"write {right}" if not self.follows() and not self.other_line() else f"cut {self.right}"
        return self._refusal("version-prefix", f"{self.wanted}: the tags here {habit}", remedy)

    def other_line(self) -> list[Problem]:
        if self.wanted.line == self.line:
            return []
        message = f"{self.wanted} is not of line {self.line[0]}.{self.line[1]} ({self.branch})"
        return self._refusal("version-other-line", message, f"cut {self.right}, or use that line's branch")

    def follows(self) -> list[Problem]:
        if self.highest is None:
            return [] if _by_calendar() or _starts(self.wanted, self.first, None) else self._skips()
        if self.wanted.order <= self.highest.order:
            message = f"{self.wanted} goes back: {self.highest} is on {self.branch} already"
            return self._refusal("version-goes-back", message, f"cut {self.right}")
        targets = [self.wanted.final] if _by_calendar() else _targets(self.highest)
        return [] if any(_starts(self.wanted, target, self.highest) for target in targets) else self._skips()

    def notes(self) -> tuple[str, ...]:
        """At the first `rc1` of a version: other tools will sort its tenth before its second."""
        name, dot, number = candidate_parts(self.wanted)
        begun = self.highest is not None and candidate_parts(self.highest)[0] == name
        if not name or dot or begun or in_use().kind == "pep440":
            return ()
        right = f"{replace(self.wanted, pre=f'{name}.{number}')} sorts right everywhere"
        return (f"{self.wanted}: other tools follow semver, where {name}10 comes before {name}2; {right}",)

    def _skips(self) -> list[Problem]:
        line = f"{self.line[0]}.{self.line[1]}"
        message = f"{self.wanted} skips: the last version of line {line} on {self.branch} is {self.highest}"
        if self.highest is None:
            message = f"{self.wanted} skips: line {line} has no version on {self.branch} yet"
        return self._refusal("version-skips", message, f"cut {self.right}")


def _by_calendar() -> bool:
    return in_use().kind == "calver"


def _targets(highest: TagVersion) -> list[TagVersion]:
    """The final versions that may come next."""
    post = [replace(highest, post=highest.post + 1 if highest.post >= 0 else 1)] if _has_posts(highest) else []
    return [next_patch(highest), *post]


def _has_posts(highest: TagVersion) -> bool:
    return in_use().kind == "pep440" and not highest.is_candidate


def _starts(wanted: TagVersion, target: TagVersion, last: TagVersion | None) -> bool:
    """Whether `wanted` is `target`, or a pre-release of it that may come right after `last`."""
    if wanted.final.bare != target.bare:
        return False
    if not wanted.is_candidate:
        return True
    name, dot, number = candidate_parts(wanted)
    is_same = last is not None and last.is_candidate and last.final.bare == target.bare
    before = candidate_parts(last) if last is not None and is_same else ("", "", -1)
    if name == before[0]:
        return (dot, number) == (before[1], before[2] + 1)
    return number in (0, 1)


def _next_candidate(highest: TagVersion) -> TagVersion | None:
    """2.7.1-rc.4 after 2.7.1-rc.3; None after one that has no such form."""
    name, dot, number = candidate_parts(highest)
    return replace(highest, pre=f"{name}{dot}{number + 1}") if name else None


def _malformed(requested: str, wanted: TagVersion) -> str:
    if wanted.build:
        return "has build metadata ('+'), which image tags cannot hold"
    if wanted.is_candidate and not candidate_parts(wanted)[0]:
        return "has a pre-release that is not a word and a number"
    return f"is longer than {MAX_TAG} characters" if len(requested) > MAX_TAG else ""


def _malformed_problem(requested: str, fault: str, where: str) -> Problem:
    shown = requested if len(requested) <= MAX_TAG else f"{requested[:40]}…"
    return Problem(
        code="version-malformed",
        message=f"{shown!r} {fault}",
        where=where,
        remedy=f"write it as {in_use().examples}",
        exit_code=int(Exit.USAGE),
    )


def _highest(tags: Collection[TagVersion]) -> TagVersion | None:
    return max(tags, key=lambda tag: (tag.order, tag.prefix), default=None)


def _line_of(tags: Collection[TagVersion]) -> Line | None:
    highest = _highest(tags)
    return highest.line if highest else None


def _prefix(tags: Collection[TagVersion], otherwise: str) -> str:
    """The prefix in use: that of the highest tag."""
    highest = _highest(tags)
    return highest.prefix if highest else otherwise
