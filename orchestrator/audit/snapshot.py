"""What an audit starts from: remote, tags, records, source branches, and which commits are asked for."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from orchestrator.audit.tags import looks_like_a_version, mismatch, of_line, read_tags
from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import NOTES, REGISTRY
from orchestrator.core.errors import ReleaseError, RemoteError, UsageError
from orchestrator.core.plan import CANDIDATES
from orchestrator.core.record import PREFIX as RECORDS
from orchestrator.core.tag_message import landed_as, tagged_account
from orchestrator.core.text import word
from orchestrator.core.versions import line_of_branch, parse_tag
from orchestrator.git.batch import outside
from orchestrator.landing.forms import chain
from orchestrator.session import kept_sources
from orchestrator.session.branch_state import fetch_all, source_tips
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history
from orchestrator.session.published import record_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.audit.tags import Tag
    from orchestrator.core.declaration import Config
    from orchestrator.core.record import Record
    from orchestrator.core.results import CheckResult, Problem
    from orchestrator.git.repository import RemoteRefs
    from orchestrator.guard.policy_source import EffectivePolicy
    from orchestrator.session.session import Session


@dataclass(kw_only=True)
class Snapshot:
    """What is known before a line is looked at: asked once for all of them."""

    session: Session
    config: Config | None
    remote: str
    remote_refs: RemoteRefs | None
    tips: dict[str, str]
    tags: dict[str, Tag]
    records: dict[str, Record]
    record_blobs: dict[str, str] = field(default_factory=dict)  # version -> what its record ref names
    refused_records: dict[str, UsageError] = field(default_factory=dict)  # what stands there is no record
    policies: dict[tuple[str, str], EffectivePolicy] = field(default_factory=dict)  # by branch and first source
    signatures: dict[str, list[CheckResult]] = field(default_factory=dict)  # by version; asked of a registry
    notes: dict[str, str] | None = None  # commit -> blob of its note; None: not asked for yet
    unchecked: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def asked_for_records(self) -> bool:
        """Whether a record that is not known is known not to be there."""
        return self.remote_refs is not None and not self.session.repository.records_unread

    @property
    def records_place(self) -> str:
        """Where records are looked for."""
        beside = self.config is not None and self.config.records == REGISTRY
        return "beside the image in its registry" if beside else f"on {self.remote}"


def look(session: Session, sources: Sequence[str] = ()) -> Snapshot:
    """Remote, tags, records, source branches.  A clone without release.yaml is audited with what git knows."""
    try:
        config: Config | None = session.config()
    except ReleaseError:
        if session.options.config or session.config_file.exists():
            raise
        config = None
    remote = config.remote if config else session.repository.usual_remote()
    have_history(session.repository, remote, offline=session.options.offline)
    world = Snapshot(session=session, config=config, remote=remote, remote_refs=None, tips={}, tags={}, records={})
    named = tuple(sources) or (config.source if config else ("main",))
    world.remote_refs = _ask(world, named)
    world.tips, problems, said = source_tips(
        session.repository, remote, named, world.remote_refs, where=session.config_name
    )
    if problems and (sources or not world.tips):
        raise UsageError(problems[0].message, remedy="name the source branches with --source", code=problems[0].code)
    world.unchecked += [f"{each.message}: what came from there is known by what was kept" for each in problems]
    world.unchecked += said
    _read(world)
    _bring_sources(world)
    _have_contents(world)
    return world


def _ask(world: Snapshot, sources: Sequence[str]) -> RemoteRefs | None:
    """The remote's refs, with what this clone lacks of its release branches, sources, tags and records brought here."""
    session, repository = world.session, world.session.repository
    if session.options.offline:
        world.unchecked.append("the remote was not asked (--offline)")
        return None
    if not repository.remote_url(world.remote):
        world.unchecked.append(f"this clone has no remote {world.remote!r}: only this clone was checked")
        return None
    try:
        refs = repository.ls_remote(world.remote)
        lacking = [ref for ref, sha in refs.refs.items() if _matters(ref, sources) and not session.scratch.has(sha)]
        if lacking:
            repository.bring(session.scratch, world.remote, lacking)
    except RemoteError as error:
        world.unchecked.append(f"{error.message}: only this clone was checked")
        return None
    return refs


def _matters(ref: str, sources: Sequence[str]) -> bool:
    kind, _, name = ref.removeprefix("refs/").partition("/")
    return (kind == "tags" and looks_like_a_version(name)) or ref.startswith((RECORDS, CANDIDATES)) or ref == NOTES or (
        kind == "heads" and (name in sources or line_of_branch(name) is not None)
    )  # fmt: skip


def _read(world: Snapshot) -> None:
    """Tags and records; a tag that is another one here than on the remote is a problem, and the remote's counts."""
    local, refs = world.session.repository.refs("refs/tags", RECORDS.rstrip("/")), world.remote_refs
    public = {ref: sha for ref, sha in (refs.refs if refs else {}).items() if ref.startswith(("refs/tags/", RECORDS))}
    for ref, sha in local.items():
        if public.get(ref, sha) != sha:
            what = ref.removeprefix("refs/").replace("tags/", "tag ")
            world.problems.append(
                mismatch("ref-moved", f"{what} is {sha[:12]} here and {public[ref][:12]} on {world.remote}",
                         "the remote's counts; to have it here: "
                         f"git fetch --force {word(world.remote)} {word(f'{ref}:{ref}')}")
            )  # fmt: skip
    found = {**local, **public}
    names = {ref.removeprefix("refs/tags/"): sha for ref, sha in found.items() if ref.startswith("refs/tags/")}
    world.tags = read_tags(
        world.session.scratch, {name: sha for name, sha in names.items() if looks_like_a_version(name)}
    )
    blobs = {ref: sha for ref, sha in found.items() if ref.startswith(RECORDS) and world.session.scratch.has(sha)}
    for ref, sha in blobs.items():
        version = ref.removeprefix(RECORDS)
        world.record_blobs[version] = sha
        try:
            world.records[version] = record_at(world.session.scratch, sha, ref, world.remote)
        except UsageError as error:
            world.refused_records[version] = error
            world.problems.append(mismatch("bad-record", f"{ref}: {error.message}", error.remedy))


def _bring_sources(world: Snapshot) -> None:
    """What keeps the sources of versions: topic branches are deleted, and a clone lacks what they had."""
    bring_sources(world, [name for name, tag in world.tags.items() if tagged_account(tag.message)])


def _have_contents(world: Snapshot) -> None:
    """The files of all that is proved: of the release branches, the sources and what is kept of them, and the notes."""
    repository, scratch, refs = world.session.repository, world.session.scratch, world.remote_refs
    public = refs.refs if refs else repository.refs("refs/heads", f"refs/remotes/{world.remote}")
    lines = [sha for ref, sha in public.items() if line_of_branch(ref.removeprefix("refs/heads/")) is not None]
    tags = [tag.commit for name, tag in world.tags.items() if parse_tag(name)]
    told = [row.source for tag in world.tags.values() for row in tagged_account(tag.message)]
    for tag in world.tags.values():
        if landing := landed_as(tag.message):  # what was proposed is on no branch
            told += chain(scratch, landing.planned, tag.message)
    told += [refs.refs[NOTES]] if refs and NOTES in refs.refs else []
    have_contents(
        repository, scratch, (*lines, *world.tips.values(), *tags), told, offline=world.session.options.offline
    )


def bring_sources(world: Snapshot, versions: Sequence[str]) -> bool:
    """Have what the remote keeps for these versions at hand; whether there is anything new."""
    refs = world.remote_refs.refs if world.remote_refs else {}
    kept = [refs[ref] for ref in map(kept_sources.sources_ref, versions) if ref in refs]
    if all(world.session.scratch.has(sha) for sha in kept):
        return False
    try:
        kept_sources.bring(world.session.repository, world.session.scratch, world.remote, refs, versions)
    except RemoteError as error:
        world.unchecked.append(f"{error.message}: sources that are kept there were not looked at")
        return False
    return True


# ------------------------------------------------------------------ which lines


@dataclass(frozen=True, kw_only=True)
class Range:
    """A branch, its tip, and the commit below what is to be looked at ("" for its beginning).

    `whole`: it ends where the branch ends, so no later version can be elsewhere.
    """

    branch: str
    tip: str
    base: str
    whole: bool = True


def ranges(world: Snapshot, wanted: str) -> list[Range]:
    """What RANGE means: nothing, a branch, a version ("since it"), or A..B.  Raises UsageError."""
    branches = _branches(world)
    if not wanted:
        if not branches:
            raise UsageError(
                "there is no release branch here", remedy="name one: release audit BRANCH", code="no-branch"
            )
        return [Range(branch=name, tip=tip, base=fork(world, tip)) for name, tip in branches.items()]
    if wanted in branches:
        return [Range(branch=wanted, tip=branches[wanted], base=fork(world, branches[wanted]))]
    if "..." in wanted:
        raise UsageError(f"{wanted} is a symmetric difference", remedy="write A..B", code="bad-range")
    first, dots, last = wanted.partition("..")
    start, tag = _commit(world, first), world.tags.get(first)
    if dots:
        name = last if last in branches else next((each for each, tip in branches.items() if last in ("", tip)), "")
        end = branches[name] if name else _commit(world, last or "HEAD")
        return [Range(branch=name or last or "HEAD", tip=end, base=start, whole=bool(name))]
    if tag is None:
        return [Range(branch=wanted, tip=start, base=fork(world, start), whole=False)]
    holding = [name for name, tip in branches.items() if _reaches(world, tip, start)]
    name = next((each for each in holding if first in of_line(each, [first])), next(iter(holding), ""))
    if not name:
        raise UsageError(f"tag {first} is on no release branch", remedy="name a range A..B", code="tag-not-on-branch")
    return [Range(branch=name, tip=branches[name], base=start)]


def _branches(world: Snapshot) -> dict[str, str]:
    """Release branches by name, as the remote has them, else as they were fetched, else local ones.

    A line has one: beside that of release.yaml, where that is there, a `hotfix/2.7.9` or `mia/2.7` is somebody's topic
    branch, unless it has a version that the line's branch has not.
    """
    prefix = f"refs/remotes/{world.remote}/"
    here = world.session.repository.refs("refs/heads", prefix.rstrip("/"))
    found = {ref.removeprefix("refs/heads/"): sha for ref, sha in here.items() if ref.startswith("refs/heads/")}
    found |= {ref.removeprefix(prefix): sha for ref, sha in here.items() if ref.startswith(prefix)}
    if world.remote_refs:
        heads = {ref: sha for ref, sha in world.remote_refs.refs.items() if ref.startswith("refs/heads/")}
        found |= {ref.removeprefix("refs/heads/"): sha for ref, sha in heads.items()}
    own = world.config.branch if world.config else ""
    known = {
        name: sha
        for name, sha in sorted(found.items())
        if (name == own or line_of_branch(name) is not None) and world.session.scratch.is_commit(sha)
    }
    return {name: sha for name, sha in known.items() if not _is_a_topic(world, name, known, own)}


def _is_a_topic(world: Snapshot, name: str, known: Mapping[str, str], own: str) -> bool:
    if name == own or own not in known or line_of_branch(name) != line_of_branch(own):
        return False
    commits = (tag.commit for tag in world.tags.values())
    return not any(
        _reaches(world, known[name], commit) and not _reaches(world, known[own], commit) for commit in commits
    )


def _commit(world: Snapshot, revision: str) -> str:
    tag = world.tags.get(revision)
    repository = world.session.repository
    sha = tag.commit if tag else ""
    sha = sha or repository.resolve(f"refs/remotes/{world.remote}/{revision}") or repository.resolve(revision)
    if not sha:
        raise UsageError(
            f"{revision!r} names no branch, tag or commit of this clone",
            remedy=f"give a branch, a version, or A..B; {fetch_all(world.remote)}",
            code="unknown-revision",
        )
    return sha


def _reaches(world: Snapshot, tip: str, sha: str) -> bool:
    return not outside(world.session.scratch, [sha], [tip])


def fork(world: Snapshot, tip: str) -> str:
    """Where the branch left the source branches' own line: what it merged from them later is still its own doing."""
    scratch = world.session.scratch
    main = set(scratch.rev_list("--first-parent", *world.tips.values(), "--"))
    return next((sha for sha in scratch.rev_list("--first-parent", tip, "--") if sha in main), "")
