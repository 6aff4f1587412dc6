"""Which images a release will make, with their names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.declaration import IMAGE_CHECKS, Variant
from orchestrator.core.plan import PlannedImage
from orchestrator.core.reference import parse_repository
from orchestrator.core.versions import parse_tag

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config, ImageSpec


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
    return PlannedImage(
        repository=str(repository),
        reference=names[0],
        candidate=repository.tag(f"candidate-{head[:12]}{endings[0]}"),
        dockerfile=spec.dockerfile,
        context=spec.context,
        build_args=tuple({**dict(spec.build_args), **dict(variant.build_args)}.items()),
        platform=variant.platform or spec.platform,
        network=spec.network,
        floating=tuple(f"{tag}{ending}" for tag in spec.floating for ending in endings),
        smoke=(*spec.smoke, *variant.smoke),
        variant=variant.name,
        aliases=tuple(names[1:]),
        lock=variant.lock or spec.lock,
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
    )


def _name(version: str) -> str:
    """What an image tag of the version is called: the product is in the repository's name."""
    parsed = parse_tag(version)
    return parsed.name if parsed else version


def _usual_checks(spec: ImageSpec, variant: Variant) -> tuple[str, ...]:
    """What is checked inside where release.yaml does not say: what there is something to check against."""
    if variant.lock or spec.lock:
        return IMAGE_CHECKS
    return ("patches",) if spec.patches else ()
