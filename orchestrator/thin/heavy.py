"""What a heavy base is made from, and the name that follows from it.

The key is a hash of everything that goes into the base: the stages of the Dockerfile that make it, the values of their
arguments, the files that they copy, the image below, platform and time.  Who has the same inputs has the same name.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.dockerfile.facts import PLATFORM_ARGS
from orchestrator.dockerfile.stages import mounted
from orchestrator.thin.stages import copied, named_variables, scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from orchestrator.dockerfile.parser import Instruction
    from orchestrator.thin.stages import Stage, Stages

PREFIX: Final = "heavy-"
_FORMAT: Final = 1  # of the key: another one makes every heavy base anew
_EVERY_VERSION: Final = ("RELEASE_VERSION", "RELEASE_REVISION")
_PINNED: Final = re.compile(r".+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class ContextFile:
    """A file that a build gets; `path` is relative to the context, `sha` git's id of its content."""

    path: str
    mode: str
    sha: str


@dataclass(frozen=True, kw_only=True)
class Input:
    """One thing that a heavy base is made from; `place` is where a person finds it, and no part of the key."""

    name: str
    value: str
    place: str


@dataclass(frozen=True, kw_only=True)
class HeavyInputs:
    """Everything that it is made from.  `moving` are lines on what makes another base with every version."""

    inputs: tuple[Input, ...]
    base: str  # the image below all of it
    moving: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """SHA-256 over names and values, in hex."""
        content = [_FORMAT, *([each.name, each.value] for each in self.inputs)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @property
    def tag(self) -> str:
        return f"{PREFIX}{self.key[:16]}"


def heavy_inputs(
    stages: Stages,
    stage: Stage,
    files: Collection[ContextFile],
    *,
    dockerfile: str,
    build_args: Mapping[str, str],
    platform: str,
    epoch: int,
) -> HeavyInputs:
    """`files` is what the build gets, without what .dockerignore leaves out; `dockerfile` is named in places."""
    closure = stages.closure(stage)
    reader = _Reader(stages, {each.path: each for each in files}, dockerfile, dict(build_args))
    for each in closure:
        reader.stage(each)
    bases = [name for each in closure for name in each.needs if stages.before(each, name) is None and name != "scratch"]
    bases = list(dict.fromkeys(bases))
    return HeavyInputs(
        inputs=(
            Input(name="platform", value=platform, place="image.platform"),
            Input(name="epoch", value=str(epoch), place="image.heavy.epoch"),
            *(Input(name=f"base {name}", value=name, place=dockerfile) for name in bases),
            *reader.found,
        ),
        base=_bottom(stages, stage),
        moving=tuple(reader.moving),
        notes=tuple(
            f"{dockerfile}: {name} is no digest: the heavy base keeps what that was when it was built"
            for name in bases
            if not _PINNED.fullmatch(name)
        ),
    )


def _bottom(stages: Stages, stage: Stage) -> str:
    below: Stage | None = stage
    while below is not None:
        stage, below = below, stages.before(below, below.base)
    return "" if stage.base == "scratch" else stage.base


class _Reader:
    """Notes what stages are made from, each thing once."""

    def __init__(
        self, stages: Stages, files: Mapping[str, ContextFile], dockerfile: str, build_args: Mapping[str, str]
    ) -> None:
        self._stages = stages
        self._files = files
        self._dockerfile = dockerfile
        self._build_args = build_args
        self._inputs: dict[str, Input] = {}
        self.moving: list[str] = []

    @property
    def found(self) -> list[Input]:
        return [self._inputs[name] for name in sorted(self._inputs)]

    def stage(self, stage: Stage) -> None:
        variables, label = scope(self._stages, self._build_args), stage.name or str(stage.index)
        for name in sorted(named_variables(stage.source)):
            self._add(f"argument {name}", self._stages.arguments.get(name, ""), f"argument {name}")
        for number, instruction in enumerate(stage.instructions, 1):
            variables.see(instruction)
            line = f"{self._dockerfile}:{instruction.line}"
            self._add(f"stage {label} {number:04}", _text(instruction), f"{line} {instruction.name}")
            if instruction.name == "ARG":
                self._arguments(instruction, variables.args, line)
            elif instruction.name in ("COPY", "ADD") and not any(name == "from" for name, _ in instruction.flags):
                self._sources([variables.fill_in(word) for word in copied(instruction, self._stages.escape)[0]], line)
            elif instruction.name == "RUN":
                self._sources([variables.fill_in(word) for word in mounted(instruction)], line)

    def _arguments(self, instruction: Instruction, values: Mapping[str, str], line: str) -> None:
        for word in instruction.args.split():
            name = word.partition("=")[0]
            if name in PLATFORM_ARGS or name == "SOURCE_DATE_EPOCH":  # told by platform and epoch
                continue
            if name in _EVERY_VERSION:
                self.moving.append(f"{line} takes {name}, which is another one with every version")
            if name in values:
                self._add(f"argument {name}", values[name], f"argument {name}")

    def _sources(self, words: Iterable[str], line: str) -> None:
        for word in words:
            if "://" in word:
                continue  # its text is in the instruction
            if posixpath.normpath(word).lstrip("/") in ("", "."):
                self.moving.append(f"{line} takes the whole context, so that every commit makes another base")
            for path in matching(self._files, word):
                each = self._files[path]
                self._add(f"file {path}", f"{each.mode} {each.sha}", path)

    def _add(self, name: str, value: str, place: str) -> None:
        self._inputs[name] = Input(name=name, value=value, place=place)


def _text(instruction: Instruction) -> str:
    """An instruction without comments, line breaks and the place where it stands."""
    shown = instruction.trigger if instruction.trigger else instruction
    words = [instruction.name, *(f"--{name}={value}" for name, value in instruction.flags)]
    words += [shown.name, *(f"--{name}={value}" for name, value in shown.flags)] if instruction.trigger else []
    bodies = "".join(f"\n{each.body}" for each in instruction.heredocs)
    return " ".join((*words, " ".join(shown.args.split()) if "'" not in shown.args else shown.args)) + bodies


def matching(paths: Iterable[str], source: str) -> Iterator[str]:
    """The files of a context that COPY of `source` takes: it, what lies below it, what its pattern means."""
    wanted = [part for part in posixpath.normpath(source).split("/") if part not in ("", ".")]
    for path in paths:
        parts = path.split("/")
        if len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted)):
            yield path


def changes(before: HeavyInputs, now: HeavyInputs) -> tuple[str, ...]:
    """What makes one heavy base another one, as a person would look for it."""
    old, new = ({each.name: each for each in side.inputs} for side in (before, now))
    found: dict[str, None] = {}
    for name in (*old, *new):
        if name not in new:
            found[f"{old[name].place} is gone"] = None
        elif name not in old:
            found[f"{new[name].place} is new"] = None
        elif old[name].value != new[name].value:
            found[_changed(old[name], new[name])] = None
    return tuple(found)


def _changed(old: Input, new: Input) -> str:
    if new.name.startswith(("argument ", "platform", "epoch")):
        return f"{new.place} was {old.value!r}, is {new.value!r}"
    return f"{new.place} changed"
