"""Audit: every commit, tag, record and image of the release lines, and what became of the fixes since."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from orchestrator import tool_version
from orchestrator.audit.links import (
    TO_COME,
    beside,
    candidates,
    facts_of,
    failures,
    heavy_links,
    image_links,
    keeps_none,
    record_links,
)
from orchestrator.audit.origins.claims import ITSELF
from orchestrator.audit.prove import Proving, prove
from orchestrator.audit.snapshot import bring_sources
from orchestrator.audit.tags import mismatch, of_line, order_problems, other_terms, other_words, tag_problems
from orchestrator.audit.verdicts import Kind, Part
from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import Fix
from orchestrator.core.errors import ReleaseError
from orchestrator.core.record import record_ref
from orchestrator.core.results import CheckState, Place
from orchestrator.core.tag_message import built_later, promotion, tagged_account, tagged_picks, told_twice
from orchestrator.core.text import word
from orchestrator.core.versions import in_use, line_of_branch, parse_tag
from orchestrator.git.batch import outside, straight
from orchestrator.guard.consistency import promotion_fault
from orchestrator.landing.signed import fault_of_tag
from orchestrator.picks import containing_branches
from orchestrator.picks.followups import FIXES, FIXUP, REVERT, followups
from orchestrator.picks.source_status import REVERTED
from orchestrator.picks.sources import Source
from orchestrator.plan.account import account_of
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.audit.prove import Missing
    from orchestrator.audit.snapshot import Range, Snapshot
    from orchestrator.audit.tags import Tag
    from orchestrator.audit.verdicts import CommitVerdict
    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record
    from orchestrator.core.results import CheckResult, Problem
    from orchestrator.guard.policy_source import EffectivePolicy
    from orchestrator.plan.account import Account

_CODES = {
    "record": "record-differs",
    "sources": "sources-differ",
    "yank": "yank-differs",
    "notes": "notes-differ",
    "signature": "signature-differs",
}  # of a failed check
AT_TAG = "config-at-tag"  # release.yaml at a tag cannot be read
_YAML = re.compile(r"\.ya?ml\Z")


@dataclass(frozen=True, kw_only=True)
class BranchAudit:
    """What was found on one branch: a verdict a commit, oldest first; problems; what could not be checked; remarks."""

    branch: str
    base: str
    tip: str
    versions: tuple[str, ...]
    verdicts: tuple[CommitVerdict, ...]
    problems: tuple[Problem, ...]
    unchecked: tuple[str, ...]
    notes: tuple[str, ...]
    sources_unread: bool = False  # what is kept could not be read: a source that is not here is no finding


# ------------------------------------------------------------------ one line


def audit_line(world: Snapshot, wanted: Range, *, require_signed: bool) -> BranchAudit:
    """Everything about the commits from `base` to `tip` of one branch."""
    scratch = world.session.scratch
    line = straight(scratch, wanted.tip, wanted.base)
    if line is None:
        rows = scratch.rev_list("--reverse", "--topo-order", "--parents", wanted.tip, *_without(wanted.base), "--")
        graph = {sha: parents for sha, *parents in (row.split(" ") for row in rows)}
    else:
        graph = {sha: list(scratch.commit(sha).parents) for sha in line}
    inside = [name for name in of_line(wanted.branch, list(world.tags)) if world.tags[name].commit in graph]
    tags = [world.tags[name] for name in inside]
    brought = _brought(graph, tags)
    parts = [part_of(world, tag, brought[tag.name]) for tag in tags]
    rest = set(graph).difference(*brought.values())
    parts.append(_tail(world, wanted, parts, tuple(sha for sha in graph if sha in rest)))
    proving = prove(scratch, parts, base=wanted.base, tips=list(world.tips.values()), names=world.session.repository)
    problems = [*proving.problems, *order_problems(wanted.branch, tags, brought)]
    unchecked: list[str] = []
    for tag, part in zip(tags, parts, strict=False):
        problems += tag_problems(tag, require_signed=require_signed)
        more, open_ = _links(world, tag, part, proving)
        problems += more
        unchecked += open_
    problems += _strangers(world, wanted, set(graph))
    untold = [each for each in proving.missing if each.version not in world.records and not world.asked_for_records]
    problems += [_missing(each) for each in proving.missing if each not in untold]
    unchecked += [f"{each.version}: its tag does not say what became of {each.source[:12]}" for each in untold]
    if unread := world.session.repository.records_unread:
        unchecked += [f"{each.sha[:12]} {each.said}: sources that are kept were not read: {unread}"
                      for each in proving.verdicts if each.kind is Kind.UNKNOWN]  # fmt: skip
    after, said = _aftermath(world, proving, inside, _wanted_all_the_same(world, parts))
    return BranchAudit(
        branch=wanted.branch, base=wanted.base, tip=wanted.tip, versions=tuple(inside), verdicts=proving.verdicts,
        problems=(*problems, *after), unchecked=tuple(unchecked), notes=tuple(said), sources_unread=bool(unread),
    )  # fmt: skip


def _without(base: str) -> list[str]:
    return [f"^{base}"] if base else []


def _brought(graph: Mapping[str, Sequence[str]], tags: Sequence[Tag]) -> dict[str, tuple[str, ...]]:
    """Version -> the commits that it has and no lower one, oldest first."""
    owner: dict[str, str] = {}
    for tag in tags:
        todo = [tag.commit]
        while todo:
            sha = todo.pop()
            if sha in graph and sha not in owner:
                owner[sha] = tag.name
                todo += graph[sha]
    return {tag.name: tuple(sha for sha in graph if owner.get(sha) == tag.name) for tag in tags}


def part_of(world: Snapshot, tag: Tag, commits: tuple[str, ...]) -> Part:
    """What a version brought, with what its tag and record say of it."""
    record = world.records.get(tag.name)
    path, config = _config_of(world, tag, record)
    account = _account(world, tag, config, record) if config and tagged_account(tag.message) else None
    tool = record.tool.version if record else tool_version()
    return Part(
        version=tag.name, commits=commits, config=config, config_path=path, account=account,
        head=tag.commit, other_tool=tool != tool_version(),
    )  # fmt: skip


def _account(world: Snapshot, tag: Tag, config: Config, record: Record | None) -> Account | None:
    """What a tag says of its release; a backport, or where a range begins, may only be among the sources kept."""
    scratch, names, left_out = world.session.scratch, world.session.repository, _left_out(record)
    found = account_of(scratch, names, tag.name, tag.message, config, left_out)
    if found and found.lacking and bring_sources(world, [tag.name]):
        return account_of(scratch, names, tag.name, tag.message, config, left_out)
    return found


def _left_out(record: Record | None) -> dict[str, str]:
    """Source -> why the release brings no commit of it, by its record."""
    if record is None:
        return {}
    skipped = {each.source: each.reason for each in record.skipped}
    return skipped | {pick.source: str(pick.state) for pick in record.picks if not pick.result}


def _config_of(world: Snapshot, tag: Tag, record: Record | None) -> tuple[str, Config | None]:
    """The path of release.yaml in the tag's tree, and what it says; None: nobody knows what was declared.

    Each line may have a file of its own.  It is the one that declares the version: the one that was asked for, the one
    that the record names, or another that the release commit itself brings.
    """
    scratch, own = world.session.scratch, world.session.config_path()
    files = CommittedFiles(scratch, scratch.tree_of(tag.commit))
    name = (promotion(tag.message) or (tag.name, ""))[0]
    found, problem = None, None
    try:
        found = files.config(own, tag.name)
    except ReleaseError as error:
        problem = mismatch(AT_TAG, f"{error.where}: {error.message}", error.remedy)
    if found is None or found.release(name) is None:
        brought = scratch.git.run("diff-tree", "-r", "--root", "--name-only", "-z", tag.commit).fields()[1:]
        others = [record.config.path if record else "", *(each for each in brought if _YAML.search(each))]
        for path in dict.fromkeys(each for each in others if each not in ("", own)):
            with contextlib.suppress(ReleaseError):
                config = files.config(path, tag.name)
                if config and config.release(name):
                    return path, config
    if problem:
        world.problems.append(problem)
    return own, found


def _tail(world: Snapshot, wanted: Range, parts: Sequence[Part], commits: tuple[str, ...]) -> Part:
    """What no version holds: on a branch that this tool keeps, it must be declared for some version to come."""
    path, scratch = world.session.config_path(), world.session.scratch
    kept = any(part.config for part in parts) or bool(wanted.base and scratch.file(scratch.tree_of(wanted.base), path))
    config = _open_config(world, wanted.branch, parts)
    coming = config.taking(wanted.branch, world.tags)[:1] if config else ()
    return Part(version="", commits=commits, config=config if kept or coming else None, for_version="".join(coming))


def _open_config(world: Snapshot, branch: str, parts: Sequence[Part]) -> Config | None:
    """What is declared for a branch and not released yet: by release.yaml here, or by the branch's own on a source."""
    path = next((part.config_path for part in reversed(parts) if part.config), "")
    if path in ("", world.session.config_path()):
        return world.config
    for tip in world.tips.values():
        with contextlib.suppress(ReleaseError):
            found = CommittedFiles(world.session.scratch, world.session.scratch.tree_of(tip)).config(path, branch)
            if found and found.branch == branch:
                return found
    return None


def checks_of(world: Snapshot, tag: Tag, part: Part) -> list[CheckResult]:
    """The links from a version to its record and its images."""
    scratch, record = world.session.scratch, world.records.get(tag.name)
    checks = record_links(record, facts_of(scratch, tag, part, world.record_blobs)) if record else []
    connections = None if world.session.options.offline else world.session.connections.registry
    checks += image_links(tag, record, part.config, connections)
    checks += heavy_links(tag, record, part.config, scratch, connections)
    checks += signatures(world, record, part.config)
    return checks + beside(world, tag, part)


def signatures(world: Snapshot, record: Record | None, config: Config | None) -> list[CheckResult]:
    """What is signed beside the images of a version, asked once; nothing is loaded for one that has no images."""
    if record is None or config is None or not record.images:
        return []
    version = str(record.version)
    if version not in world.signatures:
        from orchestrator.attest.released.signatures import release_signatures

        policy = _policy(world, record, config)
        world.signatures[version] = release_signatures(world.session, policy, record, config)
    return world.signatures[version]


def _policy(world: Snapshot, record: Record, config: Config) -> EffectivePolicy:
    """What stands on the protected branch of a release branch now; looked for once."""
    key = (config.branch, config.source[0])
    if key not in world.policies:
        from orchestrator.guard.policy_source import PolicyResolver

        refs = world.remote_refs.refs if world.remote_refs else None
        heads = {
            name.removeprefix("refs/heads/"): sha for name, sha in refs.items() if name.startswith("refs/heads/")
        } if refs is not None else None  # fmt: skip
        resolver = PolicyResolver(world.session.repository, world.session.scratch, world.remote, heads)
        world.policies[key] = resolver.guard(config, record.config.path, record.base)
    return world.policies[key]


def _links(world: Snapshot, tag: Tag, part: Part, proving: Proving) -> tuple[list[Problem], list[str]]:
    """Record and images of a version, and the picks that its tag lists; what could not be looked at."""
    record, checks = world.records.get(tag.name), checks_of(world, tag, part)
    problems = [mismatch(_CODES.get(check.name.partition(":")[0], "image-differs"),
                         f"{tag.name}: {check.name}: {check.message}", check.remedy)
                for check in failures(checks)]  # fmt: skip
    unchecked = [f"{tag.name}: {each.name}: {each.message}" for each in checks if each.state is CheckState.SKIPPED]
    problems += [mismatch("tag-differs", f"tag {tag.name} {each}", "the tag's message does not belong to its commit")
                 for each in tag_faults(world, tag, part, proving)]  # fmt: skip
    lacks = tagged_picks(tag.message) and record is None and tag.name not in world.refused_records
    if lacks and not keeps_none(world, part):
        if unread := world.session.repository.records_unread:
            unchecked.append(f"{tag.name}: its record was not checked: {unread}")
        elif world.remote_refs is None:
            unchecked.append(f"{tag.name}: no record here, and the remote was not asked")
        elif built_later(tag.message):
            unchecked.append(f"{tag.name}: {TO_COME}")
        else:
            problems.append(mismatch("record-missing", f"{tag.name}: no {record_ref(tag.name)} {world.records_place}",
                                     "the run that made it was broken off, or it was deleted"))  # fmt: skip
    return problems, unchecked


def tag_faults(world: Snapshot, tag: Tag, part: Part, proving: Proving) -> list[str]:
    """In what a tag's message differs from the history below it, as ends of sentences.

    A promoted one lists what its candidates list, so it is held against them.
    """
    if promotion(tag.message):
        fault = promotion_fault(tag.name, tag.commit, tag.message, candidates(world, tag.name))
        return [fault] if fault else []
    if twice := told_twice(tag.message):
        return [f"says two things of {twice[:12]}"]
    listed = {(source, commit) for _, source, commit in tagged_picks(tag.message)}
    of = {commit for _, commit in listed}
    made = {(source, each.sha) for each in proving.verdicts if each.sha in of
            for source in (*each.sources, *each.missing, each.sha)}  # fmt: skip
    if fault := fault_of_tag(world.session.scratch, tag.message, tag.commit):
        return [fault]
    lost = [
        f"lists {source[:12]} as {commit[:12]}, which its history has not" for source, commit in sorted(listed - made)
    ]
    scratch = world.session.scratch
    return lost or other_words(scratch, part) or other_terms(scratch, part, proving.verdicts, world.tags)


def _strangers(world: Snapshot, wanted: Range, inside: set[str]) -> list[Problem]:
    """Version tags that are not where tags of this line must be: on its branch, in the order of the versions."""
    names = of_line(wanted.branch, list(world.tags)) if line_of_branch(wanted.branch) else []
    here = [name for name in names if world.tags[name].commit in inside]
    away = [name for name in names if name not in here]
    commits = {world.tags[name].commit for name in away}
    elsewhere = outside(world.session.scratch, commits, [wanted.tip])
    away = [name for name in away if wanted.whole or world.tags[name].commit not in elsewhere]
    found = []
    for name in away:
        if world.tags[name].commit in elsewhere:
            found.append(
                mismatch(
                    "tag-not-on-branch",
                    f"tag {name} is not on {wanted.branch}",
                    "another commit was tagged, or the branch was written anew since",
                )
            )
        elif here and names.index(name) > names.index(here[0]):
            found.append(
                mismatch("tag-order", f"tag {name} is on an older commit of {wanted.branch} than {here[0]}",
                         f"versions rise along a branch: see when each was made: git show {word(here[0])} {word(name)}")
            )  # fmt: skip
    return found + [
        mismatch("tag-not-semver", f"tag {name} on {wanted.branch} is no version", f"name versions {in_use().example}")
        for name, tag in sorted(world.tags.items())
        if parse_tag(name) is None and tag.commit in inside
    ]


def _missing(each: Missing) -> Problem:
    return mismatch(
        "dropped",
        f"{each.version} declares {each.source[:12]} {each.subject!r}, and no commit of it carries that",
        f"see the record: release show {each.version}; a fix left out by hand is in it as skipped",
        str(each.fix.place),
    )


def _wanted_all_the_same(world: Snapshot, parts: Sequence[Part]) -> set[tuple[str, str]]:
    """(source, its revert) that a release was told of, and brought in spite of it: `allow: [reverted]`."""
    found = set()
    for part in parts:
        record, entry = world.records.get(part.version), part.config.release(part.version) if part.config else None
        allowed = {fix.declared for fix in (entry.fixes if entry else ()) if REVERTED in fix.allow}
        for pick in record.picks if record else ():
            if pick.declared in allowed:
                found |= {(pick.source, each.sha) for each in pick.followups if each.kind == REVERT}
    return found


def _aftermath(
    world: Snapshot, proving: Proving, versions: Sequence[str], wanted: Collection[tuple[str, str]]
) -> tuple[list[Problem], list[str]]:
    """Fixes in released versions that the source has taken back since, or fixed again; what was `wanted` is said."""
    since = {source: each.version for each in proving.verdicts
             if each.version and each.kind in (Kind.PROVED, Kind.ADAPTED, Kind.UNDECLARED) and _is_pick(each)
             for source in each.sources if source not in each.missing}  # fmt: skip
    carried = {source for each in proving.verdicts for source in each.sources}
    scratch = world.session.scratch
    fix = Fix(place=Place(file="audit"))
    sources = [
        Source(fix=fix, commit=(commit := scratch.commit(sha)), parent=next(iter(commit.parents), "")) for sha in since
    ]
    where = containing_branches.find(
        world.session.repository, scratch, list(since), list(world.tips.values()), world.remote
    )
    problems, said = [], []
    last = versions[-1] if versions else ""
    for sha, later in followups(scratch, sources, world.tips, where).items():
        for each in later:
            if not each.stands or each.sha in carried or each.kind not in (REVERT, FIXES, FIXUP):
                continue
            if each.kind == REVERT and (sha, each.sha) in wanted:
                told = f"{since[sha]} brings {sha[:12]}, which {each.sha[:12]} had taken back"
                said.append(f"{told}: by `allow: [reverted]`")
            elif each.kind == REVERT and each.of == sha:
                problems.append(
                    mismatch("reverted-upstream", f"{last} carries {sha[:12]} {scratch.commit(sha).subject!r} (since"
                             f" {since[sha]}), which was taken back by {each.sha[:12]} {each.subject!r}",
                             f"declare the revert for the next version: - commit: {each.sha[:12]}")
                )  # fmt: skip
            elif each.kind != REVERT:
                said.append(f"{each.sha[:12]} {each.subject!r} fixes {each.of[:12]} of {since[sha]}, and is not here")
    return problems, said


def _is_pick(verdict: CommitVerdict) -> bool:
    """Whether its sources are what it brings: of a revert they are what it takes away."""
    return verdict.proof is not Kind.REVERT and verdict.signal != ITSELF
