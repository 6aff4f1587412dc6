"""What came to a release branch since its last version, as entries of release.yaml.

Where backports land by requests of their own, the release is on the branch already: `from-branch: true` takes it as it
is, `release declare --from-branch` writes it out.  Each commit is declared by its source, which trailers, equal patches
and numbers of requests name, and the change must bear out; what has none is declared as made on the branch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.config import editor
from orchestrator.config.editor import FixEntry
from orchestrator.core.declaration import ReleaseEntry
from orchestrator.core.errors import Exit
from orchestrator.core.pick import PickState
from orchestrator.core.plan import Judgement
from orchestrator.core.results import Place, Problem
from orchestrator.core.text import words
from orchestrator.core.versions import parse_tag
from orchestrator.git import batch
from orchestrator.git.batch import Trees
from orchestrator.git.objects import EMPTY_TREE
from orchestrator.picks.classify import Judge
from orchestrator.picks.equivalents import TRAILER, twins
from orchestrator.picks.sources import expand
from orchestrator.picks.undeclared import Since, older, standing
from orchestrator.plan.branch_sources import SourceSearch

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from orchestrator.core.declaration import Config, Fix
    from orchestrator.core.pick import Pick
    from orchestrator.git.changes import CommitChange
    from orchestrator.git.objects import Commit
    from orchestrator.git.scratch import Scratch
    from orchestrator.picks.sources import Names
    from orchestrator.plan.branch_sources import Origin
    from orchestrator.session.branch_state import Facts

_MOST = 1000  # commits that one release takes from its branch
_NAMED = 5  # files named in a note
_ALLOW = PickState.DUPLICATE.value


@dataclass(frozen=True, kw_only=True)
class OnBranch:
    """What came to a branch, oldest first: entries to declare, what each is, and what stops it from being declared."""

    entries: tuple[FixEntry, ...] = ()
    origins: tuple[Origin, ...] = ()
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
    return with_entries(replace(config, text=text), entry, found.entries), Judgement(notes=found.notes)


def with_entries(config: Config, entry: ReleaseEntry, entries: Sequence[FixEntry]) -> Config:
    """The configuration with these before the fixes of a release."""
    made = replace(entry, fixes=(*(each.fix(entry.place) for each in entries), *entry.fixes))
    return replace(config, releases=tuple(made if each is entry else each for each in config.releases))


def on_branch(config: Config, version: str, facts: Facts, names: Names, scratch: Scratch) -> OnBranch:
    """What came to the branch since the versions before, and the entry of a version does not declare."""
    entry = config.release(version) or ReleaseEntry(version=version, place=config.place)
    since = Since.read(scratch, facts.base, older(facts))
    if len(since.parents) > _MOST:
        return OnBranch(problems=(_too_many(config, entry, len(since.parents)),))
    declared = _declared(entry.fixes, config.remote, names, scratch, facts.base)
    tips = list(dict.fromkeys(facts.source_tips.values()))
    kept = standing(scratch, since, declared, releases=True)
    if problems := merge_problems(scratch, since, kept, declared, tips, config.branch, entry.place):
        return OnBranch(problems=tuple(problems))
    origins = SourceSearch(scratch=scratch, since=since, tips=tips).find(kept, declared)
    return OnBranch(
        entries=_entries(scratch, facts.base, names, origins),
        origins=tuple(origins),
        notes=tuple(_notes(scratch, config.branch, origins)),
    )


def _declared(fixes: Sequence[Fix], remote: str, names: Names, scratch: Scratch, base: str) -> set[str]:
    """What entries name, and the commits of the branch that carry it."""
    sources, _ = expand(fixes, remote, names, scratch)
    found = twins(scratch, base, {each.commit.sha: each.parent for each in sources})
    stand_ins = {each.backport.sha for each in sources if each.backport}
    return {each.commit.sha for each in sources} | {each.sha for each in found.values()} | stand_ins


# ------------------------------------------------------------------ entries


def _entries(scratch: Scratch, base: str, names: Names, origins: Sequence[Origin]) -> tuple[FixEntry, ...]:
    """An entry for each source, which names the commit of the branch where the source does not lead to it."""
    plain = [_entry(scratch, source) for origin in origins for source in origin.sources]
    carriers = [origin.change.sha for origin in origins for _ in origin.sources]
    place = Place(file="release.yaml")
    sources, _ = expand([each.fix(place) for each in plain], "", names, scratch)
    judge = Judge(scratch, base, sources, {})
    leads = {source.commit.sha: judge.judge(source, base).pick for source in sources}
    return tuple(
        each if _leads_to(leads[each.commit], carrier) else replace(each, backport=carrier)
        for each, carrier in zip(plain, carriers, strict=True)
    )


def _entry(scratch: Scratch, source: str) -> FixEntry:
    commit = scratch.commit(source)
    return FixEntry(
        commit=source, subject=commit.subject, mainline=1 if len(commit.parents) > 1 else 0, allow=(_ALLOW,)
    )


def _leads_to(pick: Pick, carrier: str) -> bool:
    return pick.state is PickState.DUPLICATE and pick.duplicate_of == carrier


# ------------------------------------------------------------------ merges


def merge_problems(
    scratch: Scratch, since: Since, kept: Sequence[CommitChange], declared: Collection[str], tips: Sequence[str],
    branch: str, place: Place,
) -> list[Problem]:  # fmt: skip
    """A problem for each merge that brings a source branch as it is, or holds what none of its sides has.

    `kept` are the commits that count; a merge of others, or one that an entry names, is nobody's concern.
    """
    counting = {change.sha for change in kept}
    brought = {sha: since.brought(sha) for sha in since.merges if sha not in declared}
    merges = [sha for sha, commits in brought.items() if commits & counting]
    theirs = _own_of_sources(scratch, since, tips) & counting if merges else set()
    wholesale = [sha for sha in merges if brought[sha] & theirs]
    rest = [sha for sha in merges if sha not in wholesale]
    return [
        *(_wholesale(scratch, sha, len(brought[sha] & counting), branch, place) for sha in wholesale),
        *(_adds(scratch, sha, place) for sha in _adding(scratch, since, rest)),
    ]


def _own_of_sources(scratch: Scratch, since: Since, tips: Sequence[str]) -> set[str]:
    """The commits that source branches were made of, not those that they merged, back from here say."""
    if not tips:
        return set()
    mine = scratch.rev_list("--first-parent", since.base, "--not", *since.older, "--")
    return set(scratch.rev_list("--first-parent", *tips, "--not", *since.older, "--")).difference(mine)


def _adding(scratch: Scratch, since: Since, merges: Sequence[str]) -> list[str]:
    """Those that are not what git makes of their sides."""
    pairs = [since.parents[sha] for sha in merges]
    outcomes = batch.merges(scratch, [(pair[0], pair[1]) for pair in pairs])
    return [
        sha
        for sha, pair, merge in zip(merges, pairs, outcomes, strict=True)
        if len(pair) > 2 or not merge or merge.conflicts or merge.tree != scratch.tree_of(sha)  # noqa: PLR2004
    ]


def _wholesale(scratch: Scratch, merge: str, number: int, branch: str, place: Place) -> Problem:
    return Problem(
        code="merge-of-a-source",
        message=f"{merge[:12]} {scratch.commit(merge).subject[:60]!r} brings a source branch to {branch} as it is, with"
        f" {number} commits: no picks",
        where=str(place),
        remedy=f"take it back on {branch}: git revert -m 1 {merge[:12]}   | or declare what it brought, each with"
        " `allow: [duplicate]`",
        exit_code=Exit.DECISION,
    )


def _adds(scratch: Scratch, merge: str, place: Place) -> Problem:
    return Problem(
        code="merge-adds",
        message=f"merge {merge[:12]} {scratch.commit(merge).subject[:60]!r} holds what none of its sides has: somebody"
        " resolved a conflict in it, or slipped something in",
        where=str(place),
        remedy="look at it: git show --cc " + merge[:12] + f"   | where it is right, add under `fixes:`"
        f" - {{commit: {merge}, mainline: 1, allow: [duplicate]}}",
        exit_code=Exit.DECISION,
    )


def _too_many(config: Config, entry: ReleaseEntry, number: int) -> Problem:
    return Problem(
        code="too-many-commits",
        message=f"{number} commits came to {config.branch} since the last version, and a release takes at most {_MOST}",
        where=str(entry.place),
        remedy="is the tag of the last version in this clone? git fetch --tags; else declare `fixes:`",
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


# ------------------------------------------------------------------ what is said of it


def _notes(scratch: Scratch, branch: str, origins: Sequence[Origin]) -> list[str]:
    """How many there are, and a line for each whose source a trailer does not tell, or that is no plain pick of it."""
    here = sum(origin.is_made_here for origin in origins)
    told = f", {here} of them made there" if here else ""
    adapted = _adapted(scratch, origins)
    lines = [f"{len(origins)} commits came to {branch} since the last version{told}: release.yaml in the release commit"
             " names them"]  # fmt: skip
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


def _adapted(scratch: Scratch, origins: Sequence[Origin]) -> dict[str, list[str]]:
    """Commit -> the files in which it is not what picking its only source there gives."""
    single = [origin for origin in origins if len(origin.sources) == 1 and not origin.is_made_here]
    trees = []
    for origin in single:
        source, made = scratch.commit(origin.sources[0]), scratch.commit(origin.change.sha)
        base, ours = (scratch.tree_of(sha) if sha else "" for sha in (_first(source), _first(made)))
        trees.append(Trees(base=base, ours=ours or EMPTY_TREE, theirs=source.tree))
    found = {}
    for origin, merge in zip(single, batch.picks(scratch, trees), strict=True):
        made_tree = scratch.tree_of(origin.change.sha)
        if merge and merge.tree and merge.tree != made_tree:
            output = scratch.git.run("diff-tree", "-r", "--name-only", "-z", merge.tree, made_tree)
            found[origin.change.sha] = output.fields()
    return found


def _first(commit: Commit) -> str:
    return next(iter(commit.parents), "")
