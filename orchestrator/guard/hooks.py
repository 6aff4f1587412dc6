"""Hooks in a repository: put there, taken away, and run.  A hook of somebody else is never written over."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.commit_message import conventional
from orchestrator.core.errors import ProblemsError, RefusedError, UsageError
from orchestrator.core.text import word
from orchestrator.git.process import Git, TimeUpError
from orchestrator.guard.push import Guard
from orchestrator.guard.received_push import Pushing, Receiving, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orchestrator.core.results import Problem
    from orchestrator.session.session import Desk

CLIENT = ("pre-push", "commit-msg")
SERVER = ("pre-receive", "update")
PATIENCE = 300.0  # seconds for judging one push
_MARK = "# release-hook"
_BEFORE = ".before-release"  # somebody's own hook, run after ours has agreed
_MOST_REFS = 50_000  # in one push
_LINE = re.compile(r"([0-9a-f]{40}) ([0-9a-f]{40}) (refs/\S.*)")
_FREE = re.compile(r"(Merge |Revert |Reapply |fixup! |squash! |amend! |chore\(release\): )")
_THEIRS = ("no-protected-branch", "no-config")
_OF_THE_FILE = ("fix-twice", "fix-and-its-revert", "duplicate-pick", "empty-pick", "unknown-revision", "empty-range")
_ENDING = "# ------------------------ >8"  # `git commit --verbose` puts the diff below


@dataclass(frozen=True, kw_only=True)
class Clock:
    """`now` in seconds since the epoch, `monotonic` for limits."""

    now: int
    monotonic: Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What was done with one hook: `made`, `kept`, `removed`, `absent`."""

    path: Path
    what: str


# ------------------------------------------------------------------ installation


def directory(start: Path, *, server: bool) -> Path:
    """Where git looks for hooks: core.hooksPath, else `hooks` of the repository, shared by its worktrees."""
    output = Git(start).attempt("rev-parse", "--path-format=absolute", "--git-path", "hooks", "--git-common-dir")
    if output.status or len(output.lines()) != 2:
        raise UsageError(
            f"{start} is not in a git repository", remedy="cd into one, or give -C DIR", code="not-a-repository"
        )
    hooks, common = (Path(line) for line in output.lines())
    if server and not Git(start).text("rev-parse", "--is-bare-repository") == "true":
        raise UsageError(
            f"{common} is not a bare repository",
            remedy="guard the repository that people push to; without --server the hooks are for a clone",
            code="not-bare",
        )
    return hooks


def install(start: Path, names: Sequence[str], *, server: bool, chain: bool) -> list[Installed]:
    """Write the hooks.  Raises RefusedError where there is another one, before anything is written."""
    folder = directory(start, server=server)
    paths = [folder / name for name in names]
    if strangers := [path for path in paths if _there(path) and not _ours(path)]:
        if not chain:
            raise RefusedError(
                f"there is a hook already: {strangers[0].name}",
                where=str(strangers[0]),
                remedy="release hook install --chain runs it after ours; or call `release hook run` in it yourself",
                code="hook-exists",
                state="nothing was changed",
            )
        if taken := [path for path in strangers if _there(_before(path))]:
            raise RefusedError(
                f"{_before(taken[0]).name} is there already", where=str(taken[0]), remedy="move one of the two away",
                code="hook-exists", state="nothing was changed",
            )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for path in strangers:
        path.rename(_before(path))
    return [_write(path, server=server) for path in paths]


def uninstall(start: Path, names: Sequence[str], *, server: bool) -> list[Installed]:
    """Take our hooks away and put back what was there before."""
    folder, done = directory(start, server=server), []
    for path in (folder / name for name in names):
        ours = _there(path) and _ours(path)
        if ours:
            path.unlink()
            if _there(_before(path)):
                _before(path).rename(path)
        done.append(Installed(path=path, what="removed" if ours else "absent"))
    return done


def _there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _before(path: Path) -> Path:
    return path.with_name(path.name + _BEFORE)


def _ours(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and _MARK.encode() in path.read_bytes()[:200]


def _write(path: Path, *, server: bool) -> Installed:
    text = os.fsencode(_script(path.name, server=server))
    if path.exists() and path.read_bytes() == text and os.access(path, os.X_OK):
        return Installed(path=path, what="kept")
    new = path.with_name(path.name + ".new")
    new.write_bytes(text)
    new.chmod(0o755)
    new.replace(path)
    return Installed(path=path, what="made")


def _script(name: str, *, server: bool) -> str:
    """A shell script that starts this very program; on a server with an environment of its own, not the pusher's."""
    program = f"{word(sys.executable)} -I -m orchestrator hook run {name}"
    if server:
        git = Path(shutil.which("git") or "/usr/bin/git").parent
        path = os.pathsep.join(dict.fromkeys([str(git), "/usr/local/bin", "/usr/bin", "/bin"]))
        program = f"/usr/bin/env -i PATH={word(path)} LC_ALL=C.UTF-8 {program}"
        program += ' --git-dir "$PWD" --quarantine "${GIT_QUARANTINE_PATH:-}"'
    reads = name in ("pre-receive", "pre-push")
    feed = "printf '%s\\n' \"$input\" | " if reads else ""
    gone = f"error: this hook cannot run, nothing is accepted: {sys.executable} is gone; do: release hook install"
    lines = [
        "#!/bin/sh",
        f"{_MARK}: made by `release hook install`; --uninstall takes it away",
        f"[ -x {word(sys.executable)} ] || {{ echo {word(gone)} >&2; exit 1; }}",
        *(["input=$(cat) || exit 1"] if reads else []),
        f'{feed}{program} -- "$@" || exit 1',
        f'if [ -x "$0{_BEFORE}" ]; then {feed}"$0{_BEFORE}" "$@" || exit 1; fi',
    ]
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------ running on the server


def receive(receiving: Receiving, updates: Sequence[Update], clock: Clock, *, each: bool = False) -> None:
    """Judge a push.  Raises ProblemsError with every refusal; any other error refuses too."""
    problems = _judge(receiving, updates, clock, each=each)
    if problems:
        raise ProblemsError(problems)


def _judge(receiving: Receiving, updates: Sequence[Update], clock: Clock, *, each: bool = False) -> list[Problem]:
    with receiving.scratch() as scratch:
        end = clock.monotonic() + PATIENCE
        scratch.git.remaining = lambda: end - clock.monotonic()
        try:
            return Guard(receiving=receiving, scratch=scratch, now=clock.now, each=each).problems(updates)
        except TimeUpError as error:
            raise RefusedError(
                f"judging this push took more than {PATIENCE:.0f} seconds",
                where=str(receiving.gitdir),
                remedy="push in parts: the source branch first, then fewer picks at a time",
                code="push-too-large",
            ) from error


def read_updates(text: str) -> list[Update]:
    """`old new ref` a line, as git feeds pre-receive.  Raises UsageError."""
    lines = text.split("\n")
    rows = [_LINE.fullmatch(line) for line in lines if line]
    if not rows or len(rows) > _MOST_REFS or None in rows:
        raise UsageError(
            f"not what git tells this hook: {len(rows)} lines",
            remedy=f"let git start the hook; at most {_MOST_REFS} refs in one push",
            code="hook-input",
        )
    return [Update(old=row[1], new=row[2], ref=row[3]) for row in rows if row]


def push_updates(text: str) -> list[Update]:
    """`local-ref local-id remote-ref remote-id` a line, as git feeds pre-push."""
    rows = [line.rsplit(" ", 3) for line in text.split("\n") if line.strip()]
    if any(len(row) != 4 for row in rows):
        raise UsageError("not what git tells a pre-push hook", remedy="let git start it", code="hook-input")
    return [Update(ref=ref, old=old, new=new) for _, new, ref, old in rows]


# ------------------------------------------------------------------ running at a person's


def push(start: Path, remote: str, updates: Sequence[Update], clock: Clock) -> None:
    """Refuse what a guarded remote would refuse, by what was last fetched from it.

    Where nothing is known of the remote, or it has no release.yaml, it is the remote's business.
    """
    receiving = Pushing.of(start, remote, updates)
    problems = [each for each in _judge(receiving, updates, clock) if each.code not in _THEIRS] if receiving else []
    if problems:
        raise ProblemsError(problems)


def check_declared(desk: Desk) -> None:
    """Raises ProblemsError where a release that is not out yet declares what is there already, or twice, or nowhere.

    A conflict is no fault of the file: a person resolves it at the cut.
    """
    from orchestrator.release.cut import prepare

    done = desk.repository.local_tags()
    open_ = [entry.version for entry in desk.config().releases if entry.version not in done]
    problems = [each for version in open_ for each in prepare(desk, version).problems if each.code in _OF_THE_FILE]
    if problems:
        raise ProblemsError(problems)


def check_message(text: str, where: str) -> None:
    """Raises RefusedError unless the subject is a Conventional Commit, or one that git writes by itself."""
    lines = [line for line in text.partition(_ENDING)[0].split("\n") if not line.startswith("#")]
    subject = next((line for line in lines if line.strip()), "")
    if subject and not _FREE.match(subject) and not conventional(subject).type:
        raise RefusedError(
            f"the subject {subject[:72]!r} is no Conventional Commit",
            where=where,
            remedy="write it as `fix(scope): what was wrong`; your text is kept: git commit -eF " + where,
            code="not-conventional",
        )
