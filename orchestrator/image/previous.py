"""What cannot be meant, by the image of the version before: another platform under the tag, or next to nothing in it.

It has happened to large projects: an image built on a laptop of another kind, and one whose heavy layer was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import UnprovedError
from orchestrator.registry.manifest import fits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.plan import PlannedImage
    from orchestrator.engines import ImageStore
    from orchestrator.registry.client import Registry

_SHRUNK: Final = 10  # so many times less than before is no release of the same thing


def refuse_unlike(engine: ImageStore, image: PlannedImage, image_id: str, registry: Registry) -> None:
    """Before the upload, by what the engine knows.  Raises UnprovedError."""
    info = engine.inspect(image_id)
    if info is None:
        return  # the checks say so
    platform = f"linux/{info.architecture}"
    if image.platform and info.architecture and not fits(platform, image.platform):
        raise UnprovedError(
            f"{image.short} was to be for {image.platform}, and what was built is for {platform}",
            where=str(image.candidate),
            remedy="the base is there for another platform only: name one that has this one, or correct the platform",
            code="wrong-platform",
            state="nothing was pushed",
        )
    if not image.part_of and info.architecture:
        refuse_dropped(registry, image, [platform])
    refuse_shrunk(registry, image, info.size, platform)


def refuse_dropped(registry: Registry, image: PlannedImage, platforms: Sequence[str]) -> None:
    """Raises UnprovedError where who pulled the version before for some platform gets nothing that runs there."""
    named = registry.released(image.previous.tag) if image.previous and "platform" not in image.allow else None
    before = registry.platforms(named) if named else ()
    gone = [each for each in before if each and not any(fits(each, platform) for platform in platforms)]
    if gone:
        raise UnprovedError(
            f"{image.previous} is for {' and '.join(gone)}, and {image.short} is for {' and '.join(platforms)} only",
            where=str(image.candidate),
            remedy="build it for that platform (`image.platform`, `image.platforms`), "
            "or say that it is meant: `image.allow: [platform]`",
            code="platform-differs",
            state="nothing is public",
        )


def refuse_shrunk(registry: Registry, image: PlannedImage, size: int, platform: str) -> None:
    """Raises UnprovedError for an image of less than a tenth of what the version before takes in the registry.

    `size` is what it takes there too, or unpacked, which is more.
    """
    named = registry.released(image.previous.tag) if image.previous and "shrunk" not in image.allow else None
    own = registry.find_image(named, image.platform or platform) if named else None
    before = sum(layer.size for layer in registry.layers(own)) if own else 0
    if size * _SHRUNK < before:
        raise UnprovedError(
            f"{image.short} has {size} bytes, less than a tenth of {image.previous} ({before} bytes in the registry)",
            where=str(image.candidate),
            remedy="look in the build's log for what is missing, or say that it is meant: `image.allow: [shrunk]`",
            code="image-shrunk",
            state="nothing is public",
        )
