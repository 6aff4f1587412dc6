"""Several builders of BuildKit for the images of one release: which of them can build, and which one builds what.

buildx gives all work to the first node of a platform, and knows no other when that one is down.  So the images are
spread here, over builders that `docker buildx ls` names, and one that fails gives its work to the next.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.text import one_line
from orchestrator.image.builders import BUILDX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.plan import PlannedImage
    from orchestrator.session.connections import Connections

_REMEDY: Final = "look at it with `docker buildx inspect --bootstrap NAME`, or take it off `image.builders`"


@dataclass(frozen=True, kw_only=True)
class Farm:
    """What the builders said when they were asked."""

    platforms: Mapping[str, tuple[str, ...]]  # of those that build, native ones first; () where they do not say
    titles: Mapping[str, str]
    down: Mapping[str, str]  # the others, and why


def ask(names: Sequence[str], connections: Connections) -> Farm:
    """All at the same time, since one that is down answers late.  Each is asked once in a run."""
    with ThreadPoolExecutor(len(names)) as pool:
        answers = dict(zip(names, pool.map(lambda name: _answer(name, connections), names), strict=True))
    up = {name: answer for name, answer in answers.items() if not isinstance(answer, str)}
    return Farm(
        platforms={name: platforms for name, (_, platforms) in up.items()},
        titles={name: title for name, (title, _) in up.items()},
        down={name: answer for name, answer in answers.items() if isinstance(answer, str)},
    )


def _answer(name: str, connections: Connections) -> tuple[str, tuple[str, ...]] | str:
    builder = connections.direct(name)
    if why := builder.incapable:
        return one_line(why)
    try:
        return builder.title, builder.platforms
    except RemoteError as error:  # it went between the two questions
        return error.message


def spread(work: Sequence[str], platforms: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    """For each platform of the work ("" for any) the builders that can do it, the one that shall do it first.

    A builder of that platform goes before one that emulates it; among equals the one with the least work so far.
    """
    load = dict.fromkeys(platforms, 0)
    order = {name: number for number, name in enumerate(platforms)}
    found = []
    for platform in work:
        fit = [name for name, theirs in platforms.items() if _builds(platform, theirs)]
        fit.sort(key=lambda name: (_emulates(platform, platforms[name]), load[name], order[name]))
        if fit:
            load[fit[0]] += 1
        found.append(tuple(fit))
    return tuple(found)


def _builds(platform: str, theirs: tuple[str, ...]) -> bool:
    return not platform or not theirs or platform in theirs


def _emulates(platform: str, theirs: tuple[str, ...]) -> bool:
    return bool(platform and theirs) and theirs[0] != platform


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The builders for an image, in the order in which they are tried; what is said of those that are down."""

    names: tuple[str, ...] = ("",)  # buildx's current one, where release.yaml names none
    down: tuple[str, ...] = ()


def choice(image: PlannedImage, images: Sequence[PlannedImage], connections: Connections) -> Choice:
    """For an image among those of a release.  Raises UsageError where none of the named builders can."""
    if not image.options.builders:
        return Choice()
    farm = ask(image.options.builders, connections)
    key = (image.reference, image.platform)
    assigned = ((each.reference, each.platform, names) for each, names in _assigned(images, farm))
    own = spread([image.platform], farm.platforms)[0]  # of a heavy base, whose image no engine makes
    found = next((names for *each, names in assigned if tuple(each) == key), own)
    if not found:
        raise _nobody(image, farm)
    return Choice(names=found, down=_down(farm))


def _down(farm: Farm) -> tuple[str, ...]:
    return tuple(f"builder {name} is down, its work goes to the others: {why}" for name, why in farm.down.items())


def _assigned(images: Sequence[PlannedImage], farm: Farm) -> list[tuple[PlannedImage, tuple[str, ...]]]:
    work = [image for image in images if image.engine == BUILDX]
    return list(zip(work, spread([image.platform for image in work], farm.platforms), strict=True))


def _nobody(image: PlannedImage, farm: Farm) -> UsageError:
    said = [f"{name}: {why}" for name, why in farm.down.items()]
    said += [f"{name} builds for {', '.join(theirs)}" for name, theirs in farm.platforms.items()]
    for_what = f" for {image.platform}" if image.platform else ""
    return UsageError(
        f"no builder of `image.builders` can build {image.reference}{for_what} ({'; '.join(said)})",
        remedy=_REMEDY,
        code="builder-unusable",
    )


def described(images: Sequence[PlannedImage], connections: Connections) -> str:
    """Who will build what; builders that are down are named.  Raises UsageError where an image has nobody."""
    farm = ask(images[0].options.builders, connections)
    assigned = _assigned(images, farm)
    for image, names in assigned:
        if not names:
            raise _nobody(image, farm)
    work = [f"{farm.titles[names[0]]} builds {_name(image)}" for image, names in assigned]
    return "; ".join([*work, *_down(farm)])


def _name(image: PlannedImage) -> str:
    """Platforms of one image have one name."""
    return f"{image.part_of or image.reference.tag}{f' for {image.platform}' if image.platform else ''}"
