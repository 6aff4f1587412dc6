"""What a Dockerfile asks of its builder, found before anything is built.

docker-py speaks only to the classic builder.  Some BuildKit syntax is refused there after minutes of
building and some is *silently misbuilt* (a heredoc on Engine 28 builds and runs nothing), so all of it is
refused here, with its line and with the way to write it.  The lists are those of Docker 20.10.
"""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.core.results import Problem
from orchestrator.image.dockerfile_parser import Directive, Instruction, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDS_BUILDKIT = "dockerfile-needs-buildkit"
INVALID = "dockerfile-invalid"

# Instructions and the flags that the classic builder takes.
_PLAIN = "ARG CMD ENTRYPOINT ENV EXPOSE LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR"
_FLAGS: dict[str, tuple[str, ...]] = {
    "ADD": ("chown",),
    "COPY": ("chown", "from"),
    "FROM": ("platform",),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "retries"),
    **dict.fromkeys(_PLAIN.split(), ()),
}

# Flags that BuildKit knows, each with what to write instead.
_INSTEAD: dict[str, str] = {
    "mount=cache": "drop it and keep the layer small with `pip install --no-cache-dir` and the like",
    "mount=bind": "COPY the files in an earlier stage and take them with COPY --from",
    "mount=secret": "fetch what needs the secret outside the build; build arguments stay in the history",
    "mount=ssh": "fetch what needs the key outside the build",
    "mount=tmpfs": "remove the files at the end of the same RUN",
    "network": "drop it and set `network` under `image:` in release.yaml for the whole build",
    "security": "drop it: the classic builder's RUN has no privileges to give",
    "device": "drop it: the classic builder gives no devices to RUN",
    "chmod": "set the mode in git (`git update-index --chmod=+x FILE`) or in a RUN chmod after it",
    "link": "drop --link; the layer is the same, only caching differs",
    "parents": "write one COPY for each directory",
    "exclude": "list the paths in .dockerignore",
    "checksum": "RUN curl -fsSLo FILE URL && echo 'SHA256  FILE' | sha256sum -c -",
    "keep-git-dir": "RUN git clone URL DIR && git -C DIR checkout COMMIT",
    "unpack": "ADD unpacks a local tar by itself; RUN tar -xf FILE for any other",
    "start-interval": "drop it; --start-period is known",
}
_DIRECTIVE_REMEDY = "delete the line: only BuildKit reads it, and the classic builder takes it for a comment"
_GIT_SOURCE = re.compile(r"(?:git@|git://|ssh://|https?://[^\s#]+\.git(?:[#?]|$)).*")

# Set by BuildKit on its own; empty in the classic builder.
_PLATFORM_ARGS = frozenset(
    f"{side}{part}" for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
_PREDEFINED = frozenset(("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"))


@dataclass(frozen=True, kw_only=True)
class DockerfileFacts:
    """`bases` are the images that FROM lines pull, in order and once each, with arguments filled in;
    `final_base` is the one under the last stage, "" for scratch or where it is not known; `base_args` are the
    arguments above the first FROM that hold just its name."""

    problems: tuple[Problem, ...] = ()
    bases: tuple[str, ...] = ()
    final_base: str = ""
    base_args: tuple[str, ...] = ()


def examine(text: bytes, file: str, build_args: Mapping[str, str]) -> DockerfileFacts:
    """Facts and problems of a Dockerfile for the classic builder; `file` is used in places only."""
    return _Examination(file, dict(build_args)).run(text)


@dataclass
class _Examination:
    """One pass over one Dockerfile."""

    file: str
    build_args: dict[str, str]
    found: list[tuple[int, Problem]] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)  # by any ARG
    global_args: dict[str, str] = field(default_factory=dict)  # by an ARG above the first FROM
    stages: dict[str, str] = field(default_factory=dict)  # lower-case stage name -> its base
    bases: dict[str, None] = field(default_factory=dict)
    final_base: str = ""
    seen_from: bool = False

    def run(self, text: bytes) -> DockerfileFacts:
        dockerfile = parse(text)
        for directive in dockerfile.directives:
            self._directive(directive)
        for instruction in dockerfile.instructions:
            self._instruction(instruction)
        self._whole(bool(dockerfile.instructions))
        return DockerfileFacts(
            problems=tuple(problem for _, problem in sorted(self.found, key=lambda pair: pair[0])),
            bases=tuple(self.bases),
            final_base=self.final_base,
            base_args=tuple(name for name, value in self.global_args.items() if value and value == self.final_base),
        )

    def _problem(self, line: int, code: str, message: str, remedy: str) -> None:
        where = f"{self.file}:{line}" if line else self.file
        self.found.append((line, Problem(code=code, message=message, where=where, remedy=remedy)))

    def _directive(self, directive: Directive) -> None:
        text = f"# {directive.name}={directive.value}"
        if directive.name != "escape":
            self._problem(directive.line, NEEDS_BUILDKIT, f"`{text}` needs BuildKit", _DIRECTIVE_REMEDY)
        elif directive.value not in ("`", "\\"):
            self._problem(directive.line, INVALID, f"`{text}`: not an escape character", "use ` or \\")

    def _whole(self, has_instructions: bool) -> None:
        if not has_instructions:
            self._problem(0, INVALID, "the Dockerfile has no instructions", "begin it with a FROM line")
        elif not self.seen_from:
            self._problem(0, INVALID, "the Dockerfile has no FROM line", "begin it with a FROM line")
        for name in sorted(set(self.build_args) - self.declared):
            if name.lower() not in _PREDEFINED:
                near = difflib.get_close_matches(name, self.declared, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else f"add `ARG {name}`, or drop it"
                self._problem(0, "build-arg-unused", f"no ARG line takes the build argument {name!r}", remedy)

    # -------------------------------------------------------------- one instruction

    def _instruction(self, instruction: Instruction) -> None:
        if instruction.name not in _FLAGS:
            self._unknown(instruction)
            return
        self._check_flags(instruction)
        self._check_heredocs(instruction)
        if instruction.name == "FROM":
            self._from(instruction)
        elif instruction.name == "ARG":
            self._arg(instruction)
        elif instruction.name == "ADD":
            self._add(instruction)
        elif instruction.name == "ONBUILD":
            self._onbuild(instruction)
        if not self.seen_from and instruction.name not in ("ARG", "FROM"):
            message = f"{instruction.name} stands before the first FROM"
            self._problem(instruction.line, INVALID, message, "only ARG may stand there")

    def _unknown(self, instruction: Instruction) -> None:
        near = difflib.get_close_matches(instruction.name, _FLAGS, n=1)
        remedy = f"did you mean {near[0]}?" if near else "see the Dockerfile reference for the instructions"
        self._problem(instruction.line, INVALID, f"unknown instruction {instruction.name}", remedy)

    def _check_flags(self, instruction: Instruction) -> None:
        for name, value in instruction.flags:
            if name in _FLAGS[instruction.name]:
                continue
            remedy = _INSTEAD.get(_flag_key(name, value))
            code = NEEDS_BUILDKIT if remedy else INVALID
            verb = "needs BuildKit" if remedy else "is not known to the builder"
            self._problem(instruction.line, code, f"{instruction.name} --{name} {verb}", remedy or "drop the flag")

    def _check_heredocs(self, instruction: Instruction) -> None:
        remedy = f"commit the file and {instruction.name} it by its name"
        if instruction.name == "RUN":
            remedy = "join the commands with && and line continuations, or COPY a script and RUN it"
        for heredoc in instruction.heredocs:
            message = f"{instruction.name} <<{heredoc.delimiter}: heredocs need BuildKit"
            self._problem(heredoc.line, NEEDS_BUILDKIT, message, remedy)

    def _add(self, instruction: Instruction) -> None:
        for word in _words(instruction.args.lstrip("[").replace(",", " "))[:-1]:
            if _GIT_SOURCE.fullmatch(word):
                message = f"ADD {word}: adding a git repository needs BuildKit"
                self._problem(instruction.line, NEEDS_BUILDKIT, message, _INSTEAD["keep-git-dir"])

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
        for word in _words(instruction.args):
            name, has_default, default = word.partition("=")
            self.declared.add(name)
            value = self.build_args.get(name, self._expand(default) or "")
            known = has_default or name in self.build_args or self.global_args.get(name)
            if name in _PLATFORM_ARGS and not known:
                message = f"ARG {name} is filled in by BuildKit only; the classic builder leaves it empty"
                remedy = f"write a default (`ARG {name}={_EXAMPLE.get(name, '...')}`) or give it in build-args"
                self._problem(instruction.line, NEEDS_BUILDKIT, message, remedy)
            if not self.seen_from:
                self.global_args[name] = value

    def _from(self, instruction: Instruction) -> None:
        self.seen_from, self.final_base = True, ""
        self._check_platform(instruction)
        words = _words(instruction.args)
        if len(words) != 1 and not (len(words) == 3 and words[1].lower() == "as"):
            message = f"FROM takes an image, or `IMAGE AS NAME`, not {instruction.args!r}"
            self._problem(instruction.line, INVALID, message, "write FROM IMAGE AS NAME")
            return
        image = self._expand(words[0])
        if not image or image[0] in ":/@" or image[-1] in ":/@":
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
                message = f"FROM --platform={value} is empty in the classic builder"
                remedy = "drop --platform and set `platform` under `image:` in release.yaml"
                self._problem(instruction.line, NEEDS_BUILDKIT, message, remedy)

    def _unresolved(self, instruction: Instruction, image: str, result: str | None) -> None:
        if result is None:
            message = f"FROM {image}: of substitutions only ${{NAME}}, ${{NAME:-word}} and ${{NAME:+word}} work"
            self._problem(instruction.line, NEEDS_BUILDKIT, message, "use one of these")
            return
        names = [match[1] or match[4] for match in _VARIABLE.finditer(image)]
        missing = [name for name in names if not self.global_args.get(name)]
        if any(name in _PLATFORM_ARGS for name in missing):
            code, remedy = NEEDS_BUILDKIT, "write the platform's name out"
        else:
            first = missing[0] if missing else "NAME"
            code = "dockerfile-base-unresolved"
            remedy = f"give {first} a default in an ARG above the first FROM, or a value in build-args"
        self._problem(instruction.line, code, f"FROM {image} names no image: it comes to {result!r}", remedy)

    def _expand(self, text: str) -> str | None:
        """`text` with its variables filled in from the ARGs above FROM; None for forms that are not known."""
        for match in _BRACED.finditer(text):
            if not re.fullmatch(r"\w+(?::[-+].*)?", match[1]):
                return None
        return _VARIABLE.sub(self._substitute, text)

    def _substitute(self, match: re.Match[str]) -> str:
        value = self.global_args.get(match[1] or match[4], "")
        if match[2] == "-":
            return value or match[3]
        if match[2] == "+":
            return match[3] if value else ""
        return value


_BRACED = re.compile(r"\$\{([^}]*)\}")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))")
_EXAMPLE = {"TARGETARCH": "amd64", "TARGETOS": "linux", "TARGETPLATFORM": "linux/amd64"}


def _flag_key(name: str, value: str) -> str:
    if name != "mount":
        return name
    match = re.search(r"(?:^|,)type=(\w+)", value)
    return f"mount={match[1] if match else 'bind'}"


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that never ends: the builder will say so
        return text.split()
