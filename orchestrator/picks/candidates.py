"""What should perhaps be picked: commits of the sources that the branch lacks, each judged alone on its tip."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestrator.attest.scan.corrections import Corrections
from orchestrator.config import editor
from orchestrator.config.editor import FixEntry
from orchestrator.core.commit_message import conventional
from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import Fix
from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.core.pick import PickState
from orchestrator.core.results import Place
from orchestrator.core.versions import not_a_version, parse_tag
from orchestrator.git import changes
from orchestrator.git.process import failure
from orchestrator.image.context import sent
from orchestrator.picks import containing_branches
from orchestrator.picks.classify import Judge
from orchestrator.picks.followups import followups
from orchestrator.picks.prerequisites import Finder, Needs
from orchestrator.picks.requests import with_frozen
from orchestrator.picks.source_status import taken_back
from orchestrator.picks.sources import Source, expand
from orchestrator.session.branch_state import commit_named, gather
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from orchestrator.attest.scan.corrections import Correction
    from orchestrator.core.declaration import Config
    from orchestrator.core.pick import Conflict, FollowUp, Pick
    from orchestrator.core.results import Problem
    from orchestrator.git.scratch import Scratch
    from orchestrator.session.branch_state import Facts
    from orchestrator.session.session import Session

_FORMAT = "%H%x00%P%x00%an <%ae>%x00%aI%x00%B%x00%(trailers:only,unfold,separator=%x02)%x00"


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What to look at.  Everything given must hold; of `types`, `paths` and `trailers` one of them."""

    shas: tuple[str, ...] = ()  # these and no others
    types: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # pathspecs
    author: str = ""
    grep: str = ""
    trailers: tuple[str, ...] = ()  # KEY or KEY=GLOB
    shipped: bool = False
    since: str = ""
    advisories: tuple[Path, ...] = ()  # files with what databases say of vulnerabilities
    closing: bool = False  # only what corrects one of those
    limit: int = 50
    effort: float = 5.0  # seconds to look for what the conflicting ones need, all together


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A commit and what would become of it on the branch's tip."""

    sha: str
    subject: str
    author: str
    date: str
    type: str
    forecast: PickState
    conflicts: tuple[Conflict, ...] = ()
    needs: tuple[str, ...] = ()
    followups: tuple[FollowUp, ...] = ()
    is_reverted: bool = False  # on the source, and that stands
    declared_in: tuple[str, ...] = ()
    closes: tuple[Correction, ...] = ()  # vulnerabilities, as far as advisories were given


@dataclass(frozen=True, kw_only=True)
class Found:
    """Candidates, newest last.  `already` were left out as duplicates, `more` are older and were not judged."""

    branch: str
    base: str
    candidates: tuple[Candidate, ...]
    already: int
    more: int
    unsearched: int  # conflicting ones for which the time was too short to tell what they need
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    config: Config
    released: tuple[str, ...]  # all tags
    reachable: tuple[str, ...]  # those in the branch's history


@dataclass(frozen=True, kw_only=True)
class _Row:
    sha: str
    parent: str
    author: str
    date: str
    message: str
    trailers: tuple[tuple[str, str], ...]

    @property
    def subject(self) -> str:
        return " ".join(self.message.lstrip("\n").split("\n\n", 1)[0].split())


def find(session: Session, filters: Filters) -> Found:
    """Look, and change nothing.  Raises UsageError for a filter that cannot be used."""
    config = session.config(unfinished=True)
    offline = session.options.offline
    have_history(session.repository, config.remote, offline=offline)
    scratch = session.scratch
    facts = gather(session.repository, scratch, config, offline=offline, now=session.now())
    have_contents(session.repository, scratch, (facts.base, *facts.source_tips.values()), offline=offline)
    known = _corrections(filters.advisories)
    rows = _named(session, config, filters.shas) if filters.shas else _matching(session, config, facts, filters)
    if filters.closing:
        rows = [row for row in rows if known.of(row.sha, row.message)]
    declared = _declared(session, config, facts)
    limit = len(rows) if filters.shas else filters.limit
    picks, already, seen = _judged(scratch, config, facts.base, rows, limit, keep=bool(filters.shas))
    needs = _needs(session, facts.base, picks, filters.effort, config.changelog)
    candidates = [
        replace(each, closes=known.of(row.sha, row.message))
        for each, (row, *_) in zip(_told(session, config, facts, picks, declared, needs), picks, strict=True)
    ]
    return Found(
        branch=config.branch,
        base=facts.base,
        candidates=tuple(reversed(candidates)),
        already=already,
        more=len(rows) - seen,
        unsearched=sum(not each.complete for each in needs.values()),
        problems=facts.problems,
        notes=facts.notes,
        config=config,
        released=tuple(facts.tags),
        reachable=tuple(facts.reachable),
    )


def _corrections(paths: Sequence[Path]) -> Corrections:
    """What advisories in these files say of commits; their readers are loaded where there are some."""
    if not paths:
        return Corrections(())
    from orchestrator.attest.scan.snapshot import every

    return Corrections(every(paths))


# ------------------------------------------------------------------ which commits


def _named(session: Session, config: Config, revisions: Sequence[str]) -> list[_Row]:
    """The commits that a person named, newest first."""
    ids = {}
    for revision in revisions:
        sha = commit_named(session.repository, config.remote, revision)
        if len(session.scratch.commit(sha).parents) > 1:
            raise UsageError(
                f"{sha[:12]} is a merge",
                remedy="name the commits of the merged branch, or declare it by hand with `mainline: 1`",
                code="candidate-is-merge",
            )
        ids[sha] = revision
    return _log(session.scratch, "--no-walk=sorted", *ids, "--")


def _matching(session: Session, config: Config, facts: Facts, filters: Filters) -> list[_Row]:
    """The commits of the sources that are not in the branch's history and pass the filters, newest first."""
    if not facts.source_tips:
        return []
    limits = [facts.base, *([commit_named(session.repository, config.remote, filters.since)] if filters.since else [])]
    tips = dict.fromkeys(facts.source_tips.values())
    rows = _log(
        session.scratch, "--date-order", "--no-merges", "--full-history", *tips, "--not", *limits, "--", *filters.paths
    )
    for test in _tests(filters):
        rows = [row for row in rows if test(row)]
    if filters.shipped:
        rows = _shipped(session.scratch, config, facts.base, rows)
    return rows


def _log(scratch: Scratch, *args: str) -> list[_Row]:
    command = ("log", "--encoding=UTF-8", f"--format={_FORMAT}", *args)
    output = scratch.git.attempt(*command)
    if output.status:
        error = failure(command, output)
        raise UsageError(
            f"git cannot use these filters: {error.message.partition(': ')[2]}",
            remedy="--path takes what `git log -- PATH` takes",
            code="bad-filter",
        )
    fields = [field.decode("utf-8", "replace") for field in output.stdout.split(b"\0")[:-1]]
    rows = []
    for sha, parents, author, date, message, trailers in zip(*(iter(fields),) * 6, strict=True):
        pairs = (line.partition(":") for line in trailers.split("\x02") if line)
        rows.append(
            _Row(
                sha=sha.strip(),
                parent=parents.partition(" ")[0],
                author=author,
                date=date,
                message=message,
                trailers=tuple((key.strip().lower(), value.strip()) for key, _, value in pairs),
            )
        )
    return rows


def _tests(filters: Filters) -> list[Callable[[_Row], bool]]:
    """The filters that look at one commit."""
    tests: list[Callable[[_Row], bool]] = []
    if filters.types:
        types = {name.strip().lower() for each in filters.types for name in each.split(",")}
        tests.append(lambda row: conventional(row.subject).type in types)
    if filters.author:
        author = _pattern("--author", filters.author)
        tests.append(lambda row: bool(author.search(row.author)))
    if filters.grep:
        words = _pattern("--grep", filters.grep)
        tests.append(lambda row: bool(words.search(row.message)))
    if filters.trailers:
        wanted = [(key.strip().lower(), glob.strip() or "*") for key, _, glob in map(_halves, filters.trailers)]
        tests.append(
            lambda row: any(
                key == name and fnmatchcase(value, glob) for key, value in row.trailers for name, glob in wanted
            )
        )
    return tests


def _halves(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _pattern(option: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{option} {text!r} is no regular expression: {error}",
            remedy="put a backslash before what is meant literally",
            code="bad-filter",
        ) from error


def _shipped(scratch: Scratch, config: Config, base: str, rows: Sequence[_Row]) -> list[_Row]:
    """Those that change a file which the image's build would get."""
    image = config.image
    if image is None:
        raise UsageError(
            "--shipped needs an image: release.yaml has no `image:` section",
            where=str(config.place),
            remedy="filter by --path, or declare the image",
            code="no-image",
        )
    is_sent = sent(lambda path: scratch.file(scratch.tree_of(base), path), image.context, image.dockerfile)
    touching = {
        change.sha
        for change in changes.of(scratch, {row.sha: row.parent for row in rows})
        if any(is_sent(path.decode("utf-8", "surrogateescape")) for path in change.paths)
    }
    return [row for row in rows if row.sha in touching]


def _declared(session: Session, config: Config, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Commit -> the versions that declare it.  Entries that cannot be resolved are for `plan` to tell."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in config.releases:
        fixes = with_frozen(session.scratch, entry.fixes, list(facts.source_tips.values()))
        for source in expand(fixes, config.remote, session.repository, session.scratch)[0]:
            found[source.commit.sha] = (*found.get(source.commit.sha, ()), entry.version)
    return found


# ------------------------------------------------------------------ forecasts


def _judged(
    scratch: Scratch, config: Config, base: str, rows: Sequence[_Row], limit: int, *, keep: bool
) -> tuple[list[tuple[_Row, Source, Pick]], int, int]:
    """(picks, how many were left out as duplicates, how many were looked at), newest first, until there are `limit`.

    With `keep` nothing is left out.
    """
    place = Place(file=config.place.file)
    found: list[tuple[_Row, Source, Pick]] = []
    already = seen = 0
    while len(found) < limit and seen < len(rows):
        part = rows[seen : seen + limit - len(found)]
        seen += len(part)
        sources = [
            Source(fix=Fix(place=place, commit=row.sha), commit=scratch.commit(row.sha), parent=row.parent)
            for row in part
        ]
        judge = Judge(scratch, base, sources, {})
        for row, source in zip(part, sources, strict=True):
            pick = judge.judge(source, base).pick
            if pick.state is PickState.DUPLICATE and not keep:
                already += 1
            else:
                found.append((row, source, pick))
    return found, already, seen


def _needs(
    session: Session, base: str, picks: Sequence[tuple[_Row, Source, Pick]], effort: float, changelog: str
) -> dict[str, Needs]:
    """What the conflicting ones need first.  Each gets its share of the time that those before it have left."""
    found: dict[str, Needs] = {}
    conflicting = [(source, pick) for _, source, pick in picks if pick.conflicts]
    end = session.monotonic() + effort
    for number, (source, pick) in enumerate(conflicting if effort else ()):
        share = max(end - session.monotonic(), 0.0) / (len(conflicting) - number)
        finder = Finder(session.scratch, base, effort=share, for_patch=True, changelog=changelog)
        found[pick.source] = finder.find(source, base, [each.path for each in pick.conflicts])
    return found


def _told(
    session: Session,
    config: Config,
    facts: Facts,
    picks: Sequence[tuple[_Row, Source, Pick]],
    declared: Mapping[str, tuple[str, ...]],
    needs: Mapping[str, Needs],
) -> list[Candidate]:
    """The picks as candidates, with what they need first and what the sources say of them since."""
    tips = facts.source_tips
    where = containing_branches.find(
        session.repository, session.scratch, [row.sha for row, *_ in picks], [*tips.values()], config.remote
    )
    later = followups(session.scratch, [source for _, source, _ in picks], tips, where)
    return [
        Candidate(
            sha=row.sha,
            subject=pick.subject,
            author=pick.author,
            date=row.date,
            type=pick.type,
            forecast=pick.state,
            conflicts=pick.conflicts,
            needs=needs[row.sha].commits if row.sha in needs else (),
            followups=later.get(row.sha, ()),
            is_reverted=taken_back(replace(pick, followups=later.get(row.sha, ()))) is not None,
            declared_in=declared.get(row.sha, ()),
        )
        for row, _, pick in picks
    ]


# ------------------------------------------------------------------ into release.yaml


def entries(candidates: Sequence[Candidate]) -> list[FixEntry]:
    """What to declare for these, what they need before them, each commit once."""
    made: dict[str, FixEntry] = {}
    for candidate in candidates:
        for entry in editor.needed(candidate.needs, candidate.sha):
            made.setdefault(entry.commit, entry)
        made.setdefault(candidate.sha, FixEntry(commit=candidate.sha, subject=candidate.subject))
    return list(made.values())


def chosen(found: Found, version: str, *, named: bool) -> list[Candidate]:
    """The candidates to declare: those named, else those that apply and stand on the source.

    What is declared or there already is left out.
    Raises UsageError for a text that is no version, RefusedError for a version that is released.
    """
    if parse_tag(version) is None:
        raise not_a_version(version)
    if version in found.released:
        raise RefusedError(
            f"{version} is released already",
            remedy="name the next version; `release plan` without one tells which",
            code="tag-exists",
            state="release.yaml is unchanged",
        )
    new = [candidate for candidate in found.candidates if version not in candidate.declared_in]
    if named:
        return [candidate for candidate in new if candidate.forecast is not PickState.DUPLICATE]
    return [
        candidate
        for candidate in new
        if candidate.forecast is PickState.CLEAN and not candidate.declared_in and not candidate.is_reverted
    ]
