"""The worktree in which a person resolves one conflicting pick.

It lives under the git common directory, at the tip that the pick is applied to, with git's own conflict markers
and index.  The user's own checkout is never touched.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from orchestrator.errors import PausedError, ReleaseError
from orchestrator.git.process import Git, failure

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
    ("core.quotePath", "false"),
)
_MARKER = re.compile(r"^(?P<path>.*):(?P<line>\d+): leftover conflict marker$")


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
        adder = Git(self.repository.top, config=_PINNED)
        adder.run("worktree", "add", "--quiet", "--detach", "--", str(self.path), tip)
        args = ["cherry-pick", "--no-commit", *(["-m", str(mainline)] if mainline else []), source]
        output = self._git.attempt(*args)
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
            raise self._open("still unmerged: " + ", ".join(unmerged), again, add=unmerged)
        if edited := git.run("diff", "--name-only", "-z").fields():
            raise self._open("edited but not added: " + ", ".join(edited), again, add=edited)
        if markers := self._markers(tip):
            raise self._open("conflict markers are left at " + ", ".join(markers), again)
        head = git.text("rev-parse", "HEAD")
        if head != tip and git.text("rev-parse", "HEAD^") != tip:
            raise self._open("HEAD there is not one commit on top of the release branch", again, reset=tip)
        tree = git.text("write-tree")
        if tree == git.text("rev-parse", f"{tip}^{{tree}}"):
            raise ReleaseError(
                "the resolution changes nothing",
                code="empty-resolution",
                where=str(self.path),
                remedy='release skip --reason "..."  (leaves the fix out), or resolve it otherwise',
            )
        return tree

    def _markers(self, tip: str) -> list[str]:
        """Places of `<<<<<<<`, `|||||||` and `>>>>>>>` in lines that the resolution adds.

        A lone `=======` may be a heading in the text itself.
        """
        found = []
        for line in self._git.attempt("diff", "--cached", "--check", tip).lines():
            match = _MARKER.match(line)
            if match and self._line(match["path"], int(match["line"])).startswith(("<<<<<<<", ">>>>>>>", "|||||||")):
                found.append(f"{match['path']}:{match['line']}")
        return found

    def _line(self, path: str, number: int) -> str:
        """A line of a file here; what is added equals the work tree by now."""
        lines = (self.path / path).read_text(errors="replace").split("\n")
        return lines[number - 1] if number <= len(lines) else ""

    def _open(self, what: str, again: str, *, add: list[str] | None = None, reset: str = "") -> PausedError:
        steps = [f"cd {self.path}"]
        if reset:
            steps.append(f"git reset --soft {reset[:12]}")
        steps += [f"git add -- {' '.join(add)}"] if add else []
        return PausedError(what, where=str(self.path), remedy=" && ".join([*steps, again]), code="unresolved")
