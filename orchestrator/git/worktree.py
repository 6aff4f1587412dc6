"""The worktree in which a person resolves one conflicting pick.

It lives under the git common directory, at the tip that the pick is applied to, with git's own conflict markers
and index.  The user's own checkout is never touched.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from orchestrator.core.errors import DecisionError, PausedError
from orchestrator.core.text import word, words
from orchestrator.git.process import Git, failure
from orchestrator.git.repository import HOME

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.git.repository import Repository

# The same pins as in scratch.py; rerere would leave files behind after an abort.
_PINNED = (
    ("core.hooksPath", "/dev/null"),
    ("merge.renames", "true"),
    ("merge.directoryRenames", "conflict"),
    ("merge.renameLimit", "7000"),
    ("rerere.enabled", "false"),
    ("commit.gpgSign", "false"),
    ("advice.detachedHead", "false"),
    ("submodule.recurse", "false"),
    ("core.sparseCheckout", "false"),  # a conflict outside of the sparse part could not be added
    ("core.quotePath", "false"),
)
_MARKERS = (b"<<<<<<<", b"|||||||", b">>>>>>>")


# What any merge driver of the user is replaced by: git's own merge, as in the plan.
_GITS_OWN = "git merge-file -L HEAD -L base -L theirs --marker-size=%L %A %O %B"


class ConflictWorktree:
    """A worktree of `repository` at `path`; it may or may not exist."""

    def __init__(self, repository: Repository, path: Path) -> None:
        self.repository = repository
        self.path = path

    @property
    def exists(self) -> bool:
        return (self.path / ".git").exists()

    @property
    def _git(self) -> Git:
        return Git(self.path, env={"GIT_NO_REPLACE_OBJECTS": "1"}, config=_PINNED)

    def open(self, *, tip: str, source: str, mainline: int) -> None:
        """Make the worktree at `tip` and apply `source` there, leaving the conflict for a person."""
        self.remove()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        (self.path.parent / HOME).write_bytes(os.fsencode(self.repository.top))
        adder = Git(self.repository.top, config=_PINNED)
        adder.run("worktree", "add", "--quiet", "--detach", "--", str(self.path), tip)
        args = ["cherry-pick", "--no-commit", *(["-m", str(mainline)] if mainline else []), source]
        drivers = tuple((key, _GITS_OWN) for key, _ in self.repository.config_items(r"^merge\..*\.driver$"))
        output = Git(self.path, env=self._git.env, config=(*_PINNED, *drivers)).attempt(*args)
        if output.status not in (0, 1):
            raise failure(tuple(args), output)

    def remove(self) -> None:
        """Forget the worktree and everything in it; silent when there is none."""
        git = Git(self.repository.top)
        git.attempt("worktree", "remove", "--force", "--force", "--", str(self.path))
        if self.path.exists():
            shutil.rmtree(self.path)
        git.run("worktree", "prune")

    def unmerged(self) -> list[str]:
        """Paths that the index still holds in several stages."""
        return sorted({field.partition("\t")[2] for field in self._git.run("ls-files", "-u", "-z").fields()})

    def resolution(self, tip: str, again: str) -> str:
        """The tree that the person made.  Raises PausedError naming what is still open.

        `again` is the command to type afterwards.  A commit made in the worktree is taken too.
        """
        git = self._git
        if unmerged := self.unmerged():
            raise self._open("still unmerged: " + words(unmerged, ", "), again, add=unmerged)
        if edited := git.run("diff", "--name-only", "-z").fields():
            raise self._open("edited but not added: " + words(edited, ", "), again, add=edited)
        if markers := self._markers(tip):
            where = ", ".join(f"{word(path)}:{number}" for path, number in markers)
            add = sorted({path for path, _ in markers})
            raise self._open(f"conflict markers are left at {where}", again, add=add, first="remove them, then")
        head = git.text("rev-parse", "HEAD")
        if head != tip and git.text("rev-parse", "HEAD^") != tip:
            raise self._open("HEAD there is not one commit on top of the release branch", again, reset=tip)
        tree = git.text("write-tree")
        if tree == git.text("rev-parse", f"{tip}^{{tree}}"):
            raise DecisionError(
                "the resolution changes nothing",
                code="empty-resolution",
                where=str(self.path),
                remedy='release skip --reason "..."  (leaves the fix out), or resolve it otherwise',
            )
        return tree

    def _markers(self, tip: str) -> list[tuple[str, int]]:
        """Path and line of each `<<<<<<<`, `|||||||` and `>>>>>>>` in lines that the resolution adds.

        The staged bytes are read, not a diff: attributes (`-diff`, `binary`, `conflict-marker-size`) hide markers from
        `git diff --check`.  A lone `=======` may be a heading in the text itself.
        """
        changed = self._git.run("diff-index", "--cached", "--name-only", "--no-renames", "--diff-filter=d", "-z", tip)
        return [place for path in changed.fields() for place in self._markers_of(path, tip)]

    def _markers_of(self, path: str, tip: str) -> list[tuple[str, int]]:
        staged = self._git.attempt("cat-file", "blob", f":0:{path}").stdout
        if not any(marker in staged for marker in _MARKERS):
            return []
        old = set(self._git.attempt("cat-file", "blob", f"{tip}:{path}").stdout.split(b"\n"))
        return [
            (path, number)
            for number, line in enumerate(staged.split(b"\n"), 1)
            if line.startswith(_MARKERS) and line not in old
        ]

    def _open(
        self, what: str, again: str, *, add: list[str] | None = None, reset: str = "", first: str = ""
    ) -> PausedError:
        steps = [f"cd {word(str(self.path))}"]
        if reset:
            steps.append(f"git reset --soft {reset[:12]}")
        steps += [f"git add -- {words(add)}"] if add else []
        remedy = f"{first} ".lstrip() + " && ".join([*steps, again])
        return PausedError(what, where=str(self.path), remedy=remedy, code="unresolved")
