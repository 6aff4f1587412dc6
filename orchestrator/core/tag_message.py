"""The text of a release's tag: written and read here, so that both agree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import PickState, Resolution
from orchestrator.core.plan import Landing, LandingForm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from orchestrator.core.pick import Pick, Skipped
    from orchestrator.core.plan import Plan

TaggedPick = tuple[str, str, str]  # state, source, the commit that carries it

SKIPPED = "skipped"  # the state of what a person left out
_BROKEN = "Freeze broken: "
# What a pick is besides the change of its source, a line for each: word, and the texts that a pick has for it.
_TERMS: Final[Mapping[str, Callable[[Pick], Iterable[str]]]] = {
    "Without": lambda pick: pick.exclude,
    "Strategy-Option": lambda pick: pick.strategy_options,
    "Resolved-As": lambda pick: (f"{pick.resolution.commit} {pick.resolution.version}",) if pick.resolution else (),
    "Submodule": lambda pick: (f"{each.path} {each.commit}" for each in pick.forwarded),
}
_LATER = "Images: built from this tag"
_READ_BACK = ("Pick", "Left-Out", *_TERMS, "Promoted-From", "Landed", "Signed-From")
_OURS = (_LATER, *(f"{word}: " for word in _READ_BACK), _BROKEN)
_ROW = re.compile(
    r"^(?P<kind>Pick|Left-Out): (?P<state>[a-z]+) (?P<source>[0-9a-f]{40})"
    r"(?: (?P<commit>[0-9a-f]{40}))?(?: -- (?P<reason>.*))?"
    rf"(?P<terms>(?:\n(?:{'|'.join(_TERMS)}): .*)*)$",
    re.MULTILINE,
)
_STATES = {"Pick": ("clean", "adapted", "duplicate"), "Left-Out": ("duplicate", "empty", SKIPPED)}
_LANDED = re.compile(r"^Landed: (?P<form>rebase|squash) (?P<planned>[0-9a-f]{40})$", re.MULTILINE)
_PROMOTED = re.compile(r"^Promoted-From: (?P<version>\S+) (?P<tag>[0-9a-f]{40})$", re.MULTILINE)

_SIGNED = re.compile(r"^Signed-From: (?P<commit>[0-9a-f]{40})$", re.MULTILINE)
_ONTO = re.compile(r"^Picked onto (?P<branch>\S+?)(?: since (?P<previous>\S+))?:$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class TagRow:
    """What a tag says became of one declared commit.

    `shipped`: the version brings it, as `commit`, which was made for it (clean, adapted) or was on the branch already
    (duplicate).  Else it is left out: a duplicate of an older `commit`, an empty one, or skipped for a `reason`.
    """

    shipped: bool
    state: str
    source: str
    commit: str = ""
    reason: str = ""
    subject: str = ""  # as the line above tells it, with the approvals
    terms: tuple[str, ...] = ()  # the lines below it: what it is besides the change of its source

    @property
    def said(self) -> str:
        """In words: the row, but for what kind of row it is."""
        more = f" as {self.commit[:12]}" if self.commit else f" ({self.reason})" if self.reason else ""
        return f"{self.source[:12]} {self.subject!r} {self.state}{more}" + "".join(f", {term}" for term in self.terms)

    @property
    def made(self) -> bool:
        """Whether the release made a commit of it."""
        return self.shipped and self.state != PickState.DUPLICATE


class ToldRelease(Protocol):
    """What a plan and a record tell in the same words."""

    @property
    def summary(self) -> str: ...
    @property
    def branch(self) -> str: ...
    @property
    def picks(self) -> tuple[Pick, ...]: ...
    @property
    def skipped(self) -> tuple[Skipped, ...]: ...
    @property
    def freeze_broken(self) -> str: ...
    @property
    def signed_from(self) -> str: ...


def shipped(picks: Sequence[Pick]) -> list[Pick]:
    """The picks that a version brings: what was made for it, and what came to the branch since the version before."""
    made = (PickState.CLEAN, PickState.ADAPTED)
    return [pick for pick in picks if pick.state in made or pick.since_previous]


def tag_message(plan: Plan) -> str:
    """The annotated tag's message: a line for people and one for machines a pick (see `tagged_account`).

    The tag of a promotion also names the candidate (see `promotion`).
    """
    origin = plan.promoted_from
    return written_message(
        plan,
        version=plan.version,
        previous=plan.previous,
        promoted_from=(origin.version, origin.tag_object) if origin else None,
        landed=plan.landed,
        built_later=bool(plan.built_by),
    )


def written_message(
    told: ToldRelease,
    *,
    version: str,
    previous: str,
    promoted_from: tuple[str, str] | None,
    landed: Landing | None,
    built_later: bool,
) -> str:
    """The message of the tag of a release that a plan or a record tells of, with what they tell in different words."""
    since = f" since {previous}" if previous else ""
    lines = [f"{version}: {told.summary}" if told.summary else version, ""]
    if promoted_from:
        lines += [f"The commit and the images of {promoted_from[0]}, which were tested under that name."]
        lines += [f"Promoted-From: {' '.join(promoted_from)}", ""]
    if landed and landed.commit != landed.planned:
        lines += [f"Landed: {landed.form} {landed.planned}", ""]
    lines += [f"Signed-From: {told.signed_from}", ""] if told.signed_from and not promoted_from else []
    lines += [f"{_BROKEN}{told.freeze_broken}", ""] if told.freeze_broken else []
    lines += [_LATER, ""] if built_later else []
    lines += [f"Picked onto {told.branch}{since}:", "", *_account(told.picks, told.skipped)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _account(picks: Sequence[Pick], skipped: Sequence[Skipped]) -> Iterator[str]:
    """The lines that `tagged_account` reads."""
    for pick in shipped(picks):
        yield from (_subject(pick.subject, pick.approved_by), f"Pick: {pick.state} {pick.source} {pick.carrier}")
        yield from (*terms(pick), "")
    left = list(_left_out(picks, skipped))
    yield from ["Left out:", "", *left] if left else []


def terms(pick: Pick) -> tuple[str, ...]:
    """The lines of a tag that say what a pick is besides the change of its source; none of what was there already."""
    if pick.state is PickState.DUPLICATE:
        return ()
    return tuple(f"{word}: {' '.join(text.split())}" for word, texts in _TERMS.items() for text in texts(pick))


def told_terms(message: str) -> dict[str, tuple[str, ...]]:
    """Source -> the terms that a tag says of it."""
    return {row.source: row.terms for row in tagged_account(message) if row.shipped}


def told_resolution(terms: Sequence[str]) -> Resolution | None:
    """Where a pick with these terms says that its conflict was resolved before."""
    for term in terms:
        found = re.fullmatch(r"Resolved-As: ([0-9a-f]{40}) (\S+)", term)
        if found:
            return Resolution(commit=found[1], version=found[2])
    return None


def terms_fault(told: Mapping[str, tuple[str, ...]], picks: Sequence[Pick]) -> str:
    """Where other terms are told of these picks than they have, as the end of a sentence; "" where none are."""
    for pick in shipped(picks):
        said = told.get(pick.source, ())
        if said != terms(pick):
            words = (", ".join(each) or "nothing more" for each in (said, terms(pick)))
            return "says of {} {}, and it is {}".format(pick.source[:12], *words)
    return ""


def written_account(picks: Sequence[Pick], skipped: Sequence[Skipped]) -> list[TagRow]:
    """The rows of the tag that tells of these."""
    return tagged_account("\n".join(["x", "", *_account(picks, skipped)]))


def _left_out(picks: Sequence[Pick], skipped: Sequence[Skipped]) -> Iterator[str]:
    for pick in picks:
        if pick.state in (PickState.DUPLICATE, PickState.EMPTY) and not pick.since_previous:
            twin = f" {pick.duplicate_of}" if pick.duplicate_of else ""
            yield from (_subject(pick.subject), f"Left-Out: {pick.state} {pick.source}{twin}", "")
    for each in skipped:
        reason = " ".join(each.reason.split())
        yield from (_subject(each.subject), f"Left-Out: {SKIPPED} {each.source} -- {reason}", "")


def _subject(subject: str, approved_by: Sequence[str] = ()) -> str:
    """The line of a commit for people, never one that is read back."""
    approved = f" (approved by {', '.join(approved_by)})" if approved_by else ""
    return f"{'- ' if subject.startswith(_OURS) else ''}{subject}{approved}"


def tagged_reason(message: str) -> str:
    """The reason for which a freeze was broken, by a tag's message; "" when none was."""
    return next((line.removeprefix(_BROKEN) for line in message.splitlines() if line.startswith(_BROKEN)), "")


def built_later(message: str) -> bool:
    """Whether a tag says that the images of its version are built from it: until they are, there is no record."""
    return _LATER in message.splitlines()


def onto(message: str) -> tuple[str, str] | None:
    """(branch, the version before or "") by a tag message; None where it does not tell."""
    found = _ONTO.search(message)
    return (found["branch"], found["previous"] or "") if found else None


def promotion(message: str) -> tuple[str, str] | None:
    """(version, tag object) of the candidate that a tag message names, None for any other tag."""
    found = _PROMOTED.search(message)
    return (found["version"], found["tag"]) if found else None


def landed_as(message: str, commit: str = "") -> Landing | None:
    """How a release got another commit than was proposed, by the message of its tag (on `commit`); None where not."""
    found = _LANDED.search(message)
    return Landing(form=LandingForm(found["form"]), planned=found["planned"], commit=commit) if found else None


def signed_from(message: str) -> str:
    """What the release commit was before it was signed, by the message of a tag; "" for one that says nothing of it."""
    found = _SIGNED.search(message)
    return found["commit"] if found else ""


def renamed(message: str, ids: Mapping[str, str]) -> str:
    """A tag's message with other commits in its rows; `ids` are the old and the new ones."""

    def row(found: re.Match[str]) -> str:
        commit = found["commit"] or ""
        return found[0].replace(f" {commit}", f" {ids[commit]}") if commit in ids else found[0]

    return _ROW.sub(row, message)


def tagged_account(message: str) -> list[TagRow]:
    """What a tag message says of each declared commit, in order."""
    if not any(f"{kind}: " in message for kind in _STATES):  # most tags of a long history; the pattern tries each line
        return []
    return [
        TagRow(
            shipped=row["kind"] == "Pick",
            state=row["state"],
            source=row["source"],
            commit=row["commit"] or "",
            reason=row["reason"] or "",
            terms=tuple(filter(None, row["terms"].split("\n"))),
            subject=message[: row.start()].removesuffix("\n").rpartition("\n")[2],  # which may be empty
        )
        for row in _ROW.finditer(message)
        if row["state"] in _STATES[row["kind"]] and (row["commit"] or row["kind"] == "Left-Out")
    ]


def told_twice(message: str) -> str:
    """A source of which a tag says two things, "" where there is none; candidates may, and so a promoted version."""
    sources = [row.source for row in tagged_account(message)]
    return "" if promotion(message) else next((each for each in sources if sources.count(each) > 1), "")


def tagged_picks(message: str) -> list[TaggedPick]:
    """(state, source, commit) of each pick that the version of a tag brings."""
    return [(each.state, each.source, each.commit) for each in tagged_account(message) if each.shipped]
