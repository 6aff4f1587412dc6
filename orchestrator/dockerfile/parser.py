"""A Dockerfile as instructions with their places: what the classic builder's parser sees, and heredocs.

Rules: the Dockerfile reference (parser directives, escape, comments, line continuation), checked against the
builder of Docker 20.10.  Nothing is judged here; `checks/dockerfile.py` does that.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import field, replace

from orchestrator.core.dataclass import dataclass

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S.*)")
_DIRECTIVES = ("escape", "syntax", "check")
_FLAG = re.compile(r"\s*--([A-Za-z0-9][A-Za-z0-9-]*)?(?:=(\"[^\"]*\"|'[^']*'|\S*))?(?=\s|$)")
# `<<-` and its delimiter, quoted or bare; the digits of a file descriptor may stand before it.
_HEREDOC = re.compile(r"<<-?[ \t]*(?:\"(?P<d>[^\"\s]+)\"|'(?P<s>[^'\s]+)'|\\?(?P<bare>[^\s<>|;&()\"'`$\\]+))")


@dataclass(frozen=True, kw_only=True)
class Directive:
    """A parser directive: `# name=value` above everything else."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Heredoc:
    """`<<delimiter`, at a line.  `body` is its text, "" where the delimiter never comes; `expands`: variables in it are
    filled in, since its delimiter has no quotes.
    """

    delimiter: str
    line: int
    body: str = ""
    expands: bool = True
    strips_tabs: bool = False  # `<<-`


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction, continuation lines joined.  `name` is upper case; `args` follow the flags."""

    name: str
    line: int
    args: str = ""
    flags: tuple[tuple[str, str], ...] = ()  # without the dashes
    heredocs: tuple[Heredoc, ...] = ()
    trigger: Instruction | None = None  # what an ONBUILD holds


@dataclass(frozen=True, kw_only=True)
class Dockerfile:
    directives: tuple[Directive, ...]
    instructions: tuple[Instruction, ...]
    escape: str = "\\"


@dataclass
class _Logical:
    """Physical lines being joined; `starts` are the offsets in `text` at which `lines` begin."""

    text: str = ""
    starts: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, text: str, line: int) -> None:
        self.starts.append(len(self.text))
        self.lines.append(line)
        self.text += text

    def line_at(self, offset: int) -> int:
        return self.lines[bisect_right(self.starts, offset) - 1]


def parse(data: bytes) -> Dockerfile:
    """Instructions and directives of a Dockerfile's bytes.  Never raises: odd text gives odd instructions."""
    lines = [line.removesuffix("\r") for line in data.decode("utf-8-sig", "replace").split("\n")]
    directives = _directives(lines)
    escape = next((d.value for d in directives if d.name == "escape" and d.value in ("`", "\\")), "\\")
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    instructions: list[Instruction] = []
    index = 0
    while index < len(lines):
        logical, index = _join(lines, index, continued)
        if logical.text.strip():
            instruction = _instruction(logical)
            bodies, index = _bodies(lines, index, (instruction.trigger or instruction).heredocs)
            instructions.append(instruction if instruction.trigger else replace(instruction, heredocs=bodies))
    return Dockerfile(directives=directives, instructions=tuple(instructions), escape=escape)


def _directives(lines: list[str]) -> tuple[Directive, ...]:
    found: list[Directive] = []
    for number, line in enumerate(lines, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None or match[1].lower() not in _DIRECTIVES:
            break
        found.append(Directive(name=match[1].lower(), value=match[2], line=number))
    return tuple(found)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _join(lines: list[str], index: int, continued: re.Pattern[str]) -> tuple[_Logical, int]:
    """The logical line that starts at `index`, and the index after it.

    Comments and empty lines inside a continuation belong to nobody and do not end it.
    """
    logical = _Logical()
    while index < len(lines):
        line, index = lines[index], index + 1
        if _is_comment(line) or (logical.lines and not line.strip()):
            if logical.lines:
                continue
            break
        more = continued.search(line)
        logical.add(line[: more.start()] if more else line, index)
        if not more:
            break
    return logical, index


def _instruction(logical: _Logical) -> Instruction:
    start = len(logical.text) - len(logical.text.lstrip())
    return _at(logical, start)


def _at(logical: _Logical, offset: int) -> Instruction:
    """The instruction whose name begins at `offset`."""
    name = logical.text[offset:].split(maxsplit=1)[0]
    line = logical.line_at(offset)
    flags, rest = _flags(logical.text, offset + len(name))
    if name.upper() == "ONBUILD" and logical.text[rest:].strip():
        trigger = _at(logical, rest + len(logical.text[rest:]) - len(logical.text[rest:].lstrip()))
        return Instruction(name="ONBUILD", line=line, flags=flags, trigger=trigger)
    heredocs = _heredocs(logical, rest) if name.upper() in ("RUN", "COPY", "ADD") else ()
    return Instruction(name=name.upper(), line=line, args=logical.text[rest:].strip(), flags=flags, heredocs=heredocs)


def _flags(text: str, offset: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """The `--name=value` words at `offset` and where they end; a bare `--` ends them."""
    flags: list[tuple[str, str]] = []
    while match := _FLAG.match(text, offset):
        offset = match.end()
        if not match[1]:
            break
        flags.append((match[1], (match[2] or "").strip("\"'")))
    return tuple(flags), offset


def _heredocs(logical: _Logical, offset: int) -> tuple[Heredoc, ...]:
    """Heredocs outside quotes and arithmetic.  `<<<` is a here-string of bash, not one of these."""
    found: list[Heredoc] = []
    for position in _unquoted(logical.text, offset):
        if not logical.text.startswith("<<", position) or logical.text[position - 1] == "<":
            continue
        match = _HEREDOC.match(logical.text, position)
        if match and _is_delimiter(logical.text, position, match):
            delimiter = match["d"] or match["s"] or match["bare"]
            found.append(
                Heredoc(
                    delimiter=delimiter,
                    line=logical.line_at(position),
                    expands=match["bare"] is not None and "\\" not in match[0],
                    strips_tabs=match[0].startswith("<<-"),
                )
            )
    return tuple(found)


def _is_delimiter(text: str, position: int, match: re.Match[str]) -> bool:
    """`x=1<<2` shifts; `cat <<2` and `cat<<EOF` open a heredoc."""
    word_start = re.search(r"(?:^|\s)\d*$", text[:position]) is not None
    return word_start or match["bare"] is None or match["bare"][0].isalpha() or match["bare"][0] == "_"


# What moves the scanner on by more than one character: quotes, an escaped character, arithmetic.
_OPAQUE = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|\$?\(\((?:[^()]|\([^()]*\))*\)\)", re.DOTALL)


def _unquoted(text: str, offset: int) -> list[int]:
    """Offsets of characters outside quotes and arithmetic.  A quoted heredoc delimiter counts as outside."""
    positions: list[int] = []
    while offset < len(text):
        if match := _OPAQUE.match(text, offset):
            offset = match.end()
            continue
        positions.append(offset)
        offset += 1
    return positions


def _bodies(lines: list[str], index: int, heredocs: tuple[Heredoc, ...]) -> tuple[tuple[Heredoc, ...], int]:
    """`heredocs` with their texts, and the index behind them; unchanged where a delimiter never comes."""
    after, found = index, list[Heredoc]()
    for heredoc in heredocs:
        ends = (i for i in range(after, len(lines)) if lines[i].strip("\t ") == heredoc.delimiter)
        end = next(ends, None)
        if end is None:
            return heredocs, index
        body = [line.lstrip("\t") if heredoc.strips_tabs else line for line in lines[after:end]]
        found.append(replace(heredoc, body="".join(f"{line}\n" for line in body)))
        after = end + 1
    return tuple(found), after
