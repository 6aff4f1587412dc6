"""Several builders of BuildKit for the images of one release: which of them can build, and which one builds what.

buildx gives all work to the first node of a platform, and knows no other when that one is down.  So the images are
spread here, over builders that `docker buildx ls` names, and one that fails gives its work to the next.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RemoteError, UsageError
from orchestrator.core.plan import Judgement
from orchestrator.core.results import Problem
from orchestrator.core.text import one_line
from orchestrator.dockerfile.facts import LABS
from orchestrator.engines import dialect_of
from orchestrator.image.builders import BUILDX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import BuildOptions
    from orchestrator.core.plan import PlannedImage
    from orchestrator.dockerfile.facts import DockerfileFacts
    from orchestrator.engines import DirectBuilder
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


def down(options: BuildOptions, connections: Connections) -> tuple[str, ...]:
    """A line for each of the named builders that cannot build."""
    return _down(ask(options.builders, connections)) if options.builders else ()


def _down(farm: Farm) -> tuple[str, ...]:
    return tuple(f"builder {name} is down, its work goes to the others: {why}" for name, why in farm.down.items())


def _assigned(images: Sequence[PlannedImage], farm: Farm) -> list[tuple[PlannedImage, tuple[str, ...]]]:
    work = [image for image in images if image.engine == BUILDX]
    return list(zip(work, spread([image.platform for image in work], farm.platforms), strict=True))


def _nobody(image: PlannedImage, farm: Farm) -> UsageError:
    for_what = f" for {image.platform}" if image.platform else ""
    return _none(f"no builder of `image.builders` can build {image.reference}{for_what} ({'; '.join(_said(farm))})")


def _said(farm: Farm) -> list[str]:
    said = [f"{name}: {why}" for name, why in farm.down.items()]
    return said + [f"{name} builds for {', '.join(theirs)}" for name, theirs in farm.platforms.items()]


def _none(message: str) -> UsageError:
    return UsageError(message, remedy=_REMEDY, code="builder-unusable")


def answering(names: Sequence[str], connections: Connections) -> str:
    """Which of them build, and which do not.  Raises UsageError where none does."""
    farm = ask(names, connections)
    if not farm.titles:
        raise _none(f"no builder of `image.builders` can build ({'; '.join(_said(farm))})")
    return "; ".join([f"{title} builds" for title in farm.titles.values()] + [*_down(farm)])


def described(images: Sequence[PlannedImage], connections: Connections) -> str:
    """Who will build what; builders that are down are named.  Raises UsageError where an image has nobody."""
    farm = ask(images[0].options.builders, connections)
    bases = ((image, spread([image.platform], farm.platforms)[0]) for image in images)
    assigned = _assigned(images, farm) or list(bases)
    for image, names in assigned:
        if not names:
            raise _nobody(image, farm)
    work = [f"{farm.titles[names[0]]} builds {_name(image)}" for image, names in assigned]
    return "; ".join([*work, *_down(farm)])


def unread(file: str, facts: DockerfileFacts, options: BuildOptions, connections: Connections) -> Judgement:
    """Of the flags that are to be tried, which there are, those that a builder does not know; a note where that was not
    found out."""
    problems, notes = list[Problem](), list[str]()
    able = _able(options, connections)
    if not able:
        _, flag, line = facts.tried[0]
        notes.append(f"{file}:{line}: no builder could be asked whether it reads --{flag}")
    for builder in able:
        for name, flag, line in facts.tried:
            known = builder.reads(dialect_of(BUILDX).tried[name, flag])
            if known is None:
                notes.append(
                    f"{file}:{line}: builder {builder.title} did not say whether it reads {name} --{flag}: the build "
                    "will tell"
                )
            elif not known:
                problems.append(_not_read(f"{name} --{flag}", f"{file}:{line}"))
    return Judgement(problems=tuple(dict.fromkeys(problems)), notes=tuple(notes))


def _able(options: BuildOptions, connections: Connections) -> list[DirectBuilder]:
    try:
        if options.builders:
            ask(options.builders, connections)
        found = [connections.direct(name) for name in options.builders or ("",)]
    except UsageError:
        return []
    return [builder for builder in found if not builder.incapable]


def _not_read(what: str, where: str) -> Problem:
    return Problem(
        code="builder-cannot",
        message=f"{what} is not known to what reads Dockerfiles inside the builder",
        where=where,
        remedy=f"make `# syntax={LABS}` the first line, or its copy in a registry that the builder reaches; "
        "or do without the flag",
    )


def _name(image: PlannedImage) -> str:
    """Platforms of one image have one name."""
    return f"{image.part_of or image.reference.tag}{f' for {image.platform}' if image.platform else ''}"
