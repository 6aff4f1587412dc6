"""git notes on source commits (`refs/notes/release`), merged with what others wrote, never over it.

Notes of many commits are read by one `ls-tree` and written by one `fast-import`, spread over directories as it spreads
them (its own `N` refuses notes on commits that are not here, and other people's may be).  They are merged here:
`git notes merge` would sort the lines of other people's texts (cat_sort_uniq), repeat them (union) or stop.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.core.declaration import NOTES
from orchestrator.core.errors import RefusedError, RemoteError
from orchestrator.git.process import FETCH, GitCommandError
from orchestrator.git.push import push_to, said_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from orchestrator.git.process import Git
    from orchestrator.git.repository import Repository

REF = NOTES
_THEIRS = "refs/notes/release-remote"
_ATTEMPTS = 5
_STATE = "the release itself is public and complete"
_CRASH = re.compile(r"dumping crash report to (\S+)")
_NOTE = re.compile(r"[0-9a-f]{40}")  # a path without its slashes


def publish(
    repository: Repository, *, remote: str, lines: Mapping[str, str], committer: str, seen: str | None = None
) -> None:
    """Add a line to the note of each commit and push; when others pushed meanwhile, merge and try again.

    `seen` is where the remote's were a moment ago, "" for none.  Raises RemoteError when the remote refuses every time.
    """
    from orchestrator.git.records.push import hinted, move_refs

    git = repository.git
    said = ""
    for attempt in range(_ATTEMPTS):
        is_known = attempt == 0 and seen in ("", repository.ref(REF))
        theirs = seen if seen is not None and is_known else _join_theirs(repository, remote, committer)
        _add(repository, lines, committer)
        if repository.kept_on:
            try:
                move_refs(repository, remote=remote, moves={REF: (repository.ref(REF), theirs)}, state=_STATE)
            except RefusedError as error:  # others were faster
                said = error.message
                continue
            return
        output = git.talk(remote, *push_to(remote), "--no-verify", "--", remote, f"{REF}:{REF}")
        if output.status == 0:
            return
        said = said_by(output)
    refused = RemoteError(
        f"the notes could not be pushed: {said[:300]}",
        remedy=f"give this user the right to push {REF}, then run the same command again",
        code="notes-rejected",
        state=_STATE,
    )
    raise hinted(refused, repository)


def _add(repository: Repository, lines: Mapping[str, str], committer: str) -> None:
    git, tip = repository.git, repository.ref(REF)
    files = dict(_files(git, tip))
    old = {path.replace("/", ""): blob for path, blob in files.items()}
    texts = blobs(git, {old[sha] for sha in lines if sha in old})
    changed = {}
    for sha, line in lines.items():
        before = texts[old[sha]] if sha in old else b""
        after = with_lines(before, [line.encode()])
        if after != before:
            changed[sha] = after
    _write(git, changed, (), tip, [], committer, files)


def _join_theirs(repository: Repository, remote: str, committer: str) -> str:
    """Fetch the remote's notes and join them with ours; their tip, "" where there are none."""
    git = repository.git
    if not _fetched(repository, remote):
        return ""  # no notes there yet; an unreachable remote shows at the push
    theirs, ours = repository.ref(_THEIRS), repository.ref(REF)
    if not ours or git.attempt("merge-base", "--is-ancestor", ours, theirs).status == 0:
        git.run("update-ref", REF, theirs, ours)
    elif git.attempt("merge-base", "--is-ancestor", theirs, ours).status:
        _merge(git, ours, theirs, committer)
    git.run("update-ref", "-d", _THEIRS)
    return theirs


def _fetched(repository: Repository, remote: str) -> bool:
    """Whether the remote has notes, and they are here as `_THEIRS`."""
    if repository.kept_on:
        repository.bring_as(remote, REF, _THEIRS)
        return bool(repository.ref(_THEIRS))
    return not repository.git.talk(remote, *FETCH, "--no-filter", "--", remote, f"+{REF}:{_THEIRS}").status


def _merge(git: Git, ours: str, theirs: str, committer: str) -> None:
    """Both sides' changes since they parted; where both changed a note, theirs as it is, then what only ours says."""
    found = git.attempt("merge-base", ours, theirs)
    base = listing(git, found.text.strip() if found.status == 0 else "")
    mine, other = listing(git, ours), listing(git, theirs)
    gone, changed, both = [], {}, []
    for sha in {**mine, **other}:
        if mine.get(sha) == other.get(sha) or base.get(sha) == other.get(sha):
            continue  # nothing to take over
        if base.get(sha) == mine.get(sha):
            if sha in other:
                changed[sha] = other[sha]
            else:
                gone.append(sha)
        elif sha in other:
            if sha in mine:
                both.append(sha)
            else:
                changed[sha] = other[sha]
    texts = blobs(git, {*changed.values(), *(side[sha] for sha in both for side in (mine, other))})
    joined = {sha: texts[blob] for sha, blob in changed.items()}
    joined |= {sha: with_lines(texts[other[sha]], texts[mine[sha]].splitlines()) for sha in both}
    _write(git, joined, gone, ours, [theirs], committer, dict(_files(git, ours)))


def with_lines(text: bytes, lines: Iterable[bytes]) -> bytes:
    """The text, byte for byte, and behind it those of the lines that it lacks."""
    known = set(text.split(b"\n"))
    for line in lines:
        if line not in known:
            text += (b"" if not text or text.endswith(b"\n") else b"\n") + line + b"\n"
    return text


# ------------------------------------------------------------------ notes as git keeps them


def listing(git: Git, commit: str) -> dict[str, str]:
    """Annotated commit -> blob of its note, of a notes commit; nothing for ""."""
    return {path.replace("/", ""): blob for path, blob in _files(git, commit)}


def _files(git: Git, commit: str) -> list[tuple[str, str]]:
    """(path, blob) of each note.  Other files may lie beside them."""
    if not commit:
        return []
    rows = (field.partition("\t") for field in git.run("ls-tree", "-r", "-z", "--full-tree", commit).fields())
    return [(path, meta.split(" ")[2]) for meta, _, path in rows if _NOTE.fullmatch(path.replace("/", ""))]


def blobs(git: Git, ids: Iterable[str]) -> dict[str, bytes]:
    """The contents of many blobs, by one process; of those that are here."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    data = git.run("cat-file", "--batch", stdin="".join(f"{sha}\n" for sha in wanted).encode()).stdout
    found, at = {}, 0
    for sha in wanted:
        end = data.index(b"\n", at)
        fields = data[at:end].split(b" ")
        at = end + 1
        if len(fields) == 3:  # else `ID missing`
            found[sha] = data[at : at + int(fields[2])]
            at += int(fields[2]) + 1
    return found


def _write(
    git: Git,
    texts: Mapping[str, bytes],
    removed: Collection[str],
    tip: str,
    merged: Collection[str],
    committer: str,
    files: Mapping[str, str],
) -> None:
    """One commit on `tip`, which has these files, that sets and removes notes; none when there is nothing to say."""
    if not texts and not removed and not merged:
        return
    old = {path.replace("/", ""): path for path in files}
    kept = {sha for sha in (*old, *texts) if sha not in removed}
    depth = max(0, (len(kept).bit_length() - 1) // 8)  # as fast-import has it: a level more at 256, 65536, ... notes
    new = {sha: _path(sha, depth) for sha in kept}
    stream = [f"commit {REF}\ncommitter {committer} now\ndata 15\nrelease: notes\n\n".encode()]
    stream += [f"from {tip}\n".encode()] if tip else []
    stream += [f"merge {sha}\n".encode() for sha in merged]
    stream += [f"D {path}\n".encode() for sha, path in old.items() if new.get(sha) != path]
    moved = {sha: files[path] for sha, path in old.items() if sha in kept - set(texts) and new[sha] != path}
    stream += [f"M 100644 {blob} {new[sha]}\n".encode() for sha, blob in moved.items()]
    stream += [f"M 100644 inline {new[sha]}\ndata {len(text)}\n".encode() + text + b"\n" for sha, text in texts.items()]
    try:
        git.run("fast-import", "--quiet", "--date-format=now", "--done", stdin=b"".join(stream) + b"done\n")
    except GitCommandError as error:
        if found := _CRASH.search(error.detail):  # said already; it would lie in the git directory for ever
            (git.cwd / found[1]).unlink(missing_ok=True)
        raise


def _path(sha: str, depth: int) -> str:
    return "/".join([*(sha[2 * level : 2 * level + 2] for level in range(depth)), sha[2 * depth :]])
