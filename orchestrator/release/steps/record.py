"""Publish the account of the release: a JSON blob under a ref of its own, made once and never changed.

With it goes what keeps the sources of the release (session/kept_sources.py), under another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator import tool_version
from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import NOWHERE, REGISTRY
from orchestrator.core.plan import KEEP, RECORD
from orchestrator.core.record import (
    Origin,
    Record,
    RecordedConfig,
    RecordedImage,
    RecordedTag,
    RecordedTool,
    facts_of_plan,
    must_agree,
    record_ref,
    render,
)
from orchestrator.core.text import word
from orchestrator.core.versions import TagVersion
from orchestrator.git import push
from orchestrator.git.process import HookRefusedError
from orchestrator.git.records import push as records
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.release.steps.tag import Tagged
from orchestrator.release.steps.upload import Uploaded
from orchestrator.session.kept_sources import keep, sources_ref
from orchestrator.session.published import record_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan, PlannedImage, PromotedFrom
    from orchestrator.session.state import ReleaseState


@dataclass(frozen=True, kw_only=True)
class Recorded(Outcome):
    ref: str
    blob: str
    sources: str = ""  # the commit that keeps the sources beside it
    note: str = ""  # what this clone could not keep of it


@dataclass(frozen=True, kw_only=True)
class KeptSources(Outcome):
    """What keeps the sources, where the record is written by another."""

    sources: str
    note: str = ""


def tasks(plan: Plan) -> tuple[Task, ...]:
    if plan.records == NOWHERE:
        return ()
    if plan.built_by and plan.records == REGISTRY:
        return ()  # there is no image yet to lay something beside
    if plan.built_by:  # who builds the images writes it, and needs the sources for that
        return (Task(key=KEEP, title="keep the sources", run=_keep, probe=_keeps),)
    return (Task(key=RECORD, title="write the record", run=_run, probe=_probe),)


def _keep(context: TaskContext) -> KeptSources:
    """The sources alone: who publishes the tag must have them, and a topic branch may be gone by then."""
    plan, ref, kept = context.plan, sources_ref(context.plan.version), _kept(context)
    if not context.repository.keeps_records:
        return KeptSources(sources="")
    if kept and _there(context, ref).get(ref) != kept:
        note = _name(context, {ref: kept})
        records.push_new_refs(context.repository, remote=plan.remote, refs={ref: kept})
        return KeptSources(sources=kept, note=note)
    return KeptSources(sources=kept)


def _name(context: TaskContext, refs: Mapping[str, str]) -> str:
    """Have them in this clone too.  Returns a line for the user where a hook of it is against that: it is public."""
    try:
        push.update_refs(context.repository, {name: (sha, "") for name, sha in refs.items()})
    except HookRefusedError as error:
        told = " ".join(word(f"+{ref}:{ref}") for ref in refs)
        return f"{error.message}; without it: git fetch {word(context.plan.remote)} {told}"
    return ""


def _keeps(context: TaskContext, before: Outcome | None) -> Outcome | None:
    ref = sources_ref(context.plan.version)
    if not isinstance(before, KeptSources) or not before.sources:
        return before if isinstance(before, KeptSources) else None
    return (
        before if context.repository.ls_remote(context.plan.remote, ref).refs.get(ref, "") == before.sources else None
    )


def _run(context: TaskContext) -> Recorded:
    """Another job of this release may write it at the same moment: then that one is compared, and kept.

    Where release.yaml has learned since that the server takes none (`records: none`), none is written.
    """
    if not context.repository.keeps_records:
        return Recorded(ref="", blob="")
    try:
        return _written(context)
    except push.RefTakenError:
        return _written(context)


def _written(context: TaskContext) -> Recorded:
    """A record that is there already is compared in what must never differ, and kept."""
    plan = context.plan
    ref, kept_ref = record_ref(plan.version), sources_ref(plan.version)
    there = _there(context, ref, kept_ref)
    made = record(context)
    if blob := there.get(ref, ""):
        context.repository.fetch_ref(plan.remote, ref)
        digests = {image.reference: image.digest for image in made.images}
        theirs = record_at(context.session.scratch, blob, ref, plan.remote)
        must_agree(theirs, facts_of_plan(replace(plan, picks=made.picks), made.tag.object, digests))
    else:
        blob = push.write_blob(context.repository, render(made))
    kept = _kept(context)
    mine = {name: sha for name, sha in ((ref, blob), (kept_ref, kept)) if sha}
    note = _name(context, mine)
    context.connections.settle()
    records.push_new_refs(context.repository, remote=plan.remote, refs={
        name: sha for name, sha in mine.items() if there.get(name) != sha
    })  # fmt: skip
    return Recorded(ref=ref, blob=blob, sources=kept, note=note)


def _there(context: TaskContext, *refs: str) -> Mapping[str, str]:
    """What the remote has of these refs; what was seen of them a moment ago does for once."""
    if context.seen.keys() >= set(refs):
        return {ref: sha for ref in refs if (sha := context.seen.pop(ref))}
    return context.repository.ls_remote(context.plan.remote, *refs).refs


def _kept(context: TaskContext) -> str:
    """The commit that keeps the sources; "" where this clone has not all of them, and none was made at the picks.

    One that another plan of this version left behind does not count.
    """
    scratch, plan = context.session.scratch, context.plan
    made = context.state.ref("sources")
    if kept := keep(scratch, plan.version, plan.sources, plan.head):
        if kept != made:
            context.state.adopt(scratch, {"sources": kept})
        return kept
    return made if made and scratch.commit(made).parents == tuple(plan.sources) else ""


def _probe(context: TaskContext, before: Outcome | None) -> Outcome | None:
    if not isinstance(before, Recorded):
        return None
    if not before.ref:
        return before
    wanted = {before.ref: before.blob} | ({sources_ref(context.plan.version): before.sources} if before.sources else {})
    there = context.repository.ls_remote(context.plan.remote, *wanted).refs
    if wanted.items() <= there.items():
        return replace(before, note=_name(context, wanted)) if before.note else before
    return None


def record(context: TaskContext) -> Record:
    """What the plan says, and what each step adds (`Outcome.part`)."""
    plan, parts = context.plan, context.parts()
    version = TagVersion.from_text(plan.version)
    tagged = context.find(Tagged)
    return Record(
        version=version,
        previous=TagVersion.from_text(plan.previous) if plan.previous else None,
        summary=plan.summary,
        branch=plan.branch,
        base=plan.base,
        commit=plan.head,
        tree=plan.tree,
        picked_tree=plan.picked_tree,
        tag=RecordedTag(name=version, object=parts.get("tag") or (tagged.tag_object if tagged else plan.tag_object)),
        plan_id=plan.plan_id,
        config=RecordedConfig(path=plan.config_path, sha256=plan.config_sha256),
        committer=plan.committer,
        picks=_public(plan.picks, context.state),
        freeze_broken=plan.freeze_broken,
        skipped=plan.skipped,
        verify=parts.get("verify"),
        signed_from="" if plan.promoted_from else plan.signed_from,
        promoted_from=_origin(plan.promoted_from) if plan.promoted_from else None,
        images=tuple(_image(image, _parts(context, image)) for image in plan.images),
        tool=RecordedTool(name="release", version=tool_version(), git=plan.git_version),
        finished_at=context.session.now(),
        seconds=dict(context.durations),
    )


def _public(picks: Sequence[Pick], state: ReleaseState) -> tuple[Pick, ...]:
    """The picks with what everybody can see: of a resolved conflict the pick itself, not what a person made here."""
    return tuple(
        replace(pick, applied=pick.result)
        if pick.result and pick.applied and pick.applied == state.ref(f"resolved/{pick.source}")
        else pick
        for pick in picks
    )


def _parts(context: TaskContext, image: PlannedImage) -> dict[str, Any]:
    """What the steps say of an image; before it is promoted, of what was uploaded."""
    uploaded = context.find(Uploaded, image)
    return ({"digest": uploaded.digest} if uploaded else {}) | context.parts(image)


def _image(image: PlannedImage, parts: dict[str, Any]) -> RecordedImage:
    return RecordedImage(
        **{"floating": None, **parts}, reference=image.reference, variant=image.variant, aliases=image.aliases
    )


def _origin(origin: PromotedFrom) -> Origin:
    """`version_inside`: what the bytes say of themselves, in labels and files; they are those that were tested."""
    version = TagVersion.from_text(origin.version)
    return Origin(version=version, tag=origin.tag_object, record=origin.record, version_inside=version)
