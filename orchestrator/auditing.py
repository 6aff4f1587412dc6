"""Audit: every commit, tag, record and image of the release lines, and what became of the fixes since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator import __version__, homes
from orchestrator import config as configuration
from orchestrator.changelog import tagged_picks
from orchestrator.errors import ReleaseError, RemoteError, UsageError
from orchestrator.facts import refuse_incomplete, source_tips
from orchestrator.fixes import Source
from orchestrator.followups import FIXES, FIXUP, REVERT, followups
from orchestrator.git import notes
from orchestrator.links import failures, image_links, record_links
from orchestrator.model import CheckState, Config, Fix, Place
from orchestrator.provenance import parse_record, record_ref
from orchestrator.proving import Part, Proving, prove
from orchestrator.tagged import looks_like_a_version, mismatch, of_line, order_problems, read_tags, tag_problems
from orchestrator.verdicts import Kind
from orchestrator.versions import line_of_branch, parse_tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.desk import Desk
    from orchestrator.git.repository import RemoteRefs
    from orchestrator.model import CheckResult, Problem
    from orchestrator.proving import Missing
    from orchestrator.tagged import Tag
    from orchestrator.verdicts import Verdict

_RECORDS = record_ref("")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was found on one branch: a verdict a commit, oldest first; problems; what could not be checked; remarks."""

    branch: str
    base: str
    tip: str
    versions: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    problems: tuple[Problem, ...]
    unchecked: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(kw_only=True)
class World:
    """What is known before a line is looked at: asked once for all of them."""

    desk: Desk
    config: Config | None
    remote: str
    remote_refs: RemoteRefs | None
    tips: dict[str, str]
    tags: dict[str, Tag]
    records: dict[str, dict[str, Any]]
    unchecked: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def look(desk: Desk, sources: Sequence[str] = ()) -> World:
    """Remote, tags, records, source branches.  A clone without release.yaml is audited with what git knows."""
    try:
        config: Config | None = desk.config()
    except ReleaseError:
        if desk.job.config or desk.config_file.exists():
            raise
        config = None
    remote = config.remote if config else "origin"
    refuse_incomplete(desk.repository, remote)
    world = World(desk=desk, config=config, remote=remote, remote_refs=None, tips={}, tags={}, records={})
    world.remote_refs = _ask(world)
    named = tuple(sources) or (config.source if config else ("main",))
    place = Place(file=desk.job.config or desk.config_file.name)
    wanted = Config(place=place, text=b"", branch="", source=named, remote=remote)
    world.tips, problems = source_tips(desk.repository, wanted)
    if problems:
        raise UsageError(problems[0].message, remedy="name the source branches with --source", code=problems[0].code)
    _read(world)
    return world


def _ask(world: World) -> RemoteRefs | None:
    """The remote's refs, with what this clone lacks of its release branches, tags and records brought here."""
    desk, repository = world.desk, world.desk.repository
    if desk.job.offline:
        world.unchecked.append("the remote was not asked (--offline)")
        return None
    if not repository.remote_url(world.remote):
        world.unchecked.append(f"this clone has no remote {world.remote!r}: only what is here was looked at")
        return None
    try:
        refs = repository.ls_remote(world.remote)
        lacking = [ref for ref, sha in refs.refs.items() if _matters(ref) and not desk.scratch.has(sha)]
        if lacking:
            repository.bring(desk.scratch, world.remote, lacking)
    except RemoteError as error:
        world.unchecked.append(f"{error.message}: only what is here was looked at")
        return None
    return refs


def _matters(ref: str) -> bool:
    kind, _, name = ref.removeprefix("refs/").partition("/")
    return (kind == "tags" and looks_like_a_version(name)) or ref.startswith(_RECORDS) or (
        kind == "heads" and line_of_branch(name) is not None
    )  # fmt: skip


def _read(world: World) -> None:
    """Tags and records; a tag that is another one here than on the remote is a problem, and the remote's counts."""
    local, refs = world.desk.repository.refs("refs/tags", _RECORDS.rstrip("/")), world.remote_refs
    public = {ref: sha for ref, sha in (refs.refs if refs else {}).items() if ref.startswith(("refs/tags/", _RECORDS))}
    for ref, sha in local.items():
        if public.get(ref, sha) != sha:
            what = ref.removeprefix("refs/").replace("tags/", "tag ")
            world.problems.append(
                mismatch("ref-moved", f"{what} is {sha[:12]} here and {public[ref][:12]} on {world.remote}",
                         "one of the two was moved, and neither may be: find out who")
            )  # fmt: skip
    found = {**local, **public}
    names = {ref.removeprefix("refs/tags/"): sha for ref, sha in found.items() if ref.startswith("refs/tags/")}
    world.tags = read_tags(world.desk.scratch, {name: sha for name, sha in names.items() if looks_like_a_version(name)})
    blobs = {ref: sha for ref, sha in found.items() if ref.startswith(_RECORDS) and world.desk.scratch.has(sha)}
    texts = notes.blobs(world.desk.scratch.git, blobs.values())
    for ref, sha in blobs.items():
        try:
            world.records[ref.removeprefix(_RECORDS)] = parse_record(texts[sha], ref)
        except UsageError as error:
            world.problems.append(mismatch("bad-record", f"{ref}: {error.message}", error.remedy))


# ------------------------------------------------------------------ which lines


@dataclass(frozen=True, kw_only=True)
class Range:
    """A branch, its tip, and the commit below what is to be looked at ("" for its beginning)."""

    branch: str
    tip: str
    base: str


def ranges(world: World, wanted: str) -> list[Range]:
    """What RANGE means: nothing, a branch, a version ("since it"), or A..B.  Raises UsageError."""
    branches = _branches(world)
    if not wanted:
        if not branches:
            raise UsageError(
                "there is no release branch here", remedy="name one: release audit BRANCH", code="no-branch"
            )
        return [Range(branch=name, tip=tip, base=_fork(world, tip)) for name, tip in branches.items()]
    if wanted in branches:
        return [Range(branch=wanted, tip=branches[wanted], base=_fork(world, branches[wanted]))]
    if "..." in wanted:
        raise UsageError(f"{wanted} is a symmetric difference", remedy="write A..B", code="bad-range")
    first, dots, last = wanted.partition("..")
    start, tag = _commit(world, first), world.tags.get(first)
    if dots:
        name = last if last in branches else next((each for each, tip in branches.items() if last in ("", tip)), "")
        end = branches[name] if name else _commit(world, last or "HEAD")
        return [Range(branch=name or last or "HEAD", tip=end, base=start)]
    if tag is None:
        return [Range(branch=wanted, tip=start, base=_fork(world, start))]
    holding = [name for name, tip in branches.items() if _reaches(world, tip, start)]
    name = next((each for each in holding if first in of_line(each, [first])), next(iter(holding), ""))
    if not name:
        raise UsageError(f"tag {first} is on no release branch", remedy="name a range A..B", code="tag-not-on-branch")
    return [Range(branch=name, tip=branches[name], base=start)]


def _branches(world: World) -> dict[str, str]:
    """Release branches by name, as the remote has them, else as they were fetched, else local ones."""
    prefix = f"refs/remotes/{world.remote}/"
    here = world.desk.repository.refs("refs/heads", prefix.rstrip("/"))
    found = {ref.removeprefix("refs/heads/"): sha for ref, sha in here.items() if ref.startswith("refs/heads/")}
    found |= {ref.removeprefix(prefix): sha for ref, sha in here.items() if ref.startswith(prefix)}
    if world.remote_refs:
        heads = {ref: sha for ref, sha in world.remote_refs.refs.items() if ref.startswith("refs/heads/")}
        found |= {ref.removeprefix("refs/heads/"): sha for ref, sha in heads.items()}
    own = world.config.branch if world.config else ""
    return {
        name: sha
        for name, sha in sorted(found.items())
        if (name == own or line_of_branch(name) is not None) and world.desk.scratch.is_commit(sha)
    }


def _commit(world: World, revision: str) -> str:
    tag = world.tags.get(revision)
    repository = world.desk.repository
    sha = tag.commit if tag else ""
    sha = sha or repository.resolve(f"refs/remotes/{world.remote}/{revision}") or repository.resolve(revision)
    if not sha:
        raise UsageError(
            f"{revision!r} names no branch, tag or commit of this clone",
            remedy="give a branch, a version, or A..B; git fetch --all --tags",
            code="unknown-revision",
        )
    return sha


def _reaches(world: World, tip: str, sha: str) -> bool:
    return not world.desk.scratch.rev_list("--max-count=1", sha, f"^{tip}", "--")


def _fork(world: World, tip: str) -> str:
    """Where the branch left the source branches' own line: what it merged from them later is still its own doing."""
    scratch = world.desk.scratch
    main = set(scratch.rev_list("--first-parent", *world.tips.values(), "--"))
    return next((sha for sha in scratch.rev_list("--first-parent", tip, "--") if sha in main), "")


# ------------------------------------------------------------------ one line


def audit_line(world: World, wanted: Range, *, require_signed: bool) -> Line:
    """Everything about the commits from `base` to `tip` of one branch."""
    scratch = world.desk.scratch
    rows = scratch.rev_list("--reverse", "--topo-order", "--parents", wanted.tip, *_without(wanted.base), "--")
    graph = {sha: parents for sha, *parents in (row.split(" ") for row in rows)}
    inside = [name for name in of_line(wanted.branch, list(world.tags)) if world.tags[name].commit in graph]
    tags = [world.tags[name] for name in inside]
    brought = _brought(graph, tags)
    parts = [part_of(world, tag, brought[tag.name]) for tag in tags]
    rest = set(graph).difference(*brought.values())
    parts.append(_tail(world, parts, wanted.base, tuple(sha for sha in graph if sha in rest)))
    proving = prove(scratch, parts, base=wanted.base, tips=list(world.tips.values()), names=world.desk.repository)
    problems = [*proving.problems, *order_problems(wanted.branch, tags, brought)]
    unchecked: list[str] = []
    for tag, part in zip(tags, parts, strict=False):
        problems += tag_problems(tag, require_signed=require_signed)
        more, open_ = _links(world, tag, part, proving)
        problems += more
        unchecked += open_
    problems += _strangers(world, wanted, set(graph))
    problems += [_missing(each) for each in proving.missing if not _left_out(each, world)]
    after, said = _aftermath(world, proving, inside)
    return Line(
        branch=wanted.branch, base=wanted.base, tip=wanted.tip, versions=tuple(inside), verdicts=proving.verdicts,
        problems=(*problems, *after), unchecked=tuple(unchecked), notes=tuple(said),
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


def part_of(world: World, tag: Tag, commits: tuple[str, ...]) -> Part:
    """What a version brought, with what its tag and record say of it."""
    config = _config_at(world, tag)
    record = world.records.get(tag.name)
    adapted = {result: f"tag {tag.name}" for state, _, result in tagged_picks(tag.message) if state == "adapted"}
    tool = record["tool"].get("version") if record and isinstance(record.get("tool"), dict) else __version__
    return Part(
        version=tag.name, commits=commits, config=config, config_path=world.desk.config_path(), recorded=adapted,
        head=tag.commit, other_tool=tool != __version__,
    )  # fmt: skip


def _config_at(world: World, tag: Tag) -> Config | None:
    """release.yaml as it is in the tag's tree; None where there is none: then nobody knows what was declared."""
    path = world.desk.config_path()
    text = world.desk.scratch.file(world.desk.scratch.tree_of(tag.commit), path)
    if text is None:
        return None
    try:
        return configuration.parse(text, f"{tag.name}:{path}")
    except ReleaseError as error:
        world.problems.append(mismatch("config-at-tag", f"{error.where}: {error.message}", error.remedy))
        return None


def _tail(world: World, parts: Sequence[Part], base: str, commits: tuple[str, ...]) -> Part:
    """What no version holds: on a branch that this tool keeps, it must be declared for some version to come."""
    path, scratch = world.desk.config_path(), world.desk.scratch
    kept = any(part.config for part in parts) or bool(base and scratch.file(scratch.tree_of(base), path))
    return Part(version="", commits=commits, config=world.config if kept else None)


def checks_of(world: World, tag: Tag, part: Part) -> list[CheckResult]:
    """The links from a version to its record and its images."""
    scratch, record = world.desk.scratch, world.records.get(tag.name)
    text = scratch.file(scratch.tree_of(tag.commit), part.config_path)
    checks = record_links(scratch, tag, record, text) if record else []
    doors = None if world.desk.job.offline else world.desk.doors().registry
    return checks + image_links(tag, record, part.config, doors)


def _links(world: World, tag: Tag, part: Part, proving: Proving) -> tuple[list[Problem], list[str]]:
    """Record and images of a version, and the picks that its tag lists; what could not be looked at."""
    record, checks = world.records.get(tag.name), checks_of(world, tag, part)
    problems = [mismatch("record-differs" if check.name.startswith("record") else "image-differs",
                         f"{tag.name}: {check.name}: {check.message}", check.remedy)
                for check in failures(checks)]  # fmt: skip
    unchecked = [f"{tag.name}: {each.name}: {each.message}" for each in checks if each.state is CheckState.SKIPPED]
    listed = {(source, result) for _, source, result in tagged_picks(tag.message)}
    made = {(source, each.sha) for each in proving.verdicts for source in each.sources}
    problems += [
        mismatch("tag-differs", f"tag {tag.name} lists {source[:12]} as {result[:12]}, which its history has not",
                 "the tag's message does not belong to its commit")
        for source, result in sorted(listed - made)
    ]  # fmt: skip
    if listed and record is None:
        if world.remote_refs is None:
            unchecked.append(f"{tag.name}: no record here, and the remote was not asked")
        else:
            problems.append(mismatch("record-missing", f"{tag.name}: no {record_ref(tag.name)} on {world.remote}",
                                     "the run that made it was broken off, or somebody deleted it"))  # fmt: skip
    return problems, unchecked


def _strangers(world: World, wanted: Range, inside: set[str]) -> list[Problem]:
    """Version tags that are not where tags of this line must be: on its branch, in the order of the versions."""
    names = of_line(wanted.branch, list(world.tags)) if line_of_branch(wanted.branch) else []
    here = [name for name in names if world.tags[name].commit in inside]
    away = [name for name in names if name not in here]
    commits = {world.tags[name].commit for name in away}
    outside = set(world.desk.scratch.rev_list(*commits, f"^{wanted.tip}", "--")) if commits else set()
    found = []
    for name in away:
        if world.tags[name].commit in outside:
            found.append(
                mismatch("tag-not-on-branch", f"tag {name} is not on {wanted.branch}", "somebody tagged another commit")
            )
        elif here and names.index(name) > names.index(here[0]):
            found.append(
                mismatch("tag-order", f"tag {name} is on an older commit of {wanted.branch} than {here[0]}",
                         "versions rise along a branch: find out who made it")
            )  # fmt: skip
    return found + [
        mismatch("tag-not-semver", f"tag {name} on {wanted.branch} is no semantic version", "name versions v2.7.1")
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


def _left_out(each: Missing, world: World) -> bool:
    """Whether the record says that a person left it out, or that it was there already, as the entry allows."""
    record = world.records.get(each.version, {})
    skipped = {str(row.get("source")) for row in record.get("skipped", ()) if isinstance(row, dict)}
    present = {str(row.get("source")) for row in record.get("picks", ()) if isinstance(row, dict) and not row["result"]}
    return each.source in skipped or (each.source in present and bool({"duplicate", "empty"} & set(each.fix.allow)))


def _aftermath(world: World, proving: Proving, versions: Sequence[str]) -> tuple[list[Problem], list[str]]:
    """Fixes in released versions that the source has taken back since, or fixed again."""
    since = {source: each.version for each in proving.verdicts
             if each.version and each.kind in (Kind.PROVED, Kind.ADAPTED, Kind.UNDECLARED) and each.signal != "itself"
             for source in each.sources}  # fmt: skip
    carried = {source for each in proving.verdicts for source in each.sources}
    scratch = world.desk.scratch
    fix = Fix(place=Place(file="audit"))
    sources = [
        Source(fix=fix, commit=(commit := scratch.commit(sha)), parent=next(iter(commit.parents), "")) for sha in since
    ]
    where = homes.find(world.desk.repository, scratch, list(since), list(world.tips.values()), world.remote)
    problems, said = [], []
    last = versions[-1] if versions else ""
    for sha, later in followups(scratch, sources, world.tips, where).items():
        for each in later:
            if not each.stands or each.sha in carried or each.kind not in (REVERT, FIXES, FIXUP):
                continue
            if each.kind == REVERT and each.of == sha:
                problems.append(
                    mismatch("reverted-upstream", f"{last} carries {sha[:12]} {scratch.commit(sha).subject!r} (since"
                             f" {since[sha]}), which was taken back by {each.sha[:12]} {each.subject!r}",
                             f"declare the revert for the next version: - commit: {each.sha[:12]}")
                )  # fmt: skip
            elif each.kind != REVERT:
                said.append(f"{each.sha[:12]} {each.subject!r} fixes {each.of[:12]} of {since[sha]}, and is not here")
    return problems, said
