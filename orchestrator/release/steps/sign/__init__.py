"""Sign what was uploaded, and what is said of it: before anything is public, so what cannot be signed never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext

if TYPE_CHECKING:
    from orchestrator.core.plan import Plan, PlannedImage


@dataclass(frozen=True, kw_only=True)
class Signed(Outcome):
    """`attached` are the digests of what refers to the image; `key` names who signed, a key as bundles do."""

    key: str
    attached: tuple[str, ...]


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.images) if plan.sign else ()


def _task(image: PlannedImage) -> Task:
    return Task(
        key=image.task("sign"),
        title=f"sign {image.candidate}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
    )


def _run(context: TaskContext, image: PlannedImage) -> Signed:
    from orchestrator.attest.attach import publish
    from orchestrator.attest.make import moment
    from orchestrator.attest.signing import signer
    from orchestrator.release.steps.sign.statements import statements

    plan = context.plan
    signing = signer(plan.sign, str(plan.version), context.connections.env, context.repository.top)
    registry = context.connections.registry(image.repository)
    registry.renew_login()
    when = moment(int(plan.when.partition(" ")[0]))
    forms = plan.sign.sbom if plan.sign else ()
    attached = publish(registry, list(statements(context, image, forms)), signing, when)
    return Signed(image=image.reference, key=signing.name, attached=attached)


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """Done while the registry has all of it."""
    if not isinstance(before, Signed):
        return None
    registry = context.connections.registry(image.repository)
    return before if all(registry.head(each) for each in before.attached) else None
