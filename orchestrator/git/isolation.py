"""A repository that nobody's configuration may reach, and its own."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

# What decides the outcome of a merge is pinned: a user's settings must not change a release.
_SETTINGS = """\
[core]
\trepositoryformatversion = 0
\tbare = false
\tworktree = {worktree}
\tattributesFile = /dev/null
\thooksPath = /dev/null
\tlogAllRefUpdates = false
\tdeltaBaseCacheLimit = 256m
\tfsync = none
[merge]
\trenames = true
\tdirectoryRenames = conflict
\trenameLimit = 7000
\tverbosity = 2
[diff]
\trenames = true
\talgorithm = default
[gc]
\tauto = 0
"""


def settings(worktree: Path) -> str:
    """The configuration of a scratch repository."""
    return _SETTINGS.format(worktree=worktree)


def isolated(gitdir: Path) -> dict[str, str]:
    """Environment for git in a repository that nobody's configuration may reach."""
    return {
        "GIT_DIR": str(gitdir),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def remove(path: Path) -> None:
    """Remove a directory or file, also where somebody took the right to write in it away."""
    if path.is_file() or path.is_symlink():
        path.unlink()
        return
    shutil.rmtree(path, ignore_errors=True)
    if path.is_dir():
        with contextlib.suppress(OSError):
            path.chmod(0o700)
            for root, names, _ in os.walk(path):
                for name in names:
                    if not (below := Path(root, name)).is_symlink():
                        below.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
