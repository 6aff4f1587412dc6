"""Put the project's git hooks into a clone or a server's repository, and take them out again."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.core.text import word
from orchestrator.git.process import Git

if TYPE_CHECKING:
    from collections.abc import Sequence


CLIENT = ("pre-push", "commit-msg")


SERVER = ("pre-receive", "update")


_MARK = "# release-hook"


_BEFORE = ".before-release"  # somebody's own hook, run after ours has agreed


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What was done with one hook: `made`, `kept`, `removed`, `absent`."""

    path: Path
    what: str


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
    if (kind := Git(start).text("rev-parse", "--show-object-format")) != "sha1":
        raise UsageError(
            f"this is a {kind} repository, whose pushes its hooks would refuse: only SHA-1 is supported",
            where=str(folder.parent), remedy="guard a SHA-1 repository", code="object-format",
        )  # fmt: skip
    paths = [folder / name for name in names]
    if strangers := [path for path in paths if _there(path) and not _ours(path)]:
        if not chain:
            raise RefusedError(
                f"there is a hook already: {strangers[0].name}",
                where=str(strangers[0]),
                remedy="have it run after ours: release hook install --chain; or call `release hook run` in it",
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
