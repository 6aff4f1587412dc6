"""What a killed git or a power loss leaves in a clone: damaged objects, refs and locks that only a release uses.

They are put aside, so that the release makes them again.  Its lock is held here: no other release can be at work on
them.  What belongs to others, such as `packed-refs.lock`, is never touched; the error that git gives names it.
"""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from typing import TYPE_CHECKING

from orchestrator.session.yanks import PENDING, yank_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.git.repository import Repository
    from orchestrator.session.state import ReleaseState

_HELD = 2.0  # seconds: git has a lock on a ref for a moment; an older one was left
_EARLIER = 60.0  # seconds before the journal was begun: clocks of file systems
_DECIDED = {"resolved": "commit", "skipped": "blob"}  # refs of what people decided -> what they name
_ID = re.compile(r"[0-9a-f]{40}")


def heal(state: ReleaseState, tell: Callable[[str], object], *, after: bool = False) -> None:
    """Put aside what is damaged of a release that was begun here; `tell` hears of each.

    `after` its end too: what a yank has begun.
    """
    common = state.repository.common_dir
    if not (after or state.directory.is_dir() or (common / state.prefix).is_dir()):
        return
    for lock in _left_locks(common, state.version):
        lock.unlink(missing_ok=True)
        tell(f"{lock.relative_to(common)} was left by a git that was killed: removed")
    ended = _is_ended(state.journal_path)
    if ended and not after:
        return
    for path in _damaged_objects(common / "objects", _begun(state)):
        aside = state.directory / "damaged" / f"{path.parent.name}{path.name}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
        tell(f"object {aside.name} was not written to its end: it is made again (the file is in {aside.parent})")
    for ref in _damaged_refs(state, of_yank=ended):
        (common / ref).unlink(missing_ok=True)
        if ref in state.repository.refs(ref):
            state.repository.git.attempt("update-ref", "-d", ref)
        kind = ref.removeprefix(state.prefix).partition("/")[0]
        lost = "what a person decided is lost, and asked for again" if kind in _DECIDED else "it is made again"
        tell(f"{ref} was damaged: {lost}")


def _is_ended(journal: Path) -> bool:
    """Whether the release came to its end: what it needed here it needs no more."""
    return journal.is_file() and b'"kind": "closed"' in journal.read_bytes().rstrip().rpartition(b"\n")[2]


def _left_locks(common: Path, version: str) -> Iterator[Path]:
    folder = common / "refs/release" / version
    ours = [*(folder.rglob("*.lock") if folder.is_dir() else ())]
    ours += [common / f"refs/release-records/{version}.lock", common / "refs/notes/release.lock"]
    ours += [common / f"{yank_ref(version)}.lock"]
    for lock in ours:
        deadline = time.monotonic() + _HELD
        while lock.exists() and time.time() - lock.stat().st_mtime < _HELD and time.monotonic() < deadline:
            time.sleep(0.1)
        if lock.exists():
            yield lock


def _begun(state: ReleaseState) -> float:
    places = [state.directory, *state.directory.glob("*"), state.repository.common_dir / state.prefix / PENDING]
    return min((path.stat().st_ctime for path in places if path.exists()), default=time.time()) - _EARLIER


def _damaged_objects(objects: Path, since: float) -> Iterator[Path]:
    """Loose objects, written since a moment, that are not what their names say."""
    for folder in objects.glob("[0-9a-f][0-9a-f]"):
        for path in folder.iterdir():
            if len(path.name) == 38 and path.stat().st_mtime >= since and not _is_whole(path):
                yield path


def _is_whole(path: Path) -> bool:
    try:
        data = zlib.decompress(path.read_bytes())
    except (zlib.error, OSError):
        return False
    return hashlib.sha1(data, usedforsecurity=False).hexdigest() == f"{path.parent.name}{path.name}"


def _damaged_refs(state: ReleaseState, *, of_yank: bool) -> Iterator[str]:
    """The private refs of the release that name nothing, or something of which a part is missing.

    Of one that is ended only those `of_yank`: git may have collected what the others name.
    """
    repository, common = state.repository, state.repository.common_dir
    folder = common / state.prefix
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"] if folder.is_dir() else []
    if of_yank:
        files = [path for path in (folder / PENDING, common / yank_ref(state.version)) if path.is_file()]
    found = {path.relative_to(common).as_posix(): path.read_text(errors="replace").strip() for path in files}
    private = {} if of_yank else repository.refs(state.prefix.rstrip("/"))
    packed = {ref: sha for ref, sha in private.items() if ref not in found}
    for ref, sha in {**packed, **found}.items():
        kind = ref.removeprefix(state.prefix).partition("/")[0]
        if not _ID.fullmatch(sha) or not _is_complete(repository, sha, _DECIDED.get(kind, "")):
            yield ref


def _is_complete(repository: Repository, sha: str, kind: str) -> bool:
    """Whether an object is here, of that kind ("": any), with all that it needs which the clone's own refs have not."""
    if repository.git.attempt("cat-file", "-e", sha).status:
        return False
    found = repository.git.attempt("cat-file", "-t", sha).text.strip()
    if found == "blob" or found != (kind or found):
        return found == (kind or found)
    known = ("--not", "--branches", "--tags", "--remotes")
    return repository.git.attempt("rev-list", "--objects", "--quiet", sha, *known).status == 0
