"""Publish the account of the release: a JSON blob under a ref of its own, made once and never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core import record as provenance
from orchestrator.git import push
from orchestrator.release.steps.outcomes import Outcome, Recorded
from orchestrator.release.steps.runner import Task, Workshop

if TYPE_CHECKING:
    from orchestrator.core.results import Plan


def tasks(_plan: Plan) -> tuple[Task, ...]:
    return (Task(key="record", title="write the record", run=_run, probe=_probe),)


def _run(shop: Workshop) -> Recorded:
    """A record that is there already is compared in what must never differ, and kept."""
    ref = provenance.record_ref(shop.plan.version)
    there = shop.repository.ls_remote(shop.plan.remote, ref).refs.get(ref, "")
    record = provenance.record(shop)
    if there:
        shop.repository.fetch_ref(shop.plan.remote, ref)
        provenance.must_agree(record, provenance.parse_record(shop.repository.blob(there), ref), ref)
        return Recorded(ref=ref, blob=there)
    blob = push.write_blob(shop.repository, provenance.render(record))
    push.update_refs(shop.repository, {ref: (blob, "")})
    push.push_new_ref(shop.repository, remote=shop.plan.remote, ref=ref, sha=blob)
    return Recorded(ref=ref, blob=blob)


def _probe(shop: Workshop, before: Outcome | None) -> Outcome | None:
    if not isinstance(before, Recorded):
        return None
    there = shop.repository.ls_remote(shop.plan.remote, before.ref).refs.get(before.ref, "")
    return before if there == before.blob else None
