"""What stands beside a release under refs of its own: the sources that are kept, and the mark of a yank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.audit.links import failed, passed, skipped
from orchestrator.core.errors import RemoteError
from orchestrator.core.tag_message import promotion
from orchestrator.core.versions import final_of, parse_tag
from orchestrator.guard.consistency import ReleasedVersion, up_to, yank_fault
from orchestrator.picks.sources import named
from orchestrator.session import yanks
from orchestrator.session.kept_sources import keep, sources_ref

if TYPE_CHECKING:
    from orchestrator.audit.prove import Part
    from orchestrator.audit.snapshot import Snapshot
    from orchestrator.audit.tags import Tag
    from orchestrator.core.results import CheckResult

_WHO = "a ref that is made once and never changed is another than the release wrote: git show it, and the server's log"


def beside(world: Snapshot, tag: Tag, part: Part) -> list[CheckResult]:
    """Sources and yank of a version, where it has them."""
    return [*_sources(world, tag, part), *_yank(world, tag)]


def released(world: Snapshot, tag: Tag) -> ReleasedVersion:
    return ReleasedVersion(
        version=tag.name, tag=tag.object, commit=tag.commit, tree=world.session.scratch.tree_of(tag.commit),
        message=tag.message,
    )  # fmt: skip


def candidates(world: Snapshot, version: str) -> dict[str, ReleasedVersion]:
    """The candidates of a final version, by name."""
    return {name: released(world, each) for name, each in world.tags.items() if final_of(name) == version}


def _sources(world: Snapshot, tag: Tag, part: Part) -> list[CheckResult]:
    """The commit that keeps the sources of a version is the very one that its release writes."""
    refs, name = world.remote_refs.refs if world.remote_refs else {}, sources_ref(tag.name)
    if name not in refs:
        return []
    wanted = _wanted(world, tag, part)
    made = keep(world.session.scratch, tag.name, wanted, tag.commit) if wanted else ""
    if not made:
        return [skipped("sources", f"not all that {tag.name} declares is in this clone")]
    if made != refs[name]:
        return [failed("sources", f"{name} is {refs[name][:12]}, and what keeps its sources is {made[:12]}", _WHO)]
    return [passed("sources", f"{made[:12]} keeps the sources of {tag.name}")]


def _wanted(world: Snapshot, tag: Tag, part: Part) -> tuple[str, ...]:
    """The commits to keep; of a promoted version what its candidates keep."""
    if origin := promotion(tag.message):
        known, refs = candidates(world, tag.name), world.remote_refs.refs if world.remote_refs else {}
        chain = up_to(known[origin[0]], known.values()) if origin[0] in known else []
        return tuple(refs[ref] for each in chain if (ref := sources_ref(each.version)) in refs)
    account = part.account
    return named(account.sources) if account and not account.lacking else ()


def _yank(world: Snapshot, tag: Tag) -> list[CheckResult]:
    """A yank takes back the very version that it names."""
    scratch, repository = world.session.scratch, world.session.repository
    ref = yanks.yank_ref(tag.name)
    refs = world.remote_refs.refs if world.remote_refs else repository.refs(ref)
    if ref not in refs:
        return []
    try:
        yank = yanks.known(repository, scratch, world.remote, {ref: refs[ref]})[tag.name]
    except RemoteError as error:
        return [skipped("yank", error.message)]
    good = [name for name in world.tags if parse_tag(name) and not final_of(name)]
    if fault := yank_fault(yank, released(world, tag), world.records.get(tag.name), good):
        return [failed("yank", f"the yank {fault}", _WHO)]
    return [passed("yank", yank.said)]
