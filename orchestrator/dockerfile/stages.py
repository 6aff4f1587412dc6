"""The stages of a Dockerfile, which of them an image needs, and its text without flags that a builder lacks."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from orchestrator.dockerfile.parser import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from orchestrator.dockerfile.parser import Instruction

FROM_OF_MOUNT = re.compile(r"(?:^|,)from=([^,\s]+)")
# `[stage 2/5] ADD ...`, `[linux/arm64 stage 2/5] ADD ...`
_STEP = re.compile(
    r"\[(?:[a-z0-9]+/\S+ )?(?P<stage>[^\s\]/]*) ?(?P<number>\d{1,6})/(?P<total>\d{1,6})\] (?P<name>[A-Z]+) .*",
    re.DOTALL,
)
_STEPS = ("RUN", "COPY", "ADD", "WORKDIR")  # what BuildKit counts
BEFORE = -1  # where ARG lines stand above the first FROM


class StageGraph:
    """Numbered from 0 in the order of the file; a name is known in any case, and the last of that name counts.

    `expand` fills in the arguments of a FROM, which may name a stage by them: `base-${TARGETARCH}`.
    """

    def __init__(self, instructions: Sequence[Instruction], expand: Callable[[str], str | None]) -> None:
        self._expand = expand
        self._of: dict[int, int] = {}  # id of an instruction -> its stage
        self._numbers: dict[str, int] = {}
        self._wants: list[set[int]] = []
        for instruction in instructions:
            if instruction.name == "FROM":
                self._begin(instruction)
            elif self._wants:
                self._wants[-1] |= set(self._named(_origins(instruction)))
            self._of[id(instruction)] = len(self._wants) - 1

    def _begin(self, instruction: Instruction) -> None:
        words = instruction.args.split()
        self._wants.append(set(self._named(self._expand(word) or word for word in words[:1])))
        if len(words) == 3 and words[1].lower() == "as":
            self._numbers[words[2].lower()] = len(self._wants) - 1

    def _named(self, texts: Iterable[str]) -> Iterator[int]:
        for text in texts:
            number = self._numbers.get(text.lower(), int(text) if text.isdigit() else None)
            if number is not None and number < len(self._wants):
                yield number

    @property
    def names(self) -> list[str]:
        return list(self._numbers)

    def has(self, name: str) -> bool:
        return next(self._named([name]), None) is not None

    def of(self, instruction: Instruction) -> int:
        return self._of[id(instruction)]

    def number(self, name: str) -> int | None:
        """Of a stage as BuildKit calls it: by its name, or `stage-2`."""
        unnamed = name.removeprefix("stage-")
        return next(self._named([name, unnamed]), None) if name else len(self._wants) - 1

    def needed(self, target: str, *, whole: bool) -> set[int]:
        """Those that are built for a stage ("" for the last one), and BEFORE; `whole`: the builder builds every stage
        down to it."""
        last = next(self._named([target]), len(self._wants) - 1) if target else len(self._wants) - 1
        found, left = {BEFORE}, list(range(last + 1)) if whole else [last]
        while left:
            if (stage := left.pop()) not in found:
                found.add(stage)
                left += self._wants[stage]
        return found


def mounted(instruction: Instruction) -> Iterator[str]:
    """What bind mounts of a RUN take from the context."""
    for name, value in instruction.flags:
        options = dict(part.partition("=")[::2] for part in value.split(",")) if name == "mount" else {}
        if options and options.get("type", "bind") == "bind" and "from" not in options:
            yield options.get("source") or options.get("src") or "."


def line_of(text: bytes, step: str) -> int:
    """The line of a step as BuildKit names it, 0 where it is not found.

    It counts what makes layers, with the FROM of an image.  What counts otherwise is another instruction: no line then.
    """
    instructions = parse(text).instructions
    graph, match = StageGraph(instructions, str), _STEP.fullmatch(step)
    stage = graph.number(match["stage"]) if match else None
    if match is None or stage is None:
        return 0
    own = [each for each in instructions if graph.of(each) == stage]
    counted = [each for each in own if each.name in _STEPS]
    number, total = int(match["number"]), int(match["total"])
    counted = own[:1] + counted if total == len(counted) + 1 else counted
    found = counted[number - 1] if 0 < number <= len(counted) == total else None
    return found.line if found and found.name == match["name"] else 0


def takes(sources: Iterable[str], path: str) -> bool:
    """Whether COPY or ADD of one of these sources takes what stands at `path` of the context, or below it.

    A source with a variable may be anything.
    """
    parts = path.split("/")
    for source in sources:
        wanted = [part for part in source.split("/") if part not in ("", ".")]
        if "$" in source or all(fnmatchcase(part, pattern) for part, pattern in zip(parts, wanted, strict=False)):
            return True
    return False


def _origins(instruction: Instruction) -> Iterator[str]:
    """What `--from` of COPY and of a mount name."""
    for name, value in instruction.flags:
        if name == "from":
            yield value
        elif name == "mount":
            yield from FROM_OF_MOUNT.findall(value)


def without(text: bytes, flags: Collection[str]) -> bytes:
    """The Dockerfile without these flags of COPY and ADD; every line stays where it is."""
    lines = text.split(b"\n")
    for instruction in parse(text).instructions:
        found = instruction.trigger or instruction
        if found.name in ("COPY", "ADD") and {name for name, _ in found.flags} & set(flags):
            _drop(lines, instruction.line - 1, flags)
    return b"\n".join(lines)


def _drop(lines: list[bytes], index: int, flags: Collection[str]) -> None:
    """From an instruction's first line on, as far as its flags go."""
    flag = re.compile(rb"(?<=\s)--(?:%s)(?:=\S*)?(?=\s|$)" % b"|".join(re.escape(each.encode()) for each in flags))
    while index < len(lines):
        lines[index] = flag.sub(b"", lines[index])
        words = lines[index].split()
        only_flags = all(
            word.startswith(b"--") for word in words[:-1] if word.upper() not in (b"COPY", b"ADD", b"ONBUILD")
        )
        if not (only_flags and words and words[-1] in (b"\\", b"`")):
            return
        index += 1
