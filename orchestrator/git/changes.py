"""What commits change, for many at once: files by one `git log` or `diff-tree`, patch-ids by one pipe.

Renames are not looked for here: a patch-id does not know them either, so equal patches have equal paths.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.git.process import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from orchestrator.git.scratch import Scratch

_RAW = ("--raw", "-r", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules=none")
_PATCH = ("-p", "-r", "--root", "--no-ext-diff", "--no-textconv", "--full-index", "--binary", "--no-renames")
_START = b"\x01"  # begins a commit in our format; fields are counted, so a file of that name does not matter
_FEW_PATHS = 8  # above this, a walk limited to the paths costs git more than one of everything (measured)
_WIDE = 2000  # commits
_AT_ONCE = 200  # patches in one pipe: a few MiB


@dataclass(frozen=True, kw_only=True)
class ChangedFile:
    """One file of a commit: blob ids before and after (zeros when there is none) and modes; `path` as bytes."""

    path: bytes
    before: bytes
    after: bytes
    modes: bytes  # `old new`, octal


@dataclass(frozen=True, kw_only=True)
class CommitChange:
    """A commit's change against `parent`, "" for a root commit.  `message` is UTF-8, mended where it is not."""

    sha: str
    parent: str
    message: str
    files: tuple[ChangedFile, ...]

    @property
    def paths(self) -> frozenset[bytes]:
        return frozenset(file.path for file in self.files)

    @property
    def digest(self) -> bytes:
        """Equal for two changes of the very same files from the same content to the same content."""
        return _digest((file.path, file.before, file.after, file.modes) for file in self.files)

    @property
    def inverse_digest(self) -> bytes:
        """The `digest` of the change that takes this one back."""
        return _digest((file.path, file.after, file.before, _swapped(file.modes)) for file in self.files)


def _digest(rows: Iterable[tuple[bytes, ...]]) -> bytes:
    return hashlib.sha256(b"\0".join(b"\0".join(row) for row in sorted(rows))).digest()


def _swapped(modes: bytes) -> bytes:
    old, _, new = modes.partition(b" ")
    return new + b" " + old


def log(scratch: Scratch, *revisions: str, paths: Sequence[bytes] = (), merges: bool = False) -> list[CommitChange]:
    """The changes of a range, newest first, children before parents; merges have no files and are left out.

    With `paths`, commits that touch none of them may be left out.
    """
    paths = paths if len(paths) <= _FEW_PATHS else ()
    named = [":(literal)" + path.decode("utf-8", "surrogateescape") for path in paths]
    output = scratch.git.run(
        "log", "--topo-order", *(() if merges else ("--no-merges",)), *_RAW, "--encoding=UTF-8", "--full-history",
        "--full-diff", "--format=%x01%H %P%x00%B%x00", *revisions, "--", *named,
    )  # fmt: skip
    return parse(output.stdout)


def wide_log(scratch: Scratch, *revisions: str) -> list[CommitChange]:
    """As `log`, in the order of dates, with two processes where there is much to compare."""
    rows = [line.split() for line in scratch.rev_list("--no-merges", "--parents", *revisions, "--")]
    commits = {row[0]: row[1] if len(row) > 1 else "" for row in rows}
    return of(scratch, commits)


def messages(scratch: Scratch, *revisions: str) -> list[CommitChange]:
    """As `log`, without files: no tree is read."""
    output = scratch.git.run(
        "log", "--topo-order", "--no-merges", "-z", "--encoding=UTF-8", "--format=%x01%H %P%x00%B%x00", *revisions, "--"
    )
    return parse(output.stdout)


def of(scratch: Scratch, commits: Mapping[str, str]) -> list[CommitChange]:
    """The changes of these commits, each against the parent given ("" for a root commit); where there are many, by two
    processes.
    """
    if not commits:
        return []
    parts = [commits]
    if len(commits) >= _WIDE:
        ids, half = list(commits), (len(commits) + 1) // 2
        parts = [{sha: commits[sha] for sha in part} for part in (ids[:half], ids[half:])]
    return [
        CommitChange(sha=change.sha, parent=commits[change.sha], message=change.message, files=change.files)
        for output in side_by_side(lambda part: _raw(scratch, part), parts)
        for change in parse(output)
    ]


def _raw(scratch: Scratch, commits: Mapping[str, str]) -> bytes:
    lines = "".join(f"{sha} {parent}".rstrip() + "\n" for sha, parent in commits.items())
    return scratch.git.run(
        "diff-tree", "--stdin", "--root", *_RAW, "--always", "--encoding=UTF-8", "--format=%x01%H %P%x00%B%x00",
        stdin=lines.encode(),
    ).stdout  # fmt: skip


def parse(output: bytes) -> list[CommitChange]:
    """Read what `log` and `of` ask git to print: `^A sha parents NUL message NUL`, then `:meta NUL path NUL` a file."""
    fields = output.split(b"\0")
    changes: list[CommitChange] = []
    position, end = 0, len(fields)
    while position < end:
        field = fields[position].lstrip(b"\n")
        if not field.startswith(_START):
            position += 1  # the empty field that ends a commit
            continue
        sha, _, parents = field[1:].decode().partition(" ")
        message = fields[position + 1].decode("utf-8", "replace")
        position += 2
        files = []
        while position < end and (not fields[position] or fields[position].lstrip(b"\n")[:1] == b":"):
            meta = fields[position].lstrip(b"\n")
            if not meta:
                position += 1
                continue
            old, new, before, after, _ = meta[1:].split(b" ", 4)
            files.append(ChangedFile(path=fields[position + 1], before=before, after=after, modes=old + b" " + new))
            position += 2
        changes.append(CommitChange(sha=sha, parent=parents.partition(" ")[0], message=message, files=tuple(files)))
    return changes


def patch_ids(scratch: Scratch, commits: Mapping[str, str], *, context: int) -> dict[str, str]:
    """Commit -> `git patch-id --stable` of its diff against the parent given; no id without a textual change.

    `context` 3 is the usual patch-id.  With 0 a change is known by its added and removed lines alone, wherever they
    stand in their files: it finds all that the usual one finds, and picks whose surroundings differ.
    """
    kind = f"patch-id-{context}"
    keys = {sha: f"{sha} {parent}" for sha, parent in commits.items()}
    kept = scratch.cache.get(kind, keys.values())
    found = {sha: kept[key].decode() for sha, key in keys.items() if key in kept}
    rest = [sha for sha in commits if sha not in found]
    parts = [{sha: commits[sha] for sha in rest[start : start + _AT_ONCE]} for start in range(0, len(rest), _AT_ONCE)]
    for part, new in zip(parts, side_by_side(lambda part: _patch_ids(scratch, part, context), parts), strict=True):
        known = dict.fromkeys(part, "") | new
        scratch.cache.put(kind, {keys[sha]: value.encode() for sha, value in known.items()})
        found |= known
    return {sha: value for sha, value in found.items() if value}


def _patch_ids(scratch: Scratch, commits: Mapping[str, str], context: int) -> dict[str, str]:
    lines = "".join(f"{sha} {parent}".rstrip() + "\n" for sha, parent in commits.items())
    patches = scratch.git.run("diff-tree", "--stdin", *_PATCH, f"-U{context}", stdin=lines.encode()).stdout
    rows = [line.split() for line in scratch.git.run("patch-id", "--stable", stdin=patches).lines()]
    return {row[1]: row[0] for row in rows}
