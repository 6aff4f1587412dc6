"""A Dockerfile as stages: what each is made from, which arguments it takes, and what it copies."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.dockerfile.facts import PLATFORM_ARGS, platform_values
from orchestrator.dockerfile.parser import Instruction, parse
from orchestrator.dockerfile.words import BadSubstitutionError, expand, expand_text, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MOUNT_FROM: Final = re.compile(r"(?:^|,)from=([^,]+)")
_NAMES: Final = re.compile(r"\$\{?(\w+)")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """FROM and what follows it.  `base` has its arguments filled in: a stage before, an image, or scratch."""

    index: int
    name: str  # in lower case, "" for none
    line: int
    source: str  # the words of FROM, as written
    base: str
    instructions: tuple[Instruction, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """Stages and images that it is made from, by name or number: its base, what it copies or mounts from."""
        found = dict.fromkeys([self.base])
        for each in self.instructions:
            for name, value in each.flags:
                if name == "from" and each.name in ("COPY", "ADD"):
                    found[value] = None
                elif name == "mount" and (mounted := _MOUNT_FROM.search(value)):
                    found[mounted[1]] = None
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The stages of a Dockerfile, and the arguments above the first FROM with their values."""

    stages: tuple[Stage, ...]
    arguments: Mapping[str, str]
    escape: str = "\\"

    def find(self, name: str) -> Stage | None:
        """The stage of that name, or of that number."""
        wanted = name.lower()
        named = [each for each in self.stages if each.name and each.name == wanted]
        if named:
            return named[-1]
        is_number = wanted.isdigit() and int(wanted) < len(self.stages)
        return self.stages[int(wanted)] if is_number else None

    def last(self, target: str) -> Stage:
        """The stage that is built: the one of that name, else the last one."""
        return (self.find(target) if target else None) or self.stages[-1]

    def before(self, stage: Stage, name: str) -> Stage | None:
        """What `name` means within a stage: one above it, or None for an image."""
        found = self.find(name)
        return found if found and found.index < stage.index else None

    def end(self, stage: Stage) -> int:
        """The first line behind a stage; 0 for the last one."""
        behind = self.stages[stage.index + 1 : stage.index + 2]
        return behind[0].line if behind else 0

    def closure(self, stage: Stage) -> tuple[Stage, ...]:
        """A stage with every stage that it needs, in their order."""
        waiting, found = [stage], dict[int, Stage]()
        while waiting:
            each = waiting.pop()
            if each.index not in found:
                found[each.index] = each
                waiting += filter(None, (self.before(each, name) for name in each.needs))
        return tuple(found[index] for index in sorted(found))


def read_stages(text: bytes, build_args: Mapping[str, str], platform: str) -> Stages:
    """The stages of a Dockerfile.  What is wrong with it is for others to say: odd text gives odd stages."""
    dockerfile = parse(text)
    arguments = dict(platform_values(platform, platform)) if platform else {}
    stages, own = list[Stage](), list[Instruction]()
    start: Instruction | None = None
    for each in (*dockerfile.instructions, None):
        if each is None or each.name == "FROM":
            if start is not None:
                stages.append(_stage(len(stages), start, own, arguments, dockerfile.escape))
            start, own = each, []
        elif start is not None:
            own.append(each)
        elif each.name == "ARG":
            arguments |= declared(each, build_args, arguments, dockerfile.escape)
    return Stages(stages=tuple(stages), arguments=arguments, escape=dockerfile.escape)


def _stage(
    index: int, start: Instruction, own: Sequence[Instruction], arguments: Mapping[str, str], escape: str
) -> Stage:
    words = start.args.split()
    is_named = len(words) == 3 and words[1].lower() == "as"
    return Stage(
        index=index,
        name=words[2].lower() if is_named else "",
        line=start.line,
        source=words[0] if words else "",
        base=filled_in(words[0], arguments, escape) if words else "",
        instructions=tuple(own),
    )


def filled_in(word: str, values: Mapping[str, str], escape: str) -> str:
    """A word with its variables filled in, as it is where its form is not known."""
    try:
        return expand(word, values, escape)
    except BadSubstitutionError:
        return word


def declared(
    instruction: Instruction, build_args: Mapping[str, str], known: Mapping[str, str], escape: str
) -> dict[str, str]:
    """Name -> value of what an ARG declares; an argument without any value is "", as an unset variable is."""
    found: dict[str, str] = {}
    for word in split(instruction.args, escape):
        name, has_default, default = word.partition("=")
        inherited = known.get(name, "") if not has_default or name in PLATFORM_ARGS else ""
        found[name] = build_args.get(name, filled_in(default, {**known, **found}, escape) if has_default else inherited)
    return found


@dataclass
class Scope:
    """The variables of a stage while it is read from its top: those of ARG, and those of ENV, which are stronger."""

    stages: Stages
    build_args: Mapping[str, str]
    args: dict[str, str]
    env: dict[str, str]

    def see(self, instruction: Instruction) -> None:
        """Note what an ARG or ENV declares."""
        escape = self.stages.escape
        if instruction.name == "ARG":
            self.args |= declared(instruction, self.build_args, {**self.stages.arguments, **self.values}, escape)
        elif instruction.name == "ENV":
            values = self.values
            self.env |= {name: filled_in(value, values, escape) for name, value in pairs(instruction, escape)}

    @property
    def values(self) -> dict[str, str]:
        return {**self.args, **self.env}

    def fill_in(self, word: str) -> str:
        """A word without its quotes, with its variables filled in."""
        return filled_in(word, self.values, self.stages.escape)

    def fill_in_text(self, text: str) -> str:
        """The text of a here-document; as it is where a substitution in it is not known."""
        try:
            return expand_text(text, self.values)
        except BadSubstitutionError:
            return text


def scope(stages: Stages, build_args: Mapping[str, str], env: Mapping[str, str] | None = None) -> Scope:
    """The variables at the top of a stage, whose base sets `env`."""
    return Scope(stages, build_args, {}, dict(env or {}))


def pairs(instruction: Instruction, escape: str) -> Iterator[tuple[str, str]]:
    """The names and values of ENV and LABEL, as written; also of the old form `ENV NAME rest of the line`."""
    words = split(instruction.args, escape)
    if words and "=" not in words[0]:
        yield words[0], instruction.args[len(words[0]) :].strip()
        return
    for word in words:
        name, _, value = word.partition("=")
        yield name, value


def copied(instruction: Instruction, escape: str) -> tuple[list[str], str]:
    """Sources and destination of COPY or ADD, without quotes but with their variables; heredocs are no sources."""
    if instruction.args.startswith("["):
        try:
            words = [str(word) for word in json.loads(instruction.args)]
        except ValueError:
            words = []
    else:
        words = split(instruction.args, escape)
    if instruction.heredocs:
        words = [word for word in words if not word.startswith("<<")]
    return words[:-1], words[-1] if words else ""


def named_variables(text: str) -> set[str]:
    """The names of variables in a text."""
    return set(_NAMES.findall(text))
