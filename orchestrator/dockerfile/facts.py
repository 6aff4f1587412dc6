"""What a Dockerfile asks of its builder, found before anything is built.

What a builder would refuse after minutes, or misbuild silently, is a problem here, with its line and the way to write
it.  What it may use is told by the engine that builds it: `Dialect`.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from dataclasses import field
from itertools import takewhile
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.results import Problem
from orchestrator.dockerfile.parser import Directive, Instruction, parse
from orchestrator.dockerfile.stages import FROM_OF_MOUNT, StageGraph, mounted
from orchestrator.dockerfile.words import BadSubstitutionError, bare, expand, split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.engines import Dialect

NEEDS_BUILDKIT = "dockerfile-needs-buildkit"
INVALID = "dockerfile-invalid"
LABS = "docker/dockerfile:1-labs"  # the frontend that reads every flag there is

_GIT_SOURCE = re.compile(r"(?:git@|git://|ssh://|https?://[^\s#]+\.git(?:[#?]|$)).*")

# The arguments of the platform; BuildKit sets them on its own, for other builders whoever builds must.
PLATFORM_ARGS = tuple(f"{side}{part}" for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT"))
_ASSUMED = "linux/amd64"  # where nobody says a platform, and the engine is not asked yet
_SYNTAX = "BUILDKIT_SYNTAX"  # a build argument that stands above `# syntax=`
_PREDEFINED = frozenset(("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"))


@dataclass(frozen=True, kw_only=True)
class DockerfileFacts:
    """What it asks for.

    `bases` are the images that FROM lines pull, in order and once each, with arguments filled in, `copied_from` those
    that COPY --from and mounts do; `final_base` is the one under the last stage, "" for scratch or where it is not
    known; `base_args` are the arguments above the first FROM that hold just its name; `platform_args` those of the
    platform that are declared without a value; `sources` is what COPY, ADD and mounts take from the context; `notes`
    are no problems.  `frontend` is the image that reads the Dockerfile, "" for what the builder has inside; `tried` are
    (instruction, flag, line) that the builder may not know, where it reads the file itself.
    """

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    copied_from: tuple[str, ...] = ()
    platform_args: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    final_base: str = ""
    base_args: tuple[str, ...] = ()
    frontend: str = ""
    tried: tuple[tuple[str, str, int], ...] = ()

    @property
    def pulled(self) -> tuple[str, ...]:
        """Every image that its build asks a registry for."""
        return (*self.bases, *self.copied_from, *((self.frontend,) if self.frontend else ()))


def examine(
    text: bytes,
    file: str,
    build_args: Mapping[str, str],
    dialect: Dialect,
    *,
    platform: str = "",
    native: str = "",
    target: str = "",
) -> DockerfileFacts:
    """Facts and problems of a Dockerfile for a builder; `file` is used in places only.

    `platform` is what it is built for, `native` what the builder runs on, both `os/architecture[/variant]`.  `target`
    is the stage that is the image, "" for the last one; what only other stages ask for is left out where the builder
    leaves them out.
    """
    values = platform_values(platform or native or _ASSUMED, native or platform or _ASSUMED)
    return _Examination(file, dict(build_args), dialect, values, target).run(text)


def platform_values(target: str, build: str) -> dict[str, str]:
    """The platform arguments, as BuildKit sets them."""
    found: dict[str, str] = {}
    for side, platform in (("TARGET", target), ("BUILD", build)):
        system, architecture, variant = (*platform.split("/"), "", "")[:3]
        values = {"PLATFORM": platform, "OS": system, "ARCH": architecture, "VARIANT": variant}
        found |= {f"{side}{part}": value for part, value in values.items()}
    return found


@dataclass
class _Examination:
    """One pass over one Dockerfile."""

    file: str
    build_args: dict[str, str]
    dialect: Dialect
    platform_values: dict[str, str]
    target: str
    escape: str = "\\"
    notes: list[str] = field(default_factory=list)
    copied_from: dict[str, None] = field(default_factory=dict)
    platform_args: dict[str, None] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    found: list[tuple[int, Problem]] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)  # by any ARG
    global_args: dict[str, str] = field(default_factory=dict)  # by an ARG above the first FROM
    stages: dict[str, str] = field(default_factory=dict)  # lower-case stage name -> its base
    bases: dict[str, None] = field(default_factory=dict)
    final_base: str = ""
    seen_from: bool = False
    frontend: str = ""
    tried: dict[tuple[str, str], int] = field(default_factory=dict)  # -> the first line with it

    def run(self, text: bytes) -> DockerfileFacts:
        dockerfile = parse(text)
        self.escape = dockerfile.escape
        for directive in dockerfile.directives:
            self._directive(directive)
        if self.dialect.obeys_directives:
            self.frontend = self.build_args.get(_SYNTAX, self.frontend)
        stages = self._graph(dockerfile.instructions)
        if self.target and not stages.has(self.target):
            self._no_stage(stages)
        needed = stages.needed(self.target, whole=not self.dialect.fills_in_platform)
        for instruction in dockerfile.instructions:
            if instruction.name == "ARG":
                self.declared |= {word.partition("=")[0] for word in split(instruction.args, self.escape)}
            if stages.of(instruction) in needed:
                self._instruction(instruction)
            else:
                self._unbuilt(instruction)
        self._whole(bool(dockerfile.instructions))
        return DockerfileFacts(
            problems=tuple(problem for _, problem in sorted(self.found, key=lambda pair: pair[0])),
            notes=tuple(self.notes),
            bases=tuple(self.bases),
            copied_from=tuple(self.copied_from),
            platform_args=tuple(self.platform_args),
            sources=tuple(self.sources),
            final_base=self.final_base,
            base_args=tuple(name for name, value in self.global_args.items() if value and value == self.final_base),
            frontend=self.frontend,
            tried=() if self.frontend else tuple((*flag, line) for flag, line in self.tried.items()),
        )

    def _graph(self, instructions: Sequence[Instruction]) -> StageGraph:
        """The stages, of which a FROM may name one by arguments that stand above the first."""
        for instruction in takewhile(lambda each: each.name != "FROM", instructions):
            if instruction.name == "ARG":
                self._arg(instruction)
        graph = StageGraph(instructions, self._expand)
        self.global_args = {}
        return graph

    def _problem(self, line: int, code: str, message: str, remedy: str) -> None:
        where = f"{self.file}:{line}" if line else self.file
        self.found.append((line, Problem(code=code, message=message, where=where, remedy=remedy)))

    def _no_stage(self, stages: StageGraph) -> None:
        near = difflib.get_close_matches(self.target, stages.names, n=1)
        known = f"there are: {', '.join(stages.names)}" if stages.names else "name one: FROM IMAGE AS NAME"
        remedy = f"did you mean {near[0]!r}?" if near else known
        self._problem(0, "no-stage", f"image.target: the Dockerfile has no stage {self.target!r}", remedy)

    def _directive(self, directive: Directive) -> None:
        text = f"# {directive.name}={directive.value}"
        if directive.name != "escape":
            if directive.name == "syntax" and self.dialect.obeys_directives:
                self.frontend = directive.value.split()[0]
            if not self.dialect.obeys_directives:
                note = f"`{text}` is a comment to {self.dialect.builder}: only BuildKit reads it"
                self.notes.append(f"{self.file}:{directive.line}: {note}")
        elif directive.value not in ("`", "\\"):
            self._problem(directive.line, INVALID, f"`{text}`: not an escape character", "use ` or \\")

    def _whole(self, has_instructions: bool) -> None:
        if not has_instructions:
            self._problem(0, INVALID, "the Dockerfile has no instructions", "begin it with a FROM line")
        elif not self.seen_from:
            self._problem(0, INVALID, "the Dockerfile has no FROM line", "begin it with a FROM line")
        for name in sorted(set(self.build_args) - self.declared):
            is_frontends = name.startswith("BUILDKIT_") and self.dialect.obeys_directives
            if name.lower() not in _PREDEFINED and not is_frontends:
                near = difflib.get_close_matches(name, self.declared, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else f"add `ARG {name}`, or drop it"
                self._problem(0, "build-arg-unused", f"no ARG line takes the build argument {name!r}", remedy)

    # -------------------------------------------------------------- one instruction

    def _instruction(self, instruction: Instruction) -> None:
        if instruction.name not in self.dialect.flags:
            self._unknown(instruction)
            return
        self._check_flags(instruction)
        self._check_heredocs(instruction)
        if instruction.name == "FROM":
            self._from(instruction)
        elif instruction.name == "ARG":
            self._arg(instruction)
        elif instruction.name in ("ADD", "COPY"):
            self._copy(instruction)
        elif instruction.name == "RUN":
            self.sources |= dict.fromkeys(mounted(instruction))
        elif instruction.name == "ONBUILD":
            self._onbuild(instruction)
        if not self.seen_from and instruction.name not in ("ARG", "FROM"):
            message = f"{instruction.name} stands before the first FROM"
            self._problem(instruction.line, INVALID, message, "only ARG may stand there")

    def _unbuilt(self, instruction: Instruction) -> None:
        """Of a stage that the image does not need: it is not built, and read all the same."""
        if instruction.name not in self.dialect.flags:
            self._unknown(instruction)
            return
        for name, value in instruction.flags:
            key = (instruction.name, name)
            if key in self.dialect.tried and key not in self.dialect.refused_late:
                self.tried.setdefault(key, instruction.line)
            elif not self._is_known(instruction, name) and _flag_key(name, value) not in self.dialect.instead:
                message = f"{instruction.name} --{name} is not known to the builder"
                self._problem(instruction.line, INVALID, message, "drop the flag")

    def _is_known(self, instruction: Instruction, flag: str) -> bool:
        return flag in self.dialect.flags[instruction.name] or flag in self.dialect.dropped

    def _unknown(self, instruction: Instruction) -> None:
        near = difflib.get_close_matches(instruction.name, self.dialect.flags, n=1)
        remedy = f"did you mean {near[0]}?" if near else "see the Dockerfile reference for the instructions"
        self._problem(instruction.line, INVALID, f"unknown instruction {instruction.name}", remedy)

    def _check_flags(self, instruction: Instruction) -> None:
        for name, value in instruction.flags:
            if name in self.dialect.flags[instruction.name]:
                self._known_flag(instruction, name, value)
                continue
            if name in self.dialect.dropped:
                note = f"{instruction.name} --{name} is sent without the flag to {self.dialect.builder}: the same files"
                self.notes.append(f"{self.file}:{instruction.line}: {note}")
                continue
            remedy = self.dialect.instead.get(_flag_key(name, value))
            code = NEEDS_BUILDKIT if remedy else INVALID
            verb = "needs BuildKit" if remedy else "is not known to the builder"
            self._problem(instruction.line, code, f"{instruction.name} --{name} {verb}", remedy or "drop the flag")

    def _known_flag(self, instruction: Instruction, name: str, value: str) -> None:
        if (instruction.name, name) in self.dialect.tried:
            self.tried.setdefault((instruction.name, name), instruction.line)
        for origin in FROM_OF_MOUNT.findall(value) if name == "mount" else ():
            self._copied_from(origin)

    def _copied_from(self, origin: str) -> None:
        """What `--from` names: a stage, or an image."""
        is_stage = origin.lower() in self.stages or origin.isdigit()
        if not is_stage and self._expand(origin) == origin:
            self.copied_from[origin] = None

    def _check_heredocs(self, instruction: Instruction) -> None:
        remedy = f"commit the file and {instruction.name} it by its name"
        if instruction.name == "RUN":
            remedy = "join the commands with && and line continuations, or COPY a script and RUN it"
        for heredoc in () if self.dialect.heredocs else instruction.heredocs:
            message = f"{instruction.name} <<{heredoc.delimiter}: heredocs need BuildKit"
            self._problem(heredoc.line, NEEDS_BUILDKIT, message, remedy)

    def _copy(self, instruction: Instruction) -> None:
        sources = self._sources(instruction)
        origin = next((value for name, value in instruction.flags if name == "from"), "")
        if origin:
            self._copied_from(origin)
            return
        for word in sources:
            if instruction.name == "ADD" and _GIT_SOURCE.fullmatch(word) and not self.dialect.git_sources:
                message = f"ADD {word}: adding a git repository needs BuildKit"
                self._problem(instruction.line, NEEDS_BUILDKIT, message, self.dialect.instead["keep-git-dir"])
            elif "://" not in word:
                self.sources[word] = None

    def _sources(self, instruction: Instruction) -> list[str]:
        """The words but the last, without quotes; in a list of JSON they are its texts."""
        text = instruction.args
        if text.startswith("["):
            with contextlib.suppress(ValueError):
                words = json.loads(text)
                return [str(word) for word in words[:-1]] if isinstance(words, list) else []
        return [bare(word) for word in split(text, self.escape)[:-1]]

    def _onbuild(self, instruction: Instruction) -> None:
        trigger = instruction.trigger
        if trigger is None or trigger.name in ("ONBUILD", "FROM", "MAINTAINER"):
            what = f"ONBUILD {trigger.name}" if trigger else "ONBUILD with nothing after it"
            self._problem(instruction.line, INVALID, f"{what} is not allowed", "name the instruction to run")
        elif trigger.name != "ARG":  # such an ARG belongs to the builds that come after
            seen, self.seen_from = self.seen_from, True
            self._instruction(trigger)
            self.seen_from = seen

    # -------------------------------------------------------------- FROM and ARG

    def _arg(self, instruction: Instruction) -> None:
        for word in split(instruction.args, self.escape):
            name, has_default, default = word.partition("=")
            self.declared.add(name)
            wants_platform = name in PLATFORM_ARGS and not (has_default or self.global_args.get(name))
            if wants_platform and name not in self.build_args:
                self.platform_args[name] = None
                value = self.platform_values[name]
            else:
                value = self.build_args.get(name, self._expand(default) or "")
            if not self.seen_from:
                self.global_args[name] = value

    def _from(self, instruction: Instruction) -> None:
        self.seen_from, self.final_base = True, ""
        self._check_platform(instruction)
        words = instruction.args.split()
        if len(words) != 1 and not (len(words) == 3 and words[1].lower() == "as"):
            message = f"FROM takes an image, or `IMAGE AS NAME`, not {instruction.args!r}"
            self._problem(instruction.line, INVALID, message, "write FROM IMAGE AS NAME")
            return
        image = self._expand(words[0])
        if not image or image[0] in ":/@" or image[-1] in ":/@" or self._lacks_platform(words[0]):
            self._unresolved(instruction, words[0], image)
            image = ""
        self._stage(image, words[2] if len(words) == 3 else "")

    def _stage(self, image: str, name: str) -> None:
        if image.lower() in self.stages:
            image = self.stages[image.lower()]
        elif image == "scratch":
            image = ""
        elif image:
            self.bases[image] = None
        self.final_base = image
        if name:
            self.stages[name.lower()] = image

    def _check_platform(self, instruction: Instruction) -> None:
        for name, value in instruction.flags:
            if name == "platform" and not self._expand(value):
                message = f"FROM --platform={value} is empty in {self.dialect.builder}"
                self._problem(instruction.line, NEEDS_BUILDKIT, message, _declare(value))

    def _lacks_platform(self, text: str) -> bool:
        """Whether an argument of the platform in it is empty because nobody fills it in."""
        names = [name for name in _NAME.findall(text) if name in PLATFORM_ARGS and f"{{{name}:" not in text]
        return not self.dialect.fills_in_platform and any(name not in self._known() for name in names)

    def _unresolved(self, instruction: Instruction, image: str, result: str | None) -> None:
        if result is None:
            message = f"FROM {image}: of substitutions only ${{NAME}}, ${{NAME:-word}} and ${{NAME:+word}} work"
            self._problem(instruction.line, NEEDS_BUILDKIT, message, "use one of these")
            return
        missing = [name for name in _NAME.findall(image) if not self.global_args.get(name)]
        if any(name in PLATFORM_ARGS for name in missing):
            code, remedy = NEEDS_BUILDKIT, _declare(image)
        else:
            first = missing[0] if missing else "NAME"
            code = "dockerfile-base-unresolved"
            remedy = f"give {first} a default in an ARG above the first FROM, or a value in build-args"
        self._problem(instruction.line, code, f"FROM {image} names no image: it comes to {result!r}", remedy)

    def _expand(self, text: str) -> str | None:
        """`text` with its variables filled in from the ARGs above FROM; None for forms that are not known."""
        try:
            return expand(text, self._known(), self.escape)
        except BadSubstitutionError:
            return None

    def _known(self) -> dict[str, str]:
        """The variables that a FROM line sees; BuildKit's platform ones need no ARG."""
        return {**(self.platform_values if self.dialect.fills_in_platform else {}), **self.global_args}


_NAME = re.compile(r"\$\{?(\w+)")


def _declare(text: str) -> str:
    """What to write where a platform's argument is used and not declared."""
    names = [name for name in _NAME.findall(text) if name in PLATFORM_ARGS]
    if not names:
        return "drop --platform and set `platform` under `image:` in release.yaml"
    return f"write `ARG {names[0]}` above the first FROM: it is filled in then"


def _flag_key(name: str, value: str) -> str:
    if name != "mount":
        return name
    match = re.search(r"(?:^|,)type=(\w+)", value)
    return f"mount={match[1] if match else 'bind'}"
