"""What came to a release branch since its last version, as entries of release.yaml.

Where backports land by requests of their own, the release is on the branch already: `from-branch: true` takes it as it
is, `release declare --from-branch` writes it out.  Each commit is declared by its source, which trailers, equal patches
and numbers of requests name, and the change must bear out; what has none is declared as made on the branch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.config import editor
from orchestrator.config.editor import FixEntry
from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import ReleaseEntry
from orchestrator.core.errors import Exit
from orchestrator.core.pick import PickState
from orchestrator.core.plan import Judgement
from orchestrator.core.results import Place, Problem
from orchestrator.core.text import words
from orchestrator.core.versions import parse_tag
from orchestrator.picks.classify import Judge
from orchestrator.picks.equivalents import TRAILER, twins
from orchestrator.picks.sources import expand
from orchestrator.picks.undeclared import Since, older
from orchestrator.plan.from_branch.proof import differing, merge_problems
from orchestrator.plan.from_branch.sources import SourceSearch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config, Fix
    from orchestrator.core.pick import Pick
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Names, Source
    from orchestrator.plan.from_branch.sources import FoundOrigin
    from orchestrator.session.branch_state import Facts

_MOST = 1000  # commits that one release takes from its branch
_NAMED = 5  # files named in a note
_ALLOW = PickState.DUPLICATE.value


@dataclass(frozen=True, kw_only=True)
class OnBranch:
    """What came to a branch, oldest first: entries to declare, what each is, and what stops it from being declared."""

    entries: tuple[FixEntry, ...] = ()
    origins: tuple[FoundOrigin, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def freeze(config: Config, version: str, facts: Facts, names: Names, scratch: Scratch) -> tuple[Config, Judgement]:
    """The file with what a version has from its branch, in its values and in its text, before the fixes declared."""
    entry = config.release(version)
    if entry is None or not entry.from_branch:
        return config, Judgement()
    found = on_branch(config, version, facts, names, scratch)
    problems = found.problems
    if not (found.entries or entry.fixes or problems) and version not in facts.tags:
        problems = (_nothing(config, entry, facts),)
    if problems or not found.entries:
        return config, Judgement(problems=problems)
    first = entry.fixes[0].declared if entry.fixes else None
    text = editor.insert(config.text, version, found.entries, first, file=config.place.file)
    fixes = (*(each.fix(entry.place, config.exclude) for each in found.entries), *entry.fixes)
    made = replace(entry, fixes=fixes)
    releases = tuple(made if each is entry else each for each in config.releases)
    notes = (_number(config.branch, found.origins), *found.notes)
    return replace(config, releases=releases, text=text), Judgement(notes=notes)


def on_branch(config: Config, version: str, facts: Facts, names: Names, scratch: Scratch) -> OnBranch:
    """What came to the branch since the versions before, and the entry of a version does not declare."""
    entry = config.release(version) or ReleaseEntry(version=version, place=config.place)
    since = Since.read(scratch, facts.base, older(facts))
    if len(since.parents) > _MOST:
        return OnBranch(problems=(_too_many(config, entry, len(since.parents)),))
    tips = list(dict.fromkeys(facts.source_tips.values()))
    mine = _Declared.of(entry.fixes, config.remote, names, scratch, since)
    declared, faults = mine.names, mine.problems
    faults += merge_problems(scratch, since, declared, tips, config.branch, entry.place)
    if faults:
        return OnBranch(problems=tuple(faults))
    origins = SourceSearch(scratch=scratch, since=since, tips=tips).find(since.standing(declared), declared)
    if faults := [_there(mine.open[sha], each) for each in origins for sha in each.taken if sha in mine.open]:
        return OnBranch(problems=tuple(faults))
    entries, adapted = _entries(scratch, facts.base, names, origins, config.exclude)
    return OnBranch(entries=entries, origins=tuple(origins), notes=tuple(_notes(config.branch, origins, adapted)))


@dataclass(frozen=True, kw_only=True)
class _Declared:
    """What the entries of a version declare: what they name, and the commits of the branch that carry it.

    `open` are the sources that nothing of the branch is known to carry; `problems` those that are no plain picks there.
    """

    names: set[str]
    open: dict[str, Source]
    problems: list[Problem]

    @classmethod
    def of(cls, fixes: Sequence[Fix], remote: str, names: Names, scratch: Scratch, since: Since) -> _Declared:
        sources, _ = expand(fixes, remote, names, scratch)
        bare = {each.commit.sha: each for each in sources if not each.backport}
        found = {sha: twin.sha for sha, twin in twins(
            scratch, since.base, {sha: each.parent for sha, each in bare.items()}).items()}  # fmt: skip
        there = {twin: [bare[sha]] for sha, twin in found.items() if twin in since.parents and twin != sha}
        stand_ins = {each.backport.sha for each in sources if each.backport}
        return cls(
            names={each.commit.sha for each in sources} | set(found.values()) | stand_ins,
            open={sha: each for sha, each in bare.items() if sha not in found},
            problems=[_adapted(there[sha][0], sha, files) for sha, files in differing(scratch, there).items()],
        )


# ------------------------------------------------------------------ entries


def _entries(
    scratch: Scratch, base: str, names: Names, origins: Sequence[FoundOrigin], exclude: tuple[str, ...]
) -> tuple[tuple[FixEntry, ...], dict[str, list[str]]]:
    """An entry for each source, and the commits that are no plain pick of theirs, with the files in which they differ.

    It names the commit of the branch where that is so, and where the source does not lead to it.
    """
    plain = [_entry(scratch, source) for origin in origins for source in origin.sources]
    carriers = [origin.change.sha for origin in origins for _ in origin.sources]
    place = Place(file="release.yaml")
    sources, _ = expand([each.fix(place, exclude) for each in plain], "", names, scratch)
    judge = Judge(scratch, base, sources, {})
    leads = {source.commit.sha: judge.judge(source, base).pick for source in sources}
    carried: dict[str, list[Source]] = {}
    for source, carrier in zip(sources, carriers, strict=True):
        if source.commit.sha != carrier:
            carried.setdefault(carrier, []).append(source)
    adapted = differing(scratch, carried)
    entries = tuple(
        each if carrier not in adapted and _leads_to(leads[each.commit], carrier) else replace(each, backport=carrier)
        for each, carrier in zip(plain, carriers, strict=True)
    )
    return entries, adapted


def _entry(scratch: Scratch, source: str) -> FixEntry:
    commit = scratch.commit(source)
    return FixEntry(
        commit=source, subject=commit.subject, mainline=1 if len(commit.parents) > 1 else 0, allow=(_ALLOW,)
    )


def _leads_to(pick: Pick, carrier: str) -> bool:
    return pick.state is PickState.DUPLICATE and pick.duplicate_of == carrier


# ------------------------------------------------------------------ what is said of it


def _adapted(source: Source, carrier: str, files: Sequence[str]) -> Problem:
    return _on_branch_as(source, carrier, f"adapted: another pick in {words(files[:_NAMED], ', ')}")


def _there(source: Source, origin: FoundOrigin) -> Problem:
    return _on_branch_as(source, origin.change.sha, f"by {origin.by}")


def _on_branch_as(source: Source, carrier: str, how: str) -> Problem:
    return Problem(
        code="adapted-on-branch",
        message=f"{source.commit.sha[:12]} {source.commit.subject!r} is on the branch as {carrier[:12]}, {how}",
        where=str(source.fix.place),
        remedy=f"add `backport: {carrier}` and `allow: [duplicate]` to it, or remove it: `from-branch` brings it",
        exit_code=Exit.DECISION,
    )


def _too_many(config: Config, entry: ReleaseEntry, number: int) -> Problem:
    return Problem(
        code="too-many-commits",
        message=f"{number} commits came to {config.branch} since the last version, and a release takes at most {_MOST}",
        where=str(entry.place),
        remedy="is the tag of the last version on the branch? else declare `fixes:`",
        exit_code=Exit.USAGE,
    )


def _nothing(config: Config, entry: ReleaseEntry, facts: Facts) -> Problem:
    since = max((each for tag in facts.reachable if (each := parse_tag(tag))), key=lambda each: each.order, default="")
    return Problem(
        code="nothing-on-branch",
        message=f"nothing came to {config.branch} since {since or 'it left its source'}: {entry.version} has nothing",
        where=str(entry.place),
        remedy="have a backport merged there first, or declare `fixes:`",
        exit_code=Exit.USAGE,
    )


def _notes(branch: str, origins: Sequence[FoundOrigin], adapted: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each whose source a trailer does not tell, or that is no plain pick of it (`adapted`: its files)."""
    lines = []
    for origin in origins:
        names = " and ".join(sha[:12] for sha in origin.sources)
        said = f"{origin.change.sha[:12]} {origin.subject!r}"
        if origin.is_made_here:
            lines.append(f"{said} has no known source{origin.why}: declared as made on {branch}")
        elif files := adapted.get(origin.change.sha, ()):
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            lines.append(f"{said} is {names}, by {origin.by}, adapted on the branch: another pick in"
                         f" {words(files[:_NAMED], ', ')}{more}")  # fmt: skip
        elif origin.by != TRAILER:
            lines.append(f"{said} is {names}, by {origin.by}")
    return lines


def _number(branch: str, origins: Sequence[FoundOrigin]) -> str:
    here = sum(origin.is_made_here for origin in origins)
    number = f"{len(origins)} commit{'s' if len(origins) != 1 else ''}"
    made = f", {here} of them made there" if here else ""
    return f"{number} came to {branch} since the last version{made}: release.yaml in the release commit names them"
