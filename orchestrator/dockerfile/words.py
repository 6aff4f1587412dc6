"""The words of a Dockerfile's instruction, and what their variables come to, as the engine reads them.

The rules are those of moby's `shell.Lex` in Docker 20.10: quotes, the escape character, `$NAME`, `${NAME}`,
`${NAME:-word}`, `${NAME:+word}` and `${NAME:?word}`, where a word may hold all of that again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_DEPTH = 50  # of substitutions inside each other; the engine has no use for more


class BadSubstitutionError(ValueError):
    """A form of substitution that the classic builder does not know, or one that never ends."""


def split(text: str, escape: str = "\\") -> list[str]:
    """`text` at its blanks, but not inside quotes; quotes and escapes stay as they are."""
    found, start, position, quote = list[str](), -1, 0, ""
    while position < len(text):
        char = text[position]
        if start < 0 and not char.isspace():
            start = position
        if char == escape and quote != "'":
            position += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace() and start >= 0:
            found.append(text[start:position])
            start = -1
        position += 1
    return [*found, text[start:]] if start >= 0 else found


def expand(word: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """A word without its quotes, with its variables filled in; those that nobody has set are empty.

    Raises BadSubstitutionError.
    """
    reader = _Reader(word, values, escape)
    return reader.text(until="")


def expand_text(text: str, values: Mapping[str, str]) -> str:
    """As `expand`, of a here-document: quotes are text there, and the escape character is a backslash.

    Raises BadSubstitutionError.
    """
    return _Reader(text, values, "\\", has_quotes=False).text(until="")


@dataclass
class _Reader:
    """Reads a word once from its beginning to its end."""

    word: str
    values: Mapping[str, str]
    escape: str
    has_quotes: bool = True
    position: int = 0
    depth: int = 0

    def text(self, until: str) -> str:
        """What stands before the character `until`, which is read too; "" for the end of the word."""
        parts: list[str] = []
        while self.position < len(self.word):
            char = self._next()
            if char == until:
                return "".join(parts)
            parts.append(self._part(char))
        if until:
            raise BadSubstitutionError(f"it never ends: {until!r} is missing")
        return "".join(parts)

    def _part(self, char: str) -> str:
        if char in "'\"" and self.has_quotes:
            return self._single_quoted() if char == "'" else self._double_quoted()
        if char == "$":
            return self._variable()
        return self._next() if char == self.escape else char

    def _next(self) -> str:
        """The next character, "" at the end."""
        char = self.word[self.position : self.position + 1]
        self.position += 1
        return char

    def _single_quoted(self) -> str:
        end = self.word.find("'", self.position)
        if end < 0:
            raise BadSubstitutionError("a quote never ends")
        text, self.position = self.word[self.position : end], end + 1
        return text

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while self.position < len(self.word):
            char = self._next()
            if char == '"':
                return "".join(parts)
            if char == "$":
                char = self._variable()
            elif char == self.escape and self.word[self.position : self.position + 1] in ('"', "$", self.escape):
                char = self._next()
            parts.append(char)
        raise BadSubstitutionError("a quote never ends")

    def _variable(self) -> str:
        if self.word[self.position : self.position + 1] != "{":
            name = self._name()
            return self.values.get(name, "") if name else "$"
        self.position += 1
        name = self._name()
        if not name:
            raise BadSubstitutionError("a substitution names no variable")
        value, sign = self.values.get(name, ""), self._next()
        if sign == "}":
            return value
        sign += self._next() if sign == ":" else ""
        if sign not in (":-", ":+", ":?"):
            raise BadSubstitutionError(f"the builder does not know ${{{name}{sign}...}}")
        return self._chosen(name, value, sign)

    def _chosen(self, name: str, value: str, sign: str) -> str:
        """`${name:-word}` and its kin, from the word on."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise BadSubstitutionError(f"more than {_MAX_DEPTH} substitutions inside each other")
        word = self.text(until="}")
        self.depth -= 1
        if sign == ":+":
            return word if value else ""
        if sign == ":?" and not value:
            raise BadSubstitutionError(f"{name} has no value: {word or 'it must have one'}")
        return value or word

    def _name(self) -> str:
        """The name that begins here, "" for none."""
        start = self.position
        while self.position < len(self.word) and _in_name(self.word[self.position]):
            self.position += 1
        if self.position > start and self.word[start].isdigit():  # $1 is a parameter of its own
            self.position = start + 1
        return self.word[start : self.position]


def _in_name(char: str) -> bool:
    return char == "_" or (char.isascii() and char.isalnum())


def bare(word: str) -> str:
    """A word without quotes around it; what is inside stays."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "'\"" else word
