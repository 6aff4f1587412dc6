"""Prove each built image before anything is public."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UnprovedError
from orchestrator.core.plan import NO_ENGINE, SMOKE
from orchestrator.core.results import CheckResult, CheckState
from orchestrator.release.steps.build import Built, expected_labels
from orchestrator.release.steps.builds.proving import ProvingPlace, by_digest
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.runner import Task, TaskContext
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.core.results import CheckResult
    from orchestrator.engines import EngineHealth
    from orchestrator.image.smoke import Check, InsideChecks


@dataclass(frozen=True, kw_only=True)
class Smoked(Outcome):
    """Of what was built: the engine's `image_id`, or `digest` where the registry alone had it."""

    image_id: str
    digest: str = ""
    size: int = 0  # bytes, unpacked, of what came by its digest: only then they are known
    results: tuple[CheckResult, ...]

    def part(self) -> dict[str, Any]:
        return {"checks": self.results} | ({"size": self.size} if self.digest else {})


def tasks(plan: Plan) -> tuple[Task, ...]:
    return tuple(_task(image) for image in plan.builds)


def _task(image: PlannedImage) -> Task:
    return Task(
        key=image.task(SMOKE),
        title=f"smoke-test {image.reference}",
        run=lambda context: _run(context, image),
        probe=lambda context, before: _probe(context, image, before),
        group="prove",
    )


def _run(context: TaskContext, image: PlannedImage) -> Smoked:
    built, key = context.outcome(Built, image), image.task(SMOKE)
    found = by_digest(context, image, built.digest) if built.digest else in_engine(context, built.image_id)
    results = prove(context, image, found, light_passed=lambda: context.allow(key))
    return Smoked(
        image=image.reference,
        image_id=built.image_id,
        digest=built.digest,
        size=found.size if built.digest else 0,
        results=results,
    )


def in_engine(context: TaskContext, image_id: str) -> ProvingPlace:
    """What the engine itself built."""
    return ProvingPlace(prover=context.connections.swept_runtime(), id=image_id)


def prove(
    context: TaskContext, image: PlannedImage, found: ProvingPlace, light_passed: Callable[[], None] = lambda: None
) -> tuple[CheckResult, ...]:
    """All checks of an image where it is.  Raises UnprovedError when one fails.

    `light_passed` is called when those have passed that run nothing in it: labels, budgets.
    """
    from orchestrator.image.budgets import budget_checks
    from orchestrator.image.previous import refuse_unlike
    from orchestrator.image.smoke import smoke

    engine, image_id = found.prover, found.id
    refuse_unlike(engine, image, image_id, context.connections.registry(image.repository))
    results = found.first + smoke(
        engine,
        image_id,
        tag=context.plan.version,
        revision=context.plan.head,
        commands=image.smoke,
        expected_labels=expected_labels(context, image),
        report=context.report,
        inside=_inside(context, image),
        foreign=_foreign(engine.health(), image) if image.platform else "",
        more=[
            *budget_checks(
                engine, found.measurable(image), image_id, lambda: context.connections.registry(image.repository)
            ),
            *_thin_checks(context, image),
        ],
        light_passed=light_passed,
    )
    failed = [result for result in results if result.state is CheckState.FAILED]
    if failed:
        raise UnprovedError(
            f"smoke: {len(failed)} of {len(results)} checks failed: " + ", ".join(result.name for result in failed),
            where=str(image.candidate),
            remedy=failed[0].remedy or "correct the image or the check, then run the same command again",
            detail="\n".join(f"{result.name}: {result.message}" for result in failed),
            code="smoke-failed",
            state=f"nothing is public: {image.candidate}, if its upload has got so far, is a private name; "
            f"the image is {image_id[:19]} {found.place}",
        )
    return results


def _thin_checks(context: TaskContext, image: PlannedImage) -> list[Check]:
    """`thin-parents`: the layers on a heavy base change none of its folders."""
    built = context.find(Built, image)
    heavy, digest = (built.heavy, built.digest) if built else (None, "")
    if heavy is None:
        return []

    def check() -> tuple[CheckState, str, str]:
        if built and built.engine == NO_ENGINE:  # they were looked at when they were made, and these are those bytes
            return CheckState.PASSED, f"as in {heavy.reference}", ""
        from orchestrator.thin.base import find_facts, odd_in_image

        below = context.connections.registry(str(heavy.reference.repository))
        registry = context.connections.registry(image.repository)
        base, own = below.manifest(heavy.digest), registry.manifest(digest)
        facts = find_facts(below, heavy.reference.tag, heavy.digest)
        if base is None or own is None or facts is None:
            return CheckState.SKIPPED, f"the registry does not tell what is in {heavy.reference}", ""
        odd = odd_in_image(registry, registry.image(own, image.platform), len(registry.layers(base)), facts)
        message, _, remedy = (odd or ["; "])[0].rpartition("; ")
        return (CheckState.FAILED, message, remedy) if odd else (CheckState.PASSED, f"as in {heavy.reference}", "")

    return [("thin-parents", check)]


def _foreign(health: EngineHealth, image: PlannedImage) -> str:
    """Why nothing of the image may run in this engine; "" where it is the engine's own platform."""
    from orchestrator.registry.manifest import fits

    native = f"{health.os}/{health.architecture}"
    if fits(native, image.platform):
        return ""
    return (
        f"{image.platform} does not run on this engine, {native}; a job on such a machine proves it (docs: platforms)"
    )


def _inside(context: TaskContext, image: PlannedImage) -> InsideChecks:
    from orchestrator.image.smoke import InsideChecks

    if not image.checks:
        return InsideChecks()
    with context.repository.scratch() as scratch:
        committed = CommittedFiles(scratch, context.plan.tree)
        lock = committed.lock(image.lock)
        patches = committed.below(image.patches) if image.patches else None
    return InsideChecks(checks=image.checks, lock=lock, patches=patches)


def _probe(context: TaskContext, image: PlannedImage, before: Outcome | None) -> Outcome | None:
    """What was proved of these very bytes stays proved."""
    built = context.outcome(Built, image)
    same = isinstance(before, Smoked) and (before.image_id, before.digest) == (built.image_id, built.digest)
    return before if same else None
