"""`.dockerignore` as docker's own client reads it.

Written here, although docker-py has one: that one ignores case, and asked about a single path it misses
`**/name` for what lies below.  The rules are those of moby's pattern matcher and of the Dockerfile reference.
"""

from __future__ import annotations

import posixpath
import re
import warnings
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import UsageError
from orchestrator.core.glob import ANY_BUT_SLASH, ANYTHING, FOLDERS, LONGEST, WITHIN, Glob, Part, literal, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOKEN = re.compile(r"\*\*/?|\*|\?|\\.|.", re.DOTALL)
_MOST = 1000  # rules of one file

_Rule = tuple[bool, Glob]  # whether it takes back, and what it matches


def ignore_filter(patterns_text: str, file: str = ".dockerignore") -> Callable[[str], bool]:
    """A function telling whether a path, relative to the context, is left out; `file` is named in errors.

    The last pattern that matches a path or a folder above it decides; `!` takes back in.  Raises UsageError
    for a lone `!`, as docker does, for what is no pattern, and for far too many.
    """
    lines = enumerate(patterns_text.removeprefix("\ufeff").splitlines(), 1)
    rules = [rule for number, line in lines for rule in _rule(line, f"{file}:{number}")]
    if len(rules) > _MOST:
        raise UsageError(
            f"{len(rules)} patterns are more than {_MOST}", where=file, remedy="name folders", code="dockerignore"
        )
    return _Ignored(rules)


@dataclass(frozen=True)
class _Folder:
    """The state of each rule that can still match below a folder, and the rules that match it or one above."""

    states: dict[int, int]
    matched: frozenset[int]


class _Ignored:
    """What a folder has been asked is known for all that lies in it."""

    def __init__(self, rules: list[_Rule]) -> None:
        self._rules = rules
        top = {number: glob.start for number, (_, glob) in enumerate(rules)}
        self._folders = {"": _Folder(top, frozenset())}

    def __call__(self, path: str) -> bool:
        above, _, name = path.rpartition("/")
        matched = self._matched(self._folder(above), name)
        ignored = False
        for number in sorted(matched):
            takes_back = self._rules[number][0]
            if ignored == takes_back:
                ignored = not takes_back
        return ignored

    def _folder(self, path: str) -> _Folder:
        found, at = self._folders[""], ""
        for name in path.split("/") if path else ():
            at = f"{at}/{name}" if at else name
            if at not in self._folders:
                states = {}
                for number, state in found.states.items():
                    if after := self._rules[number][1].after(state, f"{name}/"):
                        states[number] = after
                self._folders[at] = _Folder(states, self._matched(found, name))
            found = self._folders[at]
        return found

    def _matched(self, above: _Folder, name: str) -> frozenset[int]:
        globs = ((number, self._rules[number][1], state) for number, state in above.states.items())
        return above.matched | {number for number, glob, state in globs if glob.accepts(glob.after(state, name))}


def _rule(line: str, place: str) -> list[_Rule]:
    """No rule or one."""
    text = line.strip()
    if not text or line.startswith("#"):  # an indented # is a name
        return []
    takes_back = text.startswith("!")
    name = text.removeprefix("!").strip() if takes_back else text
    if not name:
        raise UsageError(
            "a `!` without a pattern includes nothing again",
            where=place,
            remedy="delete the line, or put a pattern after it",
            code="dockerignore",
        )
    clean = posixpath.normpath(name).lstrip("/")
    if len(clean) > LONGEST:
        raise UsageError(
            f"a pattern of more than {LONGEST} characters", where=place, remedy="write it shorter", code="dockerignore"
        )
    # Docker ignores `.`, and a path can never begin with `..`.
    return [(takes_back, Glob(_parts(clean, place)))] if clean != "." else []


def _parts(pattern: str, place: str) -> list[Part]:
    """`*` and `?` stay within a folder, `**` is any number of folders."""
    parts: list[Part] = []
    for part, end in _tokens(pattern):
        if part.startswith("**"):
            parts.append(ANYTHING if end == len(pattern) else FOLDERS)
        elif part in ("*", "?"):
            parts.append(WITHIN if part == "*" else ANY_BUT_SLASH)
        elif len(part) > 1 and part[0] == "[":
            parts.append(_one_of(part, place))
        else:
            parts.append(literal(part[-1]))
    return parts


def _tokens(pattern: str) -> Iterator[tuple[str, int]]:
    """The pieces of a pattern, each with where it ends."""
    at, last = 0, pattern.rfind("]")
    while at < len(pattern):
        if pattern[at] == "[" and (end := _end_of_set(pattern, at, last)):
            yield pattern[at:end], end
        else:
            end = _TOKEN.match(pattern, at).end()  # type: ignore[union-attr]  # any character is a piece
            yield pattern[at:end], end
        at = end


def _end_of_set(pattern: str, at: int, last: int) -> int:
    """Where the set that begins here ends, 0 for a lone bracket; `last` is the last that closes one.

    A bracket that comes first in a set is a character of it, where another one closes the set.
    """
    start = at + (2 if pattern.startswith("[^", at) else 1)
    if last < start:
        return 0
    return pattern.index("]", start + 1 if last > start else start) + 1


def _one_of(part: str, place: str) -> Part:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Python may read `[[` otherwise some day
            found = re.compile(part.replace("\\", "\\\\"), re.DOTALL)
    except re.error as error:
        raise UsageError(
            f"{part} is no set of characters", where=place, remedy="write it as [abc] or [a-c]", code="dockerignore"
        ) from error
    return one_of(lambda char: found.fullmatch(char) is not None)
