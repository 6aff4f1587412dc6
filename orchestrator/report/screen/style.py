"""Lines for a terminal: wrapped to its width, coloured by what their sign or word means.

A colour says nothing that the sign or the word before it does not say: without colours nothing is lost.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

GOOD, CARE, BAD, TODO, QUIET = "32", "33", "1;31", "36", "2"  # ECMA-48: green, yellow, bold red, cyan, faint
_PICK = r"^ {{2,}}(?P<it>{})(?: +[0-9a-f]{{7,12}} (?P<state>\S+))"
_MEANINGS: Final[Mapping[str, str]] = {
    r"^ *(?P<it>error:)": BAD,
    r"^ *(?P<it>FAILED)\b": BAD,
    _PICK.format("!"): BAD,
    r"^ *(?P<it>(?:do|or): .*)": TODO,
    r"^ *(?P<it>next  .*)": TODO,
    r"^ {6,}(?P<it>(?:cd|git|release|docker) .*)": TODO,
    r"^ *(?P<it>note:)": CARE,
    r"^ *(?P<it>skipped) ": CARE,
    r"^ *(?P<it>missing) ": CARE,
    _PICK.format("~"): CARE,
    r"^(?P<it>ok) ": GOOD,
    r"^ *(?P<it>done) ": GOOD,
    r"^(?P<it>\S+ is released)$": GOOD,
    r"^(?P<it>nothing wrong was found)$": GOOD,
    _PICK.format(r"[+*]"): GOOD,
    _PICK.format(r"[=0-]"): QUIET,
    r"^ *(?P<it>state:)": QUIET,
    r"^  (?P<it>plan [0-9a-f]{16})$": QUIET,
}
_RULES = tuple((re.compile(rule, re.DOTALL), style) for rule, style in _MEANINGS.items())

_LABEL = re.compile(r" *(?:(?:error|note|do|or|state): )?")
_CELL = re.compile(r"\S+(?: \S+)? {2,}")  # `release commit  `, `737530de clean   `: what stands before the text
_CELLS = 30  # cells further to the right are text
_KEEP = re.compile(r" {9,}\S| *(?:- |# )")  # YAML to be copied, and other people's text
_TYPED = re.compile(r" *(?:do: |or: |next  )| {6}(?=cd|git|release|docker)")  # what somebody copies
_COMMAND = re.compile(r"`[^`]+`|(?<!\S)(?:release|git|docker|cd|export|python)(?: [^\s,;()`|]+)+")
_FIXED = "\u00a0"  # where a line may not be broken


def wrapped(line: str, width: int) -> str:
    """The line in lines that fit, below its first word or cell.  A word longer than a line stays whole, and so does a
    command that somebody is to copy: where that is too long the terminal breaks it, and what is copied is right.
    """
    if len(line) <= width or _KEEP.match(line):
        return line
    indent = _indent(line, width)
    text = _COMMAND.sub(lambda found: found[0].replace(" ", _FIXED), line) if _TYPED.match(line) else line
    # An arrow stands before its id; between one command and another the mark ends the line.
    text = text.replace("  -> ", f"  ->{_FIXED}").replace(" | ", f"{_FIXED}| ")
    rows = textwrap.wrap(
        text[indent:], width - indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    return f"\n{' ' * indent}".join(rows).join((line[:indent], "")).replace(_FIXED, " ")


def _indent(line: str, width: int) -> int:
    """The column where the text begins, behind sign, id and state."""
    label = _LABEL.match(line)
    at = label.end() if label else 0
    while (cell := _CELL.match(line, at)) and cell.end() <= min(_CELLS, width // 2):
        at = cell.end()
    return at or 2 if at < len(line) and at <= width // 2 else 0


def painted(text: str) -> str:
    """The line, wrapped or not, with its sign or word in the colour of what it means."""
    for rule, style in _RULES:
        if found := rule.match(text):
            return _painted(text, found, style)
    return text


def _painted(text: str, found: re.Match[str], style: str) -> str:
    spans = [found.span(name) for name in found.groupdict() if found[name]]
    for start, end in sorted(spans, reverse=True):
        text = f"{text[:start]}\x1b[{style}m{text[start:end]}\x1b[0m{text[end:]}"
    return text
