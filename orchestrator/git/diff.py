"""Lines: which of them a change touches, and which commit each of them comes from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.scratch import Scratch

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_COMMIT = re.compile(rb"^([0-9a-f]{40}) \d+ (\d+)(?: \d+)?$")
_PATCH = ("-p", "-U0", "-r", "-M", "--no-ext-diff", "--no-textconv", "--full-index", "--submodule=short")


@dataclass(frozen=True, kw_only=True)
class DiffHunk:
    """Lines `start` to `start + count - 1` (from 1) are replaced; `count` 0 inserts after line `start`."""

    start: int
    count: int
    removed: tuple[bytes, ...] = ()
    added: tuple[bytes, ...] = ()

    @property
    def span(self) -> range:
        """The lines touched, with those on both sides of a mere insertion."""
        return range(self.start, self.start + self.count) if self.count else range(self.start, self.start + 2)

    def near(self, other: DiffHunk, distance: int) -> bool:
        """Whether at most `distance - 1` lines lie between the two, both in lines of the same old file."""
        return self.span.start - distance < other.span.stop and other.span.start - distance < self.span.stop


@dataclass(frozen=True, kw_only=True)
class FileDiff:
    """What becomes of one file: `old` and `new` paths, "" on the side where there is none; no hunks if it is binary."""

    old: str
    new: str
    hunks: tuple[DiffHunk, ...]


def patches(scratch: Scratch, old: str, new: str, *paths: str) -> list[FileDiff]:
    """The line changes from commit or tree `old` to `new`, with renames; binary files have no hunks."""
    output = scratch.git.run("diff-tree", *_PATCH, "-l1000", old, new, "--", *_literal(paths))
    return [patch for _, found in parse(output.stdout) for patch in found]


def renames(scratch: Scratch, old: str, new: str) -> dict[str, str]:
    """Old path -> new path, for files that have another name at `new`."""
    output = scratch.git.run("diff-tree", "-r", "-z", "-M", "-l400", "--diff-filter=R", "--name-status", old, new)
    fields = output.fields()
    return dict(zip(fields[1::3], fields[2::3], strict=True))


def history(
    scratch: Scratch, revisions: Sequence[str], paths: Sequence[str], *, limit: int
) -> dict[str, list[FileDiff]]:
    """Commit -> its patches under `paths`, newest first, at most `limit` commits and none that is a merge."""
    output = scratch.git.run(
        "log", "--topo-order", "--no-merges", "--full-history", f"--max-count={limit}", *_PATCH, "--no-renames",
        "--format=%x01%H", *revisions, "--", *_literal(paths),
    )  # fmt: skip
    return {sha: found for sha, found in parse(output.stdout) if sha}


def of(scratch: Scratch, commits: Mapping[str, str]) -> dict[str, list[FileDiff]]:
    """Commit -> its patches against the parent given ("" for a root commit), without renames.  One process."""
    if not commits:
        return {}
    feed = "".join(f"{sha} {parent}".rstrip() + "\n" for sha, parent in commits.items())
    output = scratch.git.run(
        "diff-tree", "--stdin", "--root", *_PATCH, "--no-renames", "--always", "--format=%x01%H", stdin=feed.encode()
    )
    return {sha: found for sha, found in parse(output.stdout) if sha}


def blame(scratch: Scratch, commit: str, without: str, path: str, lines: Iterable[int]) -> dict[int, str]:
    """Line of `path` at `commit` -> the commit that it comes from; lines that `without` has are left out.

    A path that is no file (a submodule) has no lines.
    """
    ranges = [f"-L{first},{last}" for first, last in _runs(sorted(set(lines)))]
    if not ranges:
        return {}
    output = scratch.git.attempt("blame", "--porcelain", "-M", *ranges, commit, f"^{without}", "--", path)
    found: dict[int, str] = {}
    old: set[str] = set()
    current = ""
    for line in output.stdout.split(b"\n"):
        if match := _COMMIT.match(line):
            current = match[1].decode()
            found[int(match[2])] = current
        elif line == b"boundary":
            old.add(current)
    return {line: sha for line, sha in found.items() if sha not in old}


def _runs(lines: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for line in lines:
        if runs and line == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], line)
        else:
            runs.append((line, line))
    return runs


def _literal(paths: Iterable[str]) -> list[str]:
    return [f":(literal){path}" for path in paths]


def parse(output: bytes) -> list[tuple[str, list[FileDiff]]]:
    """Patches by commit (`^A id` lines; "" before the first).  Lines of a hunk are counted, never guessed."""
    found: list[tuple[str, list[FileDiff]]] = [("", [])]
    lines = output.split(b"\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"\x01"):
            found.append((line[1:].decode(), []))
        elif line.startswith(b"diff --git "):
            patch, at = _patch(lines, at)
            found[-1][1].append(patch)
    return found


def _patch(lines: Sequence[bytes], at: int) -> tuple[FileDiff, int]:
    names = {b"--- ": "", b"+++ ": "", b"rename from ": "", b"rename to ": ""}
    hunks: list[DiffHunk] = []
    while at < len(lines) and not lines[at].startswith((b"diff --git ", b"\x01")):
        line = lines[at]
        at += 1
        if match := _HUNK.match(line):
            hunk, at = _hunk(match, lines, at)
            hunks.append(hunk)
            continue
        for start in names:
            if line.startswith(start):
                names[start] = _name(line[len(start) :], plain=start.startswith(b"rename"))
    old, new = names[b"--- "] or names[b"rename from "], names[b"+++ "] or names[b"rename to "]
    return FileDiff(old=old, new=new, hunks=tuple(hunks)), at


def _hunk(match: re.Match[bytes], lines: Sequence[bytes], at: int) -> tuple[DiffHunk, int]:
    """A hunk without context: first the removed lines, then the added ones; `\\ No newline` may follow either."""
    counts = [1 if group is None else int(group) for group in (match[2], match[4])]
    sides: list[tuple[bytes, ...]] = []
    for count in counts:
        sides.append(tuple(line[1:] for line in lines[at : at + count]))
        at += count
        if at < len(lines) and lines[at].startswith(b"\\"):
            at += 1
    return DiffHunk(start=int(match[1]), count=counts[0], removed=sides[0], added=sides[1]), at


def _name(text: bytes, *, plain: bool) -> str:
    text = text.rstrip(b"\t")
    if text == b"/dev/null" and not plain:
        return ""
    if text.startswith(b'"'):
        text = text[1:-1].decode("unicode_escape").encode("latin-1")
    return (text if plain else text[2:]).decode("utf-8", "surrogateescape")


def weigh(hits: Mapping[str, int], weight: float, into: dict[str, float]) -> None:
    """Add `weight` for each commit hit, a little more for each line; many lines never outweigh a closer hit."""
    for sha, number in hits.items():
        into[sha] = into.get(sha, 0.0) + weight * (1 + min(number, 20) / 40)
