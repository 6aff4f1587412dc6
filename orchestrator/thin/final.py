"""What the last stage of a Dockerfile is: thin or not, and if not, which line stands in the way and what to do there.

Thin is a stage that adds nothing but files by `COPY --link`, and settings: its layers do not need those below.  Then a
builder makes a release without the heavy base's bytes, and where the files come from the tree alone, no builder is
needed at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.dataclass import dataclass
from orchestrator.thin.stages import copied, scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from orchestrator.dockerfile.parser import Heredoc, Instruction
    from orchestrator.thin.stages import Stage, Stages

PREPARED: Final = ("patched", "stamp")  # stages that this tool can stand in for: thin/prepared.py

_SETTINGS: Final = (
    "ARG", "ENV", "LABEL", "USER", "ENTRYPOINT", "CMD", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "VOLUME", "SHELL",
    "MAINTAINER",
)  # fmt: skip
_OWNER: Final = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?")
_ABSENT: Final = "the heavy base's bytes are needed for it, at every release"


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A line that makes a release heavy (`is_heavy`), or one that needs a builder."""

    line: int
    message: str
    move: str
    is_heavy: bool


@dataclass(frozen=True, kw_only=True)
class Copy:
    """`COPY --link`, its variables filled in.  `origin` is a prepared context, "" for the build context."""

    line: int
    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[tuple[str, bytes], ...] = ()  # name and text
    origin: str = ""
    owner: tuple[int, int] = (0, 0)
    shown: str = ""


@dataclass(frozen=True, kw_only=True)
class ConfigStep:
    """An instruction that changes the image's configuration only; `values` are the variables above it."""

    instruction: Instruction
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FinalStage:
    """The last stage.  `is_thin`: a builder needs no byte of the base; `is_direct`: no builder is needed."""

    line: int
    steps: tuple[Copy | ConfigStep, ...]
    obstacles: tuple[Obstacle, ...]

    @property
    def is_thin(self) -> bool:
        return not any(each.is_heavy for each in self.obstacles)

    @property
    def is_direct(self) -> bool:
        return not self.obstacles


def final_stage(
    stages: Stages, stage: Stage, heavy: Stage, build_args: Mapping[str, str], env: Mapping[str, str] | None = None
) -> FinalStage:
    """What `stage` adds to `heavy`; `env` is what the base sets, as far as it is known."""
    reader = _Reader(stages, stage, dict(build_args), dict(env or {}))
    if stages.before(stage, stage.base) is not heavy:
        reader.heavy(stage.line, f"FROM {stage.source}", f"begin the last stage with FROM {heavy.name or heavy.index}")
    for each in heavy.instructions:
        if each.name == "ONBUILD":
            reader.heavy(each.line, "ONBUILD runs in the last stage", "take it out of the heavy stage")
    for each in stage.instructions:
        reader.read(each)
    return FinalStage(line=stage.line, steps=tuple(reader.steps), obstacles=tuple(reader.obstacles))


class _Reader:
    """Goes through a stage once."""

    def __init__(self, stages: Stages, stage: Stage, build_args: dict[str, str], env: dict[str, str]) -> None:
        self._stages = stages
        self._stage = stage
        self._scope = scope(stages, build_args, env)
        self.steps: list[Copy | ConfigStep] = []
        self.obstacles: list[Obstacle] = []

    def heavy(self, line: int, what: str, move: str) -> None:
        self.obstacles.append(Obstacle(line=line, message=f"{what}: {_ABSENT}", move=move, is_heavy=True))

    def _builder(self, line: int, what: str, move: str) -> None:
        self.obstacles.append(Obstacle(line=line, message=f"{what} needs a builder", move=move, is_heavy=False))

    def read(self, instruction: Instruction) -> None:
        line, name = instruction.line, instruction.name
        if name in _SETTINGS:
            self.steps.append(ConfigStep(instruction=instruction, values=self._scope.values))
            self._scope.see(instruction)
        elif name == "COPY":
            self._copy(instruction)
        elif name == "ADD":
            self.heavy(line, "ADD", "fetch it in the heavy stage, or commit the file and COPY --link it")
        elif name == "RUN":
            self.heavy(line, "RUN", "move it to the heavy stage, or to a stage whose result COPY --link --from takes")
        elif name == "WORKDIR":
            self.heavy(line, "WORKDIR", "move it to the end of the heavy stage: it makes a folder")
        else:
            self._builder(line, name, "move it to the heavy stage")

    def _copy(self, instruction: Instruction) -> None:
        flags, line = dict(instruction.flags), instruction.line
        if "link" not in flags or flags["link"].lower() in ("false", "0"):
            self.heavy(
                line, "COPY without --link", "write COPY --link; the folders above its files become root's, 0755"
            )
            return
        if "chmod" in flags:
            self.heavy(line, "COPY --chmod, for which BuildKit makes no link", "commit the file with its mode")
            return
        for name in sorted(flags.keys() & {"parents", "exclude"}):
            self._builder(line, f"COPY --{name}", "name each folder in a COPY of its own")
            return
        owner = _OWNER.fullmatch(self._scope.fill_in(flags.get("chown", "0:0")))
        if owner is None:
            self._builder(line, f"COPY --chown={flags['chown']}", "write the owner in numbers")
            return
        origin = self._scope.fill_in(flags.get("from", "")).lower()
        if origin and origin not in PREPARED:
            self._builder(line, f"COPY --from={origin}", f"only {' and '.join(PREPARED)} are made without one")
            return
        uid = int(owner[1])
        self._add(instruction, origin, (uid, int(owner[2]) if owner[2] else uid))

    def _add(self, instruction: Instruction, origin: str, owner: tuple[int, int]) -> None:
        sources, destination = copied(instruction, self._stages.escape)
        sources = [self._scope.fill_in(each) for each in sources]
        if pattern := next((each for each in sources if re.search(r"[*?\[\\]", each)), ""):
            self._builder(instruction.line, f"COPY {pattern}", "name the file or the folder")
            return
        self.steps.append(
            Copy(
                line=instruction.line,
                sources=tuple(sources),
                destination=self._scope.fill_in(destination),
                heredocs=tuple((each.delimiter, self._body(each)) for each in instruction.heredocs),
                origin=origin,
                owner=owner,
                shown=f"COPY {instruction.args}",
            )
        )

    def _body(self, heredoc: Heredoc) -> bytes:
        text = self._scope.fill_in_text(heredoc.body) if heredoc.expands else heredoc.body
        return text.encode("utf-8", "surrogateescape")


def described(file: str, found: Collection[Obstacle]) -> Iterator[str]:
    """A line for each obstacle."""
    for each in found:
        yield f"{file}:{each.line}: {each.message}; {each.move}"
