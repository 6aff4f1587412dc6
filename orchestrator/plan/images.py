"""Which images a release will make, with their names."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.declaration import IMAGE_CHECKS, Variant, platform_word
from orchestrator.core.errors import UsageError
from orchestrator.core.plan import PlannedImage
from orchestrator.core.reference import parse_repository
from orchestrator.core.versions import parse_tag

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config, ImageSpec
    from orchestrator.core.plan import Plan


def planned_images(config: Config, version: str, head: str, previous: str = "") -> tuple[PlannedImage, ...]:
    """The images of a release, the default variant first.

    A candidate's name comes from the commit, so a rerun finds it again.  The default variant is published under
    the plain version and, where variants are declared, under its own name too.
    """
    spec = config.image
    if spec is None:
        return ()
    variants = spec.variants or (Variant(place=spec.place, name=""),)
    versions, page = (version, previous), config.repository_url
    return tuple(_planned(spec, each, versions, head, page, plain=each is variants[0]) for each in variants)


def _planned(
    spec: ImageSpec, variant: Variant, versions: tuple[str, str], head: str, page: str, *, plain: bool
) -> PlannedImage:
    """`versions`: this one, and the one before or ""."""
    version, previous = versions
    repository = parse_repository(spec.repository)
    # Twice the same where there are no variants; the first is the reference.
    endings = list(dict.fromkeys(("", variant.suffix) if plain else (variant.suffix,)))
    names = [repository.tag(f"{_name(version)}{ending}") for ending in endings]
    platforms = spec.platforms_of(variant)
    image = PlannedImage(
        repository=str(repository),
        reference=names[0],
        candidate=repository.tag(f"candidate-{head[:12]}{endings[0]}"),
        dockerfile=spec.dockerfile,
        context=spec.context,
        build_args=tuple({**dict(spec.build_args), **dict(variant.build_args)}.items()),
        platform=platforms[0] if len(platforms) == 1 else "",
        network=spec.network,
        floating=tuple(f"{tag}{ending}" for tag in spec.floating for ending in endings),
        smoke=(*spec.smoke, *variant.smoke),
        variant=variant.name,
        aliases=tuple(names[1:]),
        lock=spec.lock_of(variant, platforms[0]) if len(platforms) == 1 else "",
        parallel=spec.parallel,
        checks=spec.checks if spec.checks is not None else _usual_checks(spec, variant),
        patches=spec.patches,
        previous=repository.tag(f"{_name(previous)}{endings[0]}") if previous else None,
        repository_url=page,
        delta_budget=spec.delta_budget,
        size_budget=spec.size_budget,
        max_layers=spec.max_layers,
        engine=spec.options.builder,
        options=replace(spec.options, target=variant.target or spec.options.target),
        allow=spec.allow,
    )
    if len(platforms) == 1:
        return image
    return replace(image, parts=tuple(_part(image, spec, variant, platform) for platform in platforms))


def _part(image: PlannedImage, spec: ImageSpec, variant: Variant, platform: str) -> PlannedImage:
    """The image of one platform.  Nobody pulls it by its names, which are private: the version names the index."""
    repository, word = image.reference.repository, platform_word(platform)
    return replace(
        image,
        reference=repository.tag(f"part-{image.reference.tag}-{word}"),
        candidate=repository.tag(f"{image.candidate.tag}-{word}"),
        aliases=(),
        floating=(),
        platform=platform,
        lock=spec.lock_of(variant, platform),
        part_of=image.reference.tag,
    )


def _name(version: str) -> str:
    """What an image tag of the version is called: the product is in the repository's name."""
    parsed = parse_tag(version)
    return parsed.name if parsed else version


def _usual_checks(spec: ImageSpec, variant: Variant) -> tuple[str, ...]:
    """What is checked inside where release.yaml does not say: what there is something to check against."""
    if any(spec.lock_of(variant, platform) for platform in spec.platforms_of(variant)):
        return IMAGE_CHECKS
    return ("patches",) if spec.patches else ()


def chosen(plan: Plan, variant: str) -> tuple[PlannedImage, ...]:
    """What is built for a variant, "" for all.  Raises UsageError for one that is not there."""
    if not plan.images:
        raise UsageError(f"release.yaml at {plan.version} declares no image", code="no-image")
    names = [image.variant for image in plan.images]
    if variant and variant not in names:
        near = difflib.get_close_matches(variant, names, n=1)
        known = ", ".join(filter(None, names))
        raise UsageError(
            f"{plan.version} has no variant {variant!r}",
            remedy=f"did you mean {near[0]!r}?" if near else f"there are: {known}" if known else "leave --variant out",
            code="no-variant",
        )
    return tuple(each for image in plan.images if variant in ("", image.variant) for each in image.builds)
