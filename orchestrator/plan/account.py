"""What a release says of itself: its tag, release.yaml in its tree, and its record where there is one.

Whoever makes a release again reads this one account: `publish`, the server's hook, `audit`, `verify`, and the notes of
a version without a record.  What people decided (resolutions, what was left out) stands in it; what can be proved is
proved by its readers.
"""

from __future__ import annotations

from dataclasses import field, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import breaks, conventional, origins
from orchestrator.core.dataclass import dataclass
from orchestrator.core.pick import Pick, PickState, Skipped
from orchestrator.core.plan import Decisions, LandingForm
from orchestrator.core.tag_message import (
    SKIPPED,
    landed_as,
    onto,
    promotion,
    signed_from,
    tagged_account,
    told_resolution,
    told_terms,
)
from orchestrator.core.versions import final_of, parse_tag
from orchestrator.landing.forms import below
from orchestrator.picks.classify import pick_of
from orchestrator.picks.sources import expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config, Fix, ReleaseEntry
    from orchestrator.core.plan import Landing
    from orchestrator.core.results import Problem
    from orchestrator.core.tag_message import TagRow
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Names, Source

_APPROVED = " (approved by "
_SHORTEST = 7  # digits of an abbreviated id


@dataclass(frozen=True, kw_only=True)
class Account:
    """`picks` are as the plan had them, in the order of the tag; `skipped` what a person left out.

    `sources` are the declared commits that are here; `lacking` says which entries name commits that are not.
    `untold` are sources of which neither tag nor record says what became of them.
    """

    version: str
    config: Config
    entry: ReleaseEntry
    picks: tuple[Pick, ...]
    skipped: tuple[Skipped, ...]
    sources: tuple[Source, ...]
    lacking: tuple[Problem, ...]
    untold: tuple[Source, ...]
    terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # source -> what its tag says besides
    landing: Landing | None = None  # where the forge gave it other commits than were proposed
    previous: str = ""  # the version before, as the tag tells it
    signed_from: str = ""  # what the release commit was before it was signed
    proposed: tuple[str, ...] = ()  # those that were, oldest first; none where they are not here

    @property
    def made(self) -> tuple[Pick, ...]:
        """The picks with the commits that the plan made for them, which may have got other names when they landed."""
        if not self.landing:
            return self.picks
        number = sum(1 for pick in self.picks if pick.result)
        commits = iter(self.proposed or [self.landing.planned] * number)
        return tuple(landed_pick(pick, next(commits)) if pick.result else pick for pick in self.picks)

    @property
    def told(self) -> tuple[Pick, ...] | None:
        """The picks of which release.yaml and the source itself tell; None for a promoted one, which others told."""
        known = {source.commit.sha for source in self.sources}
        mine = self.config.release(self.version) is not None
        return tuple(pick for pick in self.picks if pick.source in known) if mine else None

    @property
    def decisions(self) -> Decisions:
        """What the planner needs to make the very release again."""
        return Decisions(
            resolved={each.source: each.result for each in self.made if each.state is PickState.ADAPTED},
            skipped={each.source: each.reason for each in self.skipped}
            | {each.commit.sha: "not in the tag" for each in self.untold},
            present={each.source: each for each in self.picks if not each.result},
            told={source: told for source, terms in self.terms.items() if (told := told_resolution(terms))},
            made={each.source: each.result for each in self.made if each.result},
        )

    def shipped_as(self, commit: str) -> tuple[Pick, ...]:
        """The picks that a commit carries in this release; several where picks were squashed.

        Of what a forge squashed, the proposed commits are asked for: they are what can be proved.
        """
        squashed = self.landing and self.landing.form is LandingForm.SQUASH and self.proposed
        return tuple(each for each in (self.made if squashed else self.picks) if each.carrier == commit)


def account_of(
    scratch: Scratch,
    names: Names,
    version: str,
    message: str,
    config: Config,
    left_out: Mapping[str, str] | None = None,
) -> Account | None:
    """The account of a version by its tag's message; None where release.yaml at the tag does not declare it.

    `left_out` are those that the record knows to be skipped (source -> reason): tags of older versions of this tool
    do not tell them.
    """
    entry = config.release(version) or _promoted(version, message, config)
    if entry is None:
        return None
    sources, lacking = expand(entry.fixes, config.remote, names, scratch)
    rows = {row.source: row for row in tagged_account(message)}
    known = {source.commit.sha: source for source in sources}
    picks = [
        _pick(scratch, row, known.get(row.source), _fix_of(row.source, entry, lacking))
        for row in rows.values()
        if row.state != SKIPPED
    ]
    skipped = {row.source: row.reason for row in rows.values() if row.state == SKIPPED}
    skipped |= {source: reason for source, reason in (left_out or {}).items() if source not in rows}
    landing = landed_as(message)
    return Account(
        version=version,
        landing=landing,
        previous=(onto(message) or ("", ""))[1],
        signed_from=signed_from(message),
        proposed=tuple(below(scratch, landing.planned, sum(1 for pick in picks if pick.result) + 1) if landing else ()),
        config=config,
        entry=entry,
        terms=told_terms(message),
        picks=tuple(picks),
        skipped=tuple(_skipped(source, reason, rows, known) for source, reason in skipped.items()),
        sources=tuple(sources),
        lacking=tuple(lacking),
        untold=tuple(each for sha, each in known.items() if sha not in rows and sha not in skipped),
    )


def landed_pick(pick: Pick, commit: str) -> Pick:
    """The pick under another commit; a resolution is the pick itself."""
    return replace(pick, result=commit, applied=commit if pick.applied == pick.result else pick.applied)


def _promoted(version: str, message: str, config: Config) -> ReleaseEntry | None:
    """What the candidates of a promoted version declare together, up to the one that its tag names."""
    name = (promotion(message) or ("", ""))[0]
    candidate, last = config.release(name), parse_tag(name)
    if candidate is None or last is None or final_of(name) != version:
        return None
    parsed = [(parse_tag(each.version), each) for each in config.releases if final_of(each.version) == version]
    chain = sorted(((tag.order, each) for tag, each in parsed if tag and tag.order <= last.order), key=itemgetter(0))
    return replace(candidate, version=version, fixes=tuple(fix for _, each in chain for fix in each.fixes))


def _pick(scratch: Scratch, row: TagRow, source: Source | None, fix: Fix | None) -> Pick:
    """A row of the tag as the plan had it."""
    state = PickState(row.state)
    pick = pick_of(source, state) if source else _described(scratch, row, state, fix)
    if row.made:
        applied = source.backport.sha if source and source.backport else row.commit
        applied = applied if state is PickState.ADAPTED else ""
        return replace(pick, result=row.commit, applied=applied, resolution=told_resolution(row.terms))
    return replace(pick, duplicate_of=row.commit, since_previous=row.shipped)


def _described(scratch: Scratch, row: TagRow, state: PickState, fix: Fix | None) -> Pick:
    """The pick of a source that is not here, by what the tag and the pick itself tell of it."""
    approved_by = fix.approved_by if fix else ()
    subject = row.subject.removeprefix("- ") if row.subject.startswith("- ") else row.subject
    if approved_by:
        subject = subject.removesuffix(f"{_APPROVED}{', '.join(approved_by)})")
    made = scratch.commit(row.commit) if row.commit and scratch.is_commit(row.commit) else None
    return Pick(
        source=row.source,
        subject=subject,
        state=state,
        mainline=fix.mainline if fix else 0,
        declared=fix.declared if fix else "",
        reason=fix.reason if fix else "",
        approved_by=approved_by,
        author=made.author_name if made else "",
        type=conventional(subject).type,
        breaking=breaks(made.text) if made and row.source in origins(made.text) else "",
        confirm=fix.confirm if fix else False,
    )


def _fix_of(source: str, entry: ReleaseEntry, lacking: Sequence[Problem]) -> Fix | None:
    """The entry that names a commit by its id; else the only one that cannot be told for what is not here."""
    named = next((fix for fix in entry.fixes if len(fix.commit) >= _SHORTEST and source.startswith(fix.commit)), None)
    places = {problem.where for problem in lacking}
    others = [fix for fix in entry.fixes if str(fix.place) in places]
    return named or (others[0] if len(others) == 1 else None)


def _skipped(source: str, reason: str, rows: Mapping[str, TagRow], known: Mapping[str, Source]) -> Skipped:
    subject = known[source].commit.subject if source in known else rows[source].subject if source in rows else ""
    return Skipped(source=source, subject=subject, reason=reason)


def described(scratch: Scratch, message: str) -> tuple[Pick, ...]:
    """The picks of a tag, where there is no release.yaml that tells more."""
    return tuple(_pick(scratch, row, None, None) for row in tagged_account(message) if row.state != SKIPPED)
