"""Publish the account of the release: a JSON blob under a ref of its own, made once and never changed.

With it goes what keeps the sources of the release (session/kept_sources.py), under another.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator import __version__
from orchestrator.core.errors import ReleaseError
from orchestrator.core.record import SCHEMA_VERSION, image_of, must_agree, parse_record, record_ref, render
from orchestrator.git import push
from orchestrator.image.inputs import patches_of
from orchestrator.image.patches import account
from orchestrator.release.steps.outcomes import (
    Built,
    Floated,
    Landed,
    Outcome,
    Promoted,
    Recorded,
    Smoked,
    Tagged,
    Uploaded,
    Verified,
)
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.session.committed import CommittedFiles
from orchestrator.session.kept_sources import keep, sources_ref

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan, PlannedImage, PromotedFrom
    from orchestrator.release.steps.runner import TaskContext


def tasks(_plan: Plan) -> tuple[Task, ...]:
    return (Task(key="record", title="write the record", run=_run, probe=_probe),)


def _run(context: TaskContext) -> Recorded:
    """A record that is there already is compared in what must never differ, and kept."""
    ref, kept_ref = record_ref(context.plan.version), sources_ref(context.plan.version)
    there = context.repository.ls_remote(context.plan.remote, ref, kept_ref).refs
    made = record(context)
    if blob := there.get(ref, ""):
        context.repository.fetch_ref(context.plan.remote, ref)
        must_agree(made, parse_record(context.repository.blob(blob), ref), ref)
    else:
        blob = push.write_blob(context.repository, render(made))
    kept = _kept(context)
    mine = {name: sha for name, sha in ((ref, blob), (kept_ref, kept)) if sha}
    push.update_refs(context.repository, {name: (sha, "") for name, sha in mine.items()})
    push.push_new_refs(context.repository, remote=context.plan.remote, refs={
        name: sha for name, sha in mine.items() if there.get(name) != sha
    })  # fmt: skip
    return Recorded(ref=ref, blob=blob, sources=kept)


def _kept(context: TaskContext) -> str:
    """The commit that keeps the sources, made when they were picked; "" where this clone has not all of them."""
    if found := context.state.ref("sources"):
        return found
    scratch = context.session.scratch
    kept = keep(scratch, context.plan.version, context.plan.sources, context.plan.head)
    if kept:
        context.state.adopt(scratch, kept, "sources")
    return kept


def _probe(context: TaskContext, before: Outcome | None) -> Outcome | None:
    if not isinstance(before, Recorded):
        return None
    wanted = {before.ref: before.blob} | ({sources_ref(context.plan.version): before.sources} if before.sources else {})
    there = context.repository.ls_remote(context.plan.remote, *wanted).refs
    return before if wanted.items() <= there.items() else None


def record(context: TaskContext) -> dict[str, Any]:
    """The record, from the plan and the outcomes so far."""
    plan = context.plan
    tagged = context.find(Landed) or context.find(Tagged)
    verified = context.find(Verified)
    return {
        "schema_version": SCHEMA_VERSION,
        "version": plan.version,
        "previous": plan.previous,
        "summary": plan.summary,
        "branch": plan.branch,
        "base": plan.base,
        "commit": plan.head,
        "tree": plan.tree,
        "picked_tree": plan.picked_tree,
        "tag": {"name": plan.version, "object": tagged.tag_object if tagged else context.plan.tag_object},
        "plan_id": plan.plan_id,
        "config": {"path": plan.config_path, "sha256": plan.config_sha256},
        "committer": plan.committer,
        "picks": [asdict(pick) for pick in plan.picks],
        "freeze_broken": plan.freeze_broken,
        "skipped": [asdict(skipped) for skipped in plan.skipped],
        "verify": asdict(verified) if verified else None,
        "promoted_from": _origin(plan.promoted_from) if plan.promoted_from else None,
        "images": [
            _promoted(context, image) if plan.promoted_from else _image(context, image) for image in plan.images
        ],
        "tool": {"name": "release", "version": __version__, "git": plan.git_version},
        "finished_at": context.session.now(),
        "seconds": dict(context.durations),
    }


def _image(context: TaskContext, image: PlannedImage) -> dict[str, Any]:
    built, uploaded = context.outcome(Built, image), context.outcome(Uploaded, image)
    proved = uploaded.taken or built
    results = uploaded.taken.results if uploaded.taken else context.outcome(Smoked, image).results
    floated = context.find(Floated, image)
    with context.repository.scratch() as scratch:
        patches = [account(entry) for entry in patches_of(CommittedFiles(scratch, context.plan.tree), image)]
    return {
        "reference": image.reference,
        "variant": image.variant,
        "aliases": list(image.aliases),
        "digest": context.outcome(Promoted, image).digest,
        "image_id": proved.image_id,
        "size": proved.size,
        "compressed_size": uploaded.size,
        "delta": asdict(uploaded.delta),
        "layers": list(proved.layers),
        "base": {"name": built.base, "id": "" if uploaded.taken else built.base_id},
        "lock": {"path": image.lock, "sha256": built.lock_sha256} if image.lock else None,
        "patches": patches,
        "context_sha256": built.context_sha256,
        "labels": dict(built.labels),
        "checks": [asdict(result) for result in results],
        "floating": {"moved": list(floated.moved), "left": list(floated.left)} if floated else None,
    }


def _origin(origin: PromotedFrom) -> dict[str, str]:
    """`version_inside`: what the bytes say of themselves, in labels and files; they are those that were tested."""
    return {
        "version": origin.version,
        "tag": origin.tag_object,
        "record": origin.record,
        "version_inside": origin.version,
    }


def _promoted(context: TaskContext, image: PlannedImage) -> dict[str, Any]:
    """The candidate's account of the image, under the names that it has now."""
    floated, uploaded = context.find(Floated, image), context.outcome(Uploaded, image)
    return {
        **image_of(candidate_record(context), image.candidate),
        "reference": image.reference,
        "aliases": list(image.aliases),
        "digest": context.outcome(Promoted, image).digest,
        "delta": asdict(uploaded.delta),
        "floating": {"moved": list(floated.moved), "left": list(floated.left)} if floated else None,
    }


def candidate_record(context: TaskContext) -> dict[str, Any]:
    """The record of the candidate that is promoted."""
    origin = context.plan.promoted_from
    if origin is None:
        raise ReleaseError(f"{context.plan.version} is not promoted from a candidate", code="task-order")
    ref, scratch = record_ref(origin.version), context.session.scratch
    if not scratch.has(origin.record):
        context.repository.bring(scratch, context.plan.remote, [ref])
    return parse_record(scratch.blob(origin.record), ref)
