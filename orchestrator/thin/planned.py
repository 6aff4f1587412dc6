"""The heavy base of each image of a plan: its name, what it is made from, what stands in the way of a thin release."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.plan import HEAVY_PLATFORM, NO_ENGINE, PlannedHeavy, PlannedImage
from orchestrator.core.reference import parse_repository
from orchestrator.core.results import Problem
from orchestrator.git.content import filled
from orchestrator.image.builders import AUTO
from orchestrator.image.context import ignore_rules
from orchestrator.thin.final import FinalStage, described, final_stage
from orchestrator.thin.heavy import ContextFile, HeavyInputs, changes, heavy_inputs
from orchestrator.thin.stages import read_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from orchestrator.core.declaration import HeavySpec, ImageSpec
    from orchestrator.core.plan import Plan
    from orchestrator.git.scratch import Scratch
    from orchestrator.thin.stages import Stage, Stages

_NAMED = 3  # so many changes are listed


@dataclass(frozen=True, kw_only=True)
class ReadImage:
    """A Dockerfile of a tree, read with the heavy base in mind."""

    stages: Stages
    heavy: Stage
    final: FinalStage
    inputs: HeavyInputs


def with_heavy(
    images: Sequence[PlannedImage], spec: ImageSpec | None, scratch: Scratch, tree: str
) -> tuple[PlannedImage, ...]:
    """The images with their heavy bases; as they are where none is declared, or none can be read (`heavy_problems`)."""
    if spec is None or spec.heavy is None:
        return tuple(images)
    return tuple(_with_heavy(image, spec.heavy, scratch, tree) for image in images)


def _with_heavy(image: PlannedImage, spec: HeavySpec, scratch: Scratch, tree: str) -> PlannedImage:
    if image.parts:
        return replace(image, parts=tuple(_with_heavy(part, spec, scratch, tree) for part in image.parts))
    read = read_image(image, spec.stage, spec.epoch, scratch, tree)
    repository = parse_repository(spec.repository or image.repository)
    planned = PlannedHeavy(stage=spec.stage, epoch=spec.epoch, repository=str(repository))
    if read:
        inputs, final = read.inputs, read.final
        planned = replace(
            planned,
            key=inputs.key,
            reference=repository.tag(inputs.tag),
            is_thin=final.is_thin,
            is_direct=final.is_direct,
            ends=read.stages.end(read.heavy),
        )
    return replace(
        image, heavy=planned, engine=NO_ENGINE if planned.is_direct and image.engine == AUTO else image.engine
    )


def read_image(image: PlannedImage, stage: str, epoch: int, scratch: Scratch, tree: str) -> ReadImage | None:
    """The Dockerfile of an image in a tree; None where there is none, or it has no such stage."""
    text = scratch.file(tree, image.dockerfile)
    if text is None:
        return None
    arguments, platform = dict(image.build_args), image.platform or HEAVY_PLATFORM
    stages = read_stages(text, arguments, platform)
    heavy = stages.find(stage)
    if heavy is None or not stages.stages:
        return None
    return ReadImage(
        stages=stages,
        heavy=heavy,
        final=final_stage(stages, stages.last(image.options.target), heavy, arguments),
        inputs=heavy_inputs(
            stages,
            heavy,
            context_files(image, scratch, tree),
            dockerfile=image.dockerfile,
            build_args=arguments,
            platform=platform,
            epoch=epoch,
        ),
    )


def context_files(image: PlannedImage, scratch: Scratch, tree: str) -> list[ContextFile]:
    """What a build of the image gets, without what .dockerignore leaves out."""
    rules = ignore_rules(lambda path: scratch.file(tree, path), image.context, image.dockerfile)
    root = posixpath.normpath(image.context or ".")
    head = "" if root == "." else f"{root}/"
    found = []
    for entry in filled(scratch, tree):
        path = entry.path.removeprefix(head)
        if entry.path.startswith(head) and not (rules.ignored and rules.ignored(path)):
            found.append(ContextFile(path=path, mode=entry.mode, sha=entry.sha))
    return found


# ------------------------------------------------------------------ what is said at plan


def heavy_problems(
    plan: Plan, scratch: Scratch, config: str, weight: Callable[[PlannedImage], int] = lambda _: 0
) -> Iterator[Problem]:
    """What makes `image.heavy` impossible; `config` is the file that declares it.

    `weight` is the size of the version before in the registry, 0 where it is not known: what each release would move.
    """
    for image in plan.builds:
        if image.heavy is None or scratch.file(plan.tree, image.dockerfile) is None:
            continue
        read = read_image(image, image.heavy.stage, image.heavy.epoch, scratch, plan.tree)
        if read is None:
            yield Problem(
                code="no-heavy-stage",
                message=f"{image.dockerfile} has no stage {image.heavy.stage!r}",
                where=config,
                remedy="name the stage that holds what is heavy: FROM ... AS heavy",
            )
            continue
        for line in read.inputs.moving:
            where, _, said = line.partition(" ")
            remedy = "move it behind the heavy stage"
            yield Problem(code="heavy-moves", message=f"the heavy stage {said}", where=where, remedy=remedy)
        heavy = [each for each in read.final.obstacles if each.is_heavy]
        size = weight(image) if heavy else 0
        cost = f", {size >> 10:,} KiB as {plan.previous} has them" if size else ""
        for each in heavy:
            where = f"{image.dockerfile}:{each.line}"
            yield Problem(code="not-thin", message=f"{each.message}{cost}", where=where, remedy=each.move)


def heavy_notes(
    plan: Plan, scratch: Scratch, before: Mapping[tuple[str, str], PlannedImage], old_tree: str
) -> Iterator[str]:
    """Why a heavy base is another one than that of the version before, and what needs a builder.

    `before` are the images of that version by variant and platform, as its own release.yaml has them; `old_tree` is its
    tree.
    """
    for image in plan.builds:
        if image.heavy is None:
            continue
        read = read_image(image, image.heavy.stage, image.heavy.epoch, scratch, plan.tree)
        if read is None:
            continue
        yield from read.inputs.notes
        yield from described(image.dockerfile, [each for each in read.final.obstacles if not each.is_heavy])
        old = before.get((image.variant, image.platform))
        if old is None or old.heavy is None or old.heavy.key == image.heavy.key:
            continue
        was = read_image(old, old.heavy.stage, old.heavy.epoch, scratch, old_tree)
        if was:
            why = list(changes(was.inputs, read.inputs))
            more = f", and {len(why) - _NAMED} more" if len(why) > _NAMED else ""
            yield f"a new heavy base, {image.heavy.name}, since {plan.previous}: {'; '.join(why[:_NAMED])}{more}"
