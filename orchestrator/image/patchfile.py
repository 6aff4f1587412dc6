"""Patches to installed packages: read strictly, applied exactly, taken back.

This very file also stands in images/pytorch-cuda/build, where the image's own Python applies the patches with it: so
nothing but the standard library, and nothing of this project.  Exactly means each hunk at its line and every line as
it is there: no offset, no fuzz.  `patch` and `git apply` move hunks to where they fit, and say so where nobody reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DIFF = re.compile(rb"diff --git a/(\S+) b/(\S+)")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(?: .*)?")
_FIELD = re.compile(r"([A-Z][A-Za-z-]*):[ \t]+([^ \t\n].*|)")
_FOLDER = re.compile(r"(?P<package>[A-Za-z0-9][A-Za-z0-9._-]*?)-(?P<version>[0-9][A-Za-z0-9.!+]*)")
_NAME = re.compile(r"(?P<number>[0-9]{4})-[a-z0-9][a-z0-9._-]*\.patch")
_PATH = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)*")
_MODES = (b"100644", b"100755")
_NO_END = b"\\ No newline at end of file"
PYTHON = (".py", ".pyi")
FIELDS = ("Subject", "Origin")  # every patch must have them; names as in Debian's DEP-3


class PatchError(Exception):
    """What is wrong with a patch, or why it does not apply.  `line` is that of the patch file, 0 for none."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True)
class Hunk:
    """Lines before and after, each with its line end; `old_at` and `new_at` count from 0."""

    line: int
    old_at: int
    new_at: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]


@dataclass(frozen=True)
class FileChange:
    """One file of a patch: `old` is "" for a new file, `new` is "" for a deleted one, they differ for a renamed one."""

    line: int
    old: str
    new: str
    hunks: tuple[Hunk, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted({path for path in (self.old, self.new) if path}))

    def reversed(self) -> FileChange:
        hunks = tuple(Hunk(each.line, each.new_at, each.old_at, each.new, each.old) for each in self.hunks)
        return FileChange(self.line, self.new, self.old, hunks)


@dataclass(frozen=True)
class Patch:
    """A patch file: its header's fields, and what it changes."""

    fields: Mapping[str, str]
    changes: tuple[FileChange, ...]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted({path for change in self.changes for path in change.paths}))


@dataclass(frozen=True)
class PatchEntry:
    """A patch of the folder.  `name` is `torch-2.7.0/0001-a-fix.patch`."""

    name: str
    package: str
    version: str
    data: bytes
    patch: Patch

    def concerns(self, installed: str) -> bool:
        """Whether the patch was made for what is installed; a local version (`+cu118`) is another build of the same."""
        return self.version in (installed, installed.partition("+")[0])


# ------------------------------------------------------------------ reading


def parse(data: bytes) -> Patch:
    """Read a patch file.  Raises PatchError."""
    if not data.endswith(b"\n"):
        raise PatchError("the file is empty or ends within a line", data.count(b"\n") + 1)
    lines = data.split(b"\n")[:-1]
    first = next((number for number, line in enumerate(lines) if line.startswith(b"diff --git ")), None)
    if first is None:
        raise PatchError("there is no `diff --git` line: make it with git, or release patch import", 1)
    fields = _fields(lines[:first])
    changes = _Reader(lines, first).changes()
    seen: set[str] = set()
    for change in changes:
        for path in change.paths:
            if path in seen:
                raise PatchError(f"{path} is changed twice in one patch", change.line)
            seen.add(path)
    return Patch(fields, changes)


def _fields(lines: list[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    last = ""
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise PatchError("the header is not UTF-8", number) from None
        _no_carriage_return(raw, number)
        if not text.strip() or text == "---":
            break
        found = _FIELD.fullmatch(text)
        if found and found[1] in fields:
            raise PatchError(f"the header has {found[1]!r} twice", number)
        if found:
            last = found[1]
            fields[last] = found[2].strip()
        elif text[0] in " \t" and last:
            fields[last] += f" {text.strip()}"
        else:
            raise PatchError(f"the header has a line that is no field: {text[:60]!r}", number)
    for name in FIELDS:
        if not fields.get(name):
            raise PatchError(f"the header has no `{name}:`", 1)
    return fields


def _no_carriage_return(line: bytes, number: int) -> None:
    if line.endswith(b"\r"):
        raise PatchError("Windows line ends (CRLF): something changed the patch on its way; import it again", number)


class _Reader:
    """Goes once through the lines of a patch; `at` counts them from 0."""

    def __init__(self, lines: list[bytes], at: int) -> None:
        self.lines = lines
        self.at = at

    @property
    def line(self) -> bytes:
        return self.lines[self.at] if self.at < len(self.lines) else b""

    def fail(self, message: str, line: int = 0) -> PatchError:
        return PatchError(message, line or min(self.at, len(self.lines) - 1) + 1)

    def changes(self) -> tuple[FileChange, ...]:
        found = []
        while self.line.startswith(b"diff --git "):
            found.append(self.change())
        rest = self.lines[self.at :]
        if rest[:1] != [b"-- "] and any(rest):  # git format-patch signs with its version
            raise self.fail("a line that belongs to no hunk: the counts of the hunk before it are wrong")
        return tuple(found)

    def change(self) -> FileChange:
        start = self.at + 1
        _no_carriage_return(self.line, start)
        names = _DIFF.fullmatch(self.line)
        if not names:
            raise self.fail("paths with blanks or quotes are not supported")
        old, new = (_safe(name, start) for name in names.groups())
        self.at += 1
        kind = self.kind(old, new)
        if self.line.startswith(b"--- "):
            self.expect(b"--- " + (b"/dev/null" if kind == "new" else b"a/" + old.encode()))
            self.expect(b"+++ " + (b"/dev/null" if kind == "deleted" else b"b/" + new.encode()))
        elif self.line.startswith(b"@@ "):
            raise self.fail("a hunk without `---` and `+++` lines before it")
        hunks = self.hunks()
        if kind == "changed" and not hunks:
            raise self.fail(f"nothing is changed in {new}", start)
        if old != new and kind != "renamed":
            raise self.fail(f"{old} and {new} are two files, and no `rename` line says why", start)
        if kind in ("new", "deleted") and any(h.old if kind == "new" else h.new for h in hunks):
            raise self.fail(f"{new} is said to be {kind}, and has lines of the other side", start)
        return FileChange(start, "" if kind == "new" else old, "" if kind == "deleted" else new, hunks)

    def kind(self, old: str, new: str) -> str:
        """Read git's extended header lines: new, deleted, renamed or changed."""
        kind = "changed"
        while self.at < len(self.lines) and not self.line.startswith((b"--- ", b"@@ ", b"diff --git ", b"-- ")):
            line = self.line
            _no_carriage_return(line, self.at + 1)
            if line.startswith((b"new file mode ", b"deleted file mode ")):
                kind = line.split(b" ")[0].decode()
                if line.rpartition(b" ")[2] not in _MODES:
                    raise self.fail(f"{new} is a symbolic link or a submodule")
            elif line in (b"rename from " + old.encode(), b"rename to " + new.encode()):
                kind = "renamed"
            elif line.startswith((b"GIT binary patch", b"Binary files ")):
                raise self.fail(f"a binary patch of {new}: only text can be patched")
            elif line.startswith((b"old mode ", b"new mode ")):
                raise self.fail(f"the mode of {new} is changed, which is not supported")
            elif not line.startswith((b"index ", b"similarity index ", b"dissimilarity index ")):
                raise self.fail(f"{line.decode('utf-8', 'replace')[:60]!r} is not understood")
            self.at += 1
        return kind

    def expect(self, wanted: bytes) -> None:
        _no_carriage_return(self.line, self.at + 1)
        if self.line.partition(b"\t")[0] != wanted:
            raise self.fail(f"this should be {wanted.decode()!r}")
        self.at += 1

    def hunks(self) -> tuple[Hunk, ...]:
        found: list[Hunk] = []
        shift = end = 0
        while self.line.startswith(b"@@ "):
            hunk = self.hunk()
            if hunk.old_at < end:
                raise self.fail("the hunk overlaps the one before it", hunk.line)
            if hunk.new_at != hunk.old_at + shift:
                raise self.fail("the line numbers of the hunk do not follow from those before it", hunk.line)
            end = hunk.old_at + len(hunk.old)
            shift += len(hunk.new) - len(hunk.old)
            found.append(hunk)
        return tuple(found)

    def hunk(self) -> Hunk:
        start = self.at + 1
        _no_carriage_return(self.line, start)
        head = _HUNK.fullmatch(self.line)
        if not head:
            raise self.fail("a bad hunk line: not `@@ -START,COUNT +START,COUNT @@`")
        old_start, old_count, new_start, new_count = (int(part) if part else 1 for part in head.groups())
        self.at += 1
        old: list[bytes] = []
        new: list[bytes] = []
        while len(old) < old_count or len(new) < new_count:
            self.hunk_line(start, old, new)
        if self.line == _NO_END:
            self.no_end(old, new)
        if (len(old), len(new)) != (old_count, new_count):
            raise self.fail(f"the hunk has {len(old)} and {len(new)} lines, not {old_count} and {new_count}", start)
        if old == new:
            raise self.fail("the hunk changes nothing", start)
        # A side without lines stands *behind* the line that its number names.
        return Hunk(start, old_start - bool(old_count), new_start - bool(new_count), tuple(old), tuple(new))

    def hunk_line(self, start: int, old: list[bytes], new: list[bytes]) -> None:
        if self.at >= len(self.lines):
            raise self.fail("the hunk ends early: its counts are wrong, or the file is cut off", start)
        line = self.line
        sides = {b" ": (old, new), b"-": (old,), b"+": (new,)}.get(line[:1])
        if line == _NO_END:
            self.no_end(old, new)
            return
        if sides is None:
            raise self.fail(
                "a line within a hunk that starts with none of ' ', '-', '+': counts or blanks were changed"
            )
        for side in sides:
            side.append(line[1:] + b"\n")
        self.at += 1

    def no_end(self, old: list[bytes], new: list[bytes]) -> None:
        """The line before is the last of its file, and has no line end."""
        for mark, side in ((b" -", old), (b" +", new)):
            if self.lines[self.at - 1][:1] in (mark[:1], mark[1:]) and side:
                side[-1] = side[-1].removesuffix(b"\n")
        self.at += 1


def _safe(name: bytes, line: int) -> str:
    """A path below a package, of a Python file.  Raises PatchError for one that leaves it, or must be compiled."""
    path = name.decode("utf-8", "replace")
    if not _PATH.fullmatch(path):
        raise PatchError(f"{path!r} is no plain path below the packages", line)
    if not path.endswith(PYTHON):
        raise PatchError(f"{path} is no Python file: a patch cannot change what is compiled or generated", line)
    return path


# ------------------------------------------------------------------ the folder


def read_series(files: Mapping[str, bytes]) -> tuple[list[PatchEntry], list[tuple[str, int, str]]]:
    """The patches of a folder in the order to apply them, and what is wrong: (path, line, message).

    `files` are the folder's, by path within it: `<package>-<version>/NNNN-name.patch`, a test of the same name that
    ends in `.py`, and pages (`*.md`).
    """
    entries: list[PatchEntry] = []
    problems: list[tuple[str, int, str]] = []
    numbers: dict[tuple[str, str], str] = {}
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        place, named = _FOLDER.fullmatch(folder), _NAME.fullmatch(name)
        if name.endswith(".md") or (name.endswith(".py") and f"{path[:-3]}.patch" in files):
            continue
        if not place or not named:
            problems.append((path, 0, "not named <package>-<version>/NNNN-name.patch (small letters, four digits)"))
            continue
        other = numbers.setdefault((folder, named["number"]), path)
        if other != path:
            problems.append((path, 0, f"has the number of {other}: which comes first?"))
        try:
            entries.append(PatchEntry(path, place["package"], place["version"], files[path], parse(files[path])))
        except PatchError as error:
            problems.append((path, error.line, error.message))
    return entries, problems


# ------------------------------------------------------------------ applying


def apply_change(change: FileChange, content: bytes | None) -> bytes | None:
    """The file's content after the change, None for a deleted file.  `content` None: there is no such file."""
    path = change.old or change.new
    if change.old and content is None:
        raise PatchError(f"{path} is not there", change.line)
    if not change.old and content is not None:
        raise PatchError(f"{path} is there already", change.line)
    lines = re.findall(rb"[^\n]*\n|[^\n]+", content or b"")
    made: list[bytes] = []
    at = 0
    for hunk in change.hunks:
        _compare(path, hunk, lines)
        made += lines[at : hunk.old_at]
        made += hunk.new
        at = hunk.old_at + len(hunk.old)
    made += lines[at:]
    if lines and made and not all(hunk.old and hunk.new for hunk in change.hunks):
        raise PatchError(f"{path}: a hunk without context proves nothing; make the patch with git's usual three lines")
    if not change.new and made:
        raise PatchError(f"{path} has more than what the patch deletes", change.line)
    if any(not line.endswith(b"\n") for line in made[:-1]):
        raise PatchError(f"{path} would have text behind its last line, which has no line end", change.line)
    return b"".join(made) if change.new else None


def _compare(path: str, hunk: Hunk, lines: list[bytes]) -> None:
    if hunk.old_at > len(lines):
        raise PatchError(f"{path} has {len(lines)} lines, the patch wants line {hunk.old_at}", hunk.line)
    for number, wanted in enumerate(hunk.old, hunk.old_at):
        there = lines[number] if number < len(lines) else b""
        if there != wanted:
            said = [repr(text.decode("utf-8", "replace")[:60]) for text in (there, wanted)]
            raise PatchError(f"{path}:{number + 1} is {said[0]}, the patch wants {said[1]}", hunk.line)


def apply_all(patch: Patch, read: Callable[[str], bytes | None], *, back: bool = False) -> dict[str, bytes | None]:
    """Path -> content after the patch, None for what is gone; `back` takes it back.  Raises PatchError."""
    after: dict[str, bytes | None] = {}
    for change in patch.changes:
        turned = change.reversed() if back else change
        result = apply_change(turned, read(turned.old or turned.new))
        if turned.old and turned.new and turned.old != turned.new:
            if read(turned.new) is not None:
                raise PatchError(f"{turned.new} is there already", change.line)
            after[turned.old] = None
        after[turned.new or turned.old] = result
    return after


def is_applied(patch: Patch, read: Callable[[str], bytes | None]) -> bool:
    """Whether the patch can be taken back exactly: all of it is there."""
    try:
        apply_all(patch, read, back=True)
    except PatchError:
        return False
    return True
