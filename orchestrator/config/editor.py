"""Fixes put into the text of release.yaml.  Every byte that was there stays, in its order: only lines are added.

Comments, blank lines, indentation and line ends are a person's; so the file is never written anew from its values.
Where a list begins and ends is asked of config.py's reader, and the result is read by it again before it counts.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from orchestrator.config import reader
from orchestrator.config.schema import Items, Node, Pairs, Scalar
from orchestrator.config.validators import invisible
from orchestrator.core.dataclass import dataclass
from orchestrator.core.declaration import Fix, ReleaseEntry
from orchestrator.core.errors import ConfigError, UsageError
from orchestrator.core.results import Place
from orchestrator.core.versions import completed, version_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.core.declaration import Config

# Faults of a file that the edit itself mends: a list of fixes that waits to be filled.
UNFINISHED = ("config-no-fixes",)
_STEP = 2  # columns, where the file shows no habit of its own
_BARE = re.compile(r"[A-Za-z][\w ,.()/+@-]*", re.ASCII)  # what YAML takes for text without quotes
_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_EMPTY_VALUE = re.compile(
    rb"^(\s*[^\s#]+\s*:)[ \t]*+(?:~|null|Null|NULL|\[[ \t]*\]|\{[ \t]*\})?([ \t]*(?:#.*)?\r?\n?)$"
)


@dataclass(frozen=True, kw_only=True)
class FixEntry:
    """A fix to declare: full commit id, reason, and the subject, which becomes a comment."""

    commit: str
    reason: str = ""
    subject: str = ""
    backport: str = ""
    mainline: int = 0
    allow: tuple[str, ...] = ()

    def fix(self, place: Place, exclude: tuple[str, ...]) -> Fix:
        """It as a value, in a file that excludes these from all fixes."""
        return Fix(
            place=place, commit=self.commit, reason=_shown(self.reason), backport=self.backport,
            mainline=self.mainline, allow=self.allow, exclude=exclude,
        )  # fmt: skip


def snippet(entries: Sequence[FixEntry], indent: int) -> str:
    """The entries as lines, ready to paste under `fixes:`."""
    return "".join(f"{line}\n" for line in _lines(entries, indent))


def needed(prerequisites: Sequence[str], source: str) -> list[FixEntry]:
    """Entries for the commits that must come before a source."""
    return [FixEntry(commit=sha, reason=f"needed by {source[:12]}") for sha in prerequisites]


def insert(
    text: bytes, version: str, entries: Sequence[FixEntry], before: str | None = None, *, file: str = "release.yaml"
) -> bytes:
    """The text with `entries` among the fixes of `version`: before the fix declared as `before`, else at the end.

    A version that is not declared yet is added.  Raises UsageError where the file is written in a way that no line
    can be added to (flow style, aliases), ConfigError where it is wrong already.
    """
    old = reader.parse(text, file, forgive=UNFINISHED)
    release = old.release(version)
    at = _position(release, version, before, file)
    edit = _Editor(text, file)
    if release is None:
        edit.add_release(version, entries)
    else:
        edit.add_fixes(version, entries, at)
    new = b"".join(edit.lines)
    _prove(old, new, version, entries, at, file)
    return new


def freeze(text: bytes, version: str, found: Mapping[int, Mapping[str, str]], file: str) -> bytes:
    """The text with further keys beside the `pr:` of these requests.  Raises UsageError where no line can be added."""
    old = reader.parse(text, file)
    edit = _Editor(text, file)
    edit.add_keys(
        version, {number: [f"{key}: {value}" for key, value in keys.items()] for number, keys in found.items()}
    )
    new = b"".join(edit.lines)
    wanted = [_frozen(entry, found) if entry.version == version else entry for entry in old.releases]
    if _said(reader.parse(new, file)) != _said(replace(old, releases=tuple(wanted))):
        raise UsageError(
            f"the requests of {version} cannot be written out without changing something else",
            where=file,
            remedy="write their commits as `commit:` beside each `pr:`",
            code="cannot-edit",
        )
    return new


def _frozen(entry: ReleaseEntry, found: Mapping[int, Mapping[str, str]]) -> ReleaseEntry:
    def made(fix: Fix) -> Fix:
        keys = found.get(fix.pr, {}) if not fix.is_frozen else {}
        return replace(
            fix, commit=keys.get("commit", fix.commit), range=keys.get("range", fix.range),
            mainline=int(keys.get("mainline", fix.mainline)),
        )  # fmt: skip

    return replace(entry, fixes=tuple(made(fix) for fix in entry.fixes))


def _position(release: ReleaseEntry | None, version: str, before: str | None, file: str) -> int:
    fixes = release.fixes if release else ()
    if before is None:
        return len(fixes)
    for number, fix in enumerate(fixes):
        if fix.declared == before:
            return number
    raise UsageError(f"{version} declares no fix {before!r}", where=file, code="cannot-edit")


def _lines(entries: Sequence[FixEntry], indent: int) -> list[str]:
    pad, lines = " " * indent, []
    for entry in entries:
        subject = _shown(entry.subject)
        lines.append(f"{pad}- commit: {entry.commit}" + (f"  # {subject}" if subject else ""))
        if reason := _shown(entry.reason):
            lines.append(f"{pad}  reason: {_text(reason)}")
        lines += [f"{pad}  backport: {entry.backport}"] if entry.backport else []
        lines += [f"{pad}  mainline: {entry.mainline}"] if entry.mainline else []
        lines += [f"{pad}  allow: [{', '.join(entry.allow)}]"] if entry.allow else []
    return lines


def _shown(text: str) -> str:
    """One line without anything that the file may not hold."""
    text = " ".join(text.split())
    while (at := invisible(text)) >= 0:
        text = f"{text[:at]}?{text[at + 1 :]}"
    return text


def _text(text: str) -> str:
    """A YAML scalar: bare where that is safe, else in single quotes, which know one escape."""
    if _BARE.fullmatch(text) and not text.endswith(" ") and text.lower() not in _WORDS:
        return text
    return "'" + text.replace("'", "''") + "'"


class _Editor:
    """The lines of the file, and where in them things stand."""

    def __init__(self, text: bytes, file: str) -> None:
        self.file = file
        self.lines = text.splitlines(keepends=True)
        self._root = self._block(reader.compose(text, file), "the file")
        self._end = b"\r\n" if self.lines and self.lines[0].endswith(b"\r\n") else b"\n"

    def add_release(self, version: str, entries: Sequence[FixEntry]) -> None:
        """A new entry under `releases:`: last, or first where the newest stands first."""
        found = self._root.find("releases")
        if found is None:
            column = self._root.column - 1
            head = [" " * column + "releases:"]
            self._put(self._root.last, head + self._release(version, entries, column + _STEP, _STEP, _STEP))
            return
        key, value = found
        if _is_empty(value):
            self._clear(key)
            self._put(key.line, self._release(version, entries, key.column - 1 + _STEP, _STEP, _STEP))
            return
        releases = self._block(value, "`releases:`", key)
        first, body = releases.pairs[0]
        column = first.column - 1
        step = body.column - first.column if isinstance(body, Pairs) and body.line > first.line else _STEP
        lines = self._release(version, entries, column, step, self._habit(releases))
        names = version_tags(name.text for name, _ in releases.pairs)
        is_newest_first = len(names) > 1 and names[0].order > names[-1].order
        self._put(self._above(first.line, column) if is_newest_first else self._below(releases.last, column), lines)

    def _release(self, version: str, entries: Sequence[FixEntry], column: int, step: int, habit: int) -> list[str]:
        inner = column + step
        return [f"{' ' * column}{version}:", f"{' ' * inner}fixes:", *_lines(entries, inner + habit)]

    def add_fixes(self, version: str, entries: Sequence[FixEntry], at: int) -> None:
        """New items of the list that is there, before item `at`."""
        key, value = self._pair(self._root, "releases")
        releases = self._block(value, "`releases:`", key)
        key, value = next(pair for pair in releases.pairs if version in (pair[0].text, completed(pair[0].text)))
        release = self._block(value, version, key)
        if release.find("fixes") is None:  # which `from-branch` may do without
            column = release.column - 1
            lines = [f"{' ' * column}fixes:", *_lines(entries, column + self._habit(releases))]
            self._put(self._below(release.last, column), lines)
            return
        key, value = self._pair(release, "fixes")
        if _is_empty(value):
            self._clear(key)
            self._put(key.line, _lines(entries, key.column - 1 + self._habit(releases)))
            return
        if not isinstance(value, Items) or value.is_flow or _is_alias(key, value):
            raise self._refuse(f"the fixes of {version} are", key)
        dashes = [self._dash(start, key) for start in value.starts]
        column = dashes[0][1]
        line = self._above(dashes[at][0], column) if at < len(dashes) else self._below(value.last, column)
        self._put(line, _lines(entries, column))

    def add_keys(self, version: str, keys: Mapping[int, Sequence[str]]) -> None:
        """Lines below the `pr:` of entries that name their commits by nothing else."""
        _, value = self._pair(self._root, "releases")
        at = dict[int, list[str]]()
        for name, release in self._block(value, "`releases:`").pairs:
            found = release.find("fixes") if isinstance(release, Pairs) else None
            items = found[1].items if found and isinstance(found[1], Items) and completed(name.text) == version else ()
            for item in (each for each in items if isinstance(each, Pairs)):
                key, number = item.find("pr") or (None, None)
                if key is None or not isinstance(number, Scalar) or item.find("commit") or item.find("range"):
                    continue
                if item.is_flow:
                    raise self._refuse("this fix is", key)
                lines = keys.get(int(number.text.strip().lstrip("#!")), ())
                at[number.line] = [f"{' ' * (key.column - 1)}{line}" for line in lines]
        for line in sorted(at, reverse=True):
            self._put(line, at[line])

    # -------------------------------------------------------------- where things stand

    def _pair(self, pairs: Pairs, name: str) -> tuple[Scalar, Node]:
        """A key and its value that config.py has seen, so they are there."""
        return next(pair for pair in pairs.pairs if pair[0].text.strip() == name)

    def _block(self, node: Node, what: str, key: Scalar | None = None) -> Pairs:
        if isinstance(node, Pairs) and not node.is_flow and (key is None or not _is_alias(key, node)):
            return node
        raise self._refuse(f"{what} is", key or node)

    def _refuse(self, what: str, node: Node) -> UsageError:
        return UsageError(
            f"{what} not written as a block, a line each, so no line can be added",
            where=f"{self.file}:{node.line}:{node.column}",
            remedy="write it with a `- commit:` line for each fix, or edit the file by hand",
            code="cannot-edit",
        )

    def _habit(self, releases: Pairs) -> int:
        """How far the dashes stand from their `fixes:` in this file."""
        for _, release in releases.pairs:
            found = release.find("fixes") if isinstance(release, Pairs) else None
            if found and isinstance(found[1], Items) and not found[1].is_flow and not _is_alias(*found):
                return self._dash(found[1].starts[0], found[0])[1] - (found[0].column - 1)
        return _STEP

    def _dash(self, start: tuple[int, int], key: Scalar) -> tuple[int, int]:
        """(line from 1, column from 0) of the dash of an item: on its line, or alone on one above."""
        line, column = start
        head = self._text(line)[: column - 1]
        while not head.strip() or head.lstrip().startswith("#"):
            line -= 1
            head = self._text(line)
        if line <= key.line or head.split("#")[0].strip() != "-":
            raise self._refuse("this list is", key)
        return line, head.index("-")

    def _text(self, line: int) -> str:
        return self.lines[line - 1].decode()

    def _above(self, line: int, column: int) -> int:
        """How many lines stand before the one given and before the comments directly above it that belong to it."""
        before = line - 1
        while before and self._is_comment(before, lambda indent: indent == column):
            before -= 1
        return before

    def _below(self, last: int, column: int) -> int:
        """How many lines stand up to the last one of a block, with the comments below that are indented deeper."""
        while not self.lines[last - 1].strip():
            last -= 1
        while last < len(self.lines) and self._is_comment(last + 1, lambda indent: indent > column):
            last += 1
        return last

    def _is_comment(self, line: int, fits: Callable[[int], bool]) -> bool:
        text = self._text(line)
        return text.lstrip(" ").startswith("#") and fits(len(text) - len(text.lstrip(" ")))

    # -------------------------------------------------------------- changes

    def _clear(self, key: Scalar) -> None:
        """Take the `[]`, `{}` or `null` away that stands for nothing behind a key."""
        found = _EMPTY_VALUE.match(self.lines[key.line - 1])
        if not found:
            raise self._refuse(f"{key.text!r} is", key)
        self.lines[key.line - 1] = found[1] + found[2]

    def _put(self, after: int, lines: Sequence[str]) -> None:
        """Add lines behind the first `after` ones of the file."""
        if after and not self.lines[after - 1].endswith(b"\n"):
            self.lines[after - 1] += self._end
        self.lines[after:after] = [line.encode() + self._end for line in lines]


def _is_empty(node: Node) -> bool:
    if isinstance(node, Scalar):
        return node.is_null
    return not (node.items if isinstance(node, Items) else node.pairs if isinstance(node, Pairs) else ())


def _is_alias(key: Scalar, value: Node) -> bool:
    """An alias stands for a node further up."""
    return (value.line, value.column) < (key.line, key.column)


# ------------------------------------------------------------------ proof


def _prove(old: Config, new: bytes, version: str, entries: Sequence[FixEntry], at: int, file: str) -> None:
    """Raises UsageError unless the new text says what the old one said, and the new fixes."""
    place = Place(file=file)
    fixes = tuple(entry.fix(place, old.exclude) for entry in entries)
    release = old.release(version) or ReleaseEntry(version=version, place=place)
    release = replace(release, fixes=(*release.fixes[:at], *fixes, *release.fixes[at:]))
    others = [each for each in old.releases if each.version != version]
    wanted = replace(old, releases=(*others, release))
    try:
        got = reader.parse(new, file, forgive=UNFINISHED)
    except ConfigError as error:
        raise UsageError(
            f"with the new fixes the file would be wrong: {error.message}",
            where=file,
            remedy=error.remedy or "edit the file by hand",
            code="cannot-edit",
        ) from error
    if _said(got) != _said(wanted):
        raise UsageError(
            f"the fixes of {version} cannot be added without changing something else",
            where=file,
            remedy="edit the file by hand",
            code="cannot-edit",
        )


def _said(value: Config) -> Any:
    """What a file declares, whatever its places and the order of its releases."""
    data = _placeless(asdict(replace(value, text=b"")))
    data["releases"] = {release["version"]: release for release in data["releases"]}
    return data


def _placeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _placeless(each) for key, each in value.items() if key not in ("place", "line")}
    return [_placeless(each) for each in value] if isinstance(value, (list, tuple)) else value
