"""The rules of `policy:`, and that a patch release takes fixes only.  Pure: facts in, problems out.

Each problem says which rule was broken and where that stands, and the place of the fix that broke it.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import breaks, conventional, is_feature
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import Exit
from orchestrator.core.glob import owns
from orchestrator.core.results import Problem
from orchestrator.core.versions import parse_tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.core.declaration import CodeOwners, Freeze, Policy

_MAIL = re.compile(r"(?:[0-9]+\+)?(?P<account>[^@+\s]+)(?:\+[^@]*)?@[^@\s]+")  # GitHub: 123+mia@users.noreply...
FROZEN = "frozen"  # the code of the problem that a freeze is
_SHOWN = 3  # paths in a message


@dataclass(frozen=True, kw_only=True)
class PolicyChange:
    """What a release takes over with one pick.

    `where` is the place of its fix.  `messages` are those of the source, or of every commit that a merge brings in, and
    of what is applied in its place; `authors` are theirs.  `paths` are the files that it changes.
    """

    where: str
    source: str
    subject: str
    messages: tuple[str, ...]
    paths: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()  # "Name <mail>"
    approvals: tuple[str, ...] = ()
    adapted: bool = False
    allow: tuple[str, ...] = ()
    on_protected_source: bool = True
    by_branch: bool = False  # `from-branch` brings it: it has no entry yet

    @property
    def said(self) -> str:
        return f"{self.source[:12]} {self.subject!r}"

    def remedy(self, text: str) -> str:
        """What to do in its entry; the entry too where it has none."""
        entry = f"- {{commit: {self.source}, allow: [duplicate]}}"
        return f"{text}, in an entry of its own under `fixes:`: {entry}" if self.by_branch else text


def rules(policy: Policy, changes: Sequence[PolicyChange], version: str) -> list[Problem]:
    """What these changes break, in their order; each rule that is broken is told once a change."""
    return [problem for change in changes for problem in _judge(policy, change, version)]


def _judge(policy: Policy, change: PolicyChange, version: str) -> Iterator[Problem]:
    yield from _fixes_only(change, version)
    yield from _typed(policy, change)
    yield from _approved(policy, change)
    if policy.protected_sources and not change.on_protected_source:
        branches = " or ".join(policy.protected_sources)
        yield _broken(
            policy, "protected-sources", change, "not-on-protected-source",
            f"{change.said} is not on {branches}", "merge it there first, then plan again",
        )  # fmt: skip


def _broken(policy: Policy, key: str, change: PolicyChange, code: str, says: str, remedy: str) -> Problem:
    return Problem(
        code=code,
        message=f"{says} (policy.{key}, {policy.place_of(key)})",
        where=change.where,
        remedy=remedy,
        exit_code=Exit.REFUSED,
    )


# ------------------------------------------------------------------ what a patch release takes


def is_patch(version: str) -> bool:
    """Whether a version continues one that its users have: 2.7.1 and 2.7.1-rc.1, not 2.7.0."""
    parsed = parse_tag(version)
    return parsed is not None and parsed.is_patch


def _fixes_only(change: PolicyChange, version: str) -> Iterator[Problem]:
    """Semantic Versioning 2.0.0, item 6: a patch version holds backward compatible bug fixes, nothing else."""
    if not is_patch(version):
        return
    feature = next((_subject(text) for text in change.messages if is_feature(text)), "")
    if feature and "feature" not in change.allow:
        yield _not_in_a_patch(change, version, "feature", f"a feature ({feature!r})")
    if (broken := next(filter(None, map(breaks, change.messages)), "")) and "breaking" not in change.allow:
        yield _not_in_a_patch(change, version, "breaking", f"a breaking change ({broken!r})")


def _not_in_a_patch(change: PolicyChange, version: str, word: str, what: str) -> Problem:
    return Problem(
        code=f"{word}-in-patch",
        message=f"{change.said} brings {what}, and {version} is a patch release (rule: semver.org, item 6)",
        where=change.where,
        remedy=change.remedy(
            f"leave it to the next minor release, or add `allow: [{word}]` and a `reason:` to the fix"
        ),
        exit_code=Exit.REFUSED,
    )


def _subject(message: str) -> str:
    return message.strip().partition("\n")[0].rstrip()


def _typed(policy: Policy, change: PolicyChange) -> Iterator[Problem]:
    """The types of the source, or of the commits that a merge brings in: a merge's own subject says nothing."""
    types = {conventional(_subject(text)).type for text in change.messages}
    if policy.conventional_commits and "" in types:
        said = next(text for text in change.messages if not conventional(_subject(text)).type)
        yield _broken(
            policy, "conventional-commits", change, "not-conventional",
            f"{change.source[:12]} {_subject(said)!r} is no Conventional Commit",
            "declare a hand-made commit with such a subject as `backport:`, or ask for the rule to be changed",
        )  # fmt: skip
    if policy.types and (wrong := sorted(types - {"", *policy.types})):
        yield _broken(
            policy, "types", change, "type-not-allowed",
            f"{change.said} is of type {' and '.join(wrong)}, and a release takes {', '.join(policy.types)}",
            "remove the fix, or ask for the type to be added",
        )  # fmt: skip


# ------------------------------------------------------------------ approvals


def _approved(policy: Policy, change: PolicyChange) -> Iterator[Problem]:
    key = "adapted-approvals" if change.adapted else "required-approvals"
    needed = policy.adapted_approvals if change.adapted else policy.required_approvals
    groups = _groups(policy.code_owners, change.paths)
    valid = _valid(change, groups)
    counted = _people(valid)
    if len(counted) < needed:
        why = "adapted and " if change.adapted and policy.adapted_approvals > policy.required_approvals else ""
        yield _broken(
            policy, key if _given(policy, key) else "code-owners", change, "approvals-missing",
            f"{change.said} is {why}approved by {_listed(counted) or 'nobody who counts'}: {len(counted)} of {needed}",
            change.remedy(f"add to `approved-by:` who has approved it; {_who(groups)} counts, its authors do not"),
        )  # fmt: skip
        return
    for entry, paths in groups.items():
        if needed and entry and entry.owners and not any(_is_one_of(name, entry.owners) for name in valid):
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            yield Problem(
                code="owner-approval-missing",
                message=f"{change.said} changes {', '.join(paths[:_SHOWN])}{more} without an approval by"
                f" {_listed(entry.owners)} (policy.code-owners, {entry.place})",
                where=change.where,
                remedy=change.remedy("add the one who has approved it to `approved-by:`"),
                exit_code=Exit.REFUSED,
            )


def _given(policy: Policy, key: str) -> bool:
    return key in dict(policy.places)


def _groups(entries: Sequence[CodeOwners], paths: Sequence[str]) -> dict[CodeOwners | None, list[str]]:
    """The files by the entry that counts for them; None for those that no pattern matches."""
    groups: dict[CodeOwners | None, list[str]] = {}
    for path in paths:
        found = next((entry for entry in reversed(entries) if owns(entry.path, path)), None)
        groups.setdefault(found, []).append(path)
    return groups


def _valid(change: PolicyChange, groups: dict[CodeOwners | None, list[str]]) -> list[str]:
    """The approvals that count: where every file has owners, only theirs, and never one by an author."""
    owners = [entry.owners if entry else () for entry in groups]
    closed = bool(owners) and all(owners)
    return [
        name
        for name in change.approvals
        if not _may_be_one_of(name, change.authors) and (not closed or any(_is_one_of(name, each) for each in owners))
    ]


def _people(names: Sequence[str]) -> list[str]:
    """Each person once, by the first name that they are given."""
    known: list[str] = []
    for name in names:
        if not _may_be_one_of(name, known):
            known.append(name)
    return known


def _who(groups: dict[CodeOwners | None, list[str]]) -> str:
    owners = [entry.owners if entry else () for entry in groups]
    named = list(dict.fromkeys(name for each in owners for name in each))
    return f"one of {_listed(named)}" if owners and all(owners) else "anybody"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _is_one_of(name: str, people: Sequence[str]) -> bool:
    return any(_words(name) & _words(each) for each in people)


def _may_be_one_of(name: str, people: Sequence[str]) -> bool:
    """Also by the first part of a mail: `mia` and `mia@example.com` are not known to be two people."""
    return any(_account(_words(name)) & _account(_words(each)) for each in people)


def _account(words: set[str]) -> set[str]:
    return words | {found["account"] for word in words if (found := _MAIL.fullmatch(word))}


def _words(person: str) -> set[str]:
    """What a person may be called: `Mia M <mia@example.com>` by all of it, by name and by mail; `@mia` as `mia`."""
    whole = " ".join(unicodedata.normalize("NFKC", person).split()).casefold().removeprefix("@")
    name, opened, mail = whole.removesuffix(">").rpartition("<")
    told = opened and whole.endswith(">") and ">" not in mail
    return {whole, *((name.rstrip(), mail) if told else ())} - {""}


# ------------------------------------------------------------------ freezes and signatures


def frozen(policy: Policy, now: str) -> Freeze | None:
    """The freeze that holds at a moment (RFC 3339, with its zone): from its beginning on, no longer at its end."""
    moment = datetime.fromisoformat(now)
    return next((each for each in policy.freeze if each.start <= moment < each.end), None)


def freeze_problem(freeze: Freeze, command: str) -> Problem:
    """The refusal; `command` is what to type to release all the same, without the reason."""
    return Problem(
        code=FROZEN,
        message=f"nothing is released until {freeze.end.isoformat(timespec='minutes')}: {freeze.reason}"
        f" (policy.freeze, {freeze.place})",
        where=str(freeze.place),
        remedy=f'wait; or, with a reason that the record keeps: {command} --break-freeze "..."',
        exit_code=Exit.REFUSED,
    )


def unsigned_problem(policy: Policy, says: str, remedy: str) -> Problem:
    """A tag that policy wants signed and that is not, or not by somebody known."""
    place = policy.place_of("signed-tags")
    return Problem(
        code="tag-not-signed",
        message=f"{says} (policy.signed-tags, {place})",
        where=str(place),
        remedy=remedy,
        exit_code=Exit.REFUSED,
    )
