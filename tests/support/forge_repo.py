"""A bare repository that behaves like a forge: it refuses pushes to its release branch, and merges requests itself.

It merges in all the ways that forges have.  What GitHub's own API says is another matter: tests/forges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.story import Repo, make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

WAYS = ("fast-forward", "merge", "rebase", "squash", "rebase-merge", "squash-merge")
BRANCH = "release/v2.7"
_HOOK = """#!/bin/sh
[ -n "$FORGE_MERGES" ] && exit 0
while read -r old new ref; do
  case "$ref" in refs/heads/release/*)
    echo "protected branch: changes must be made through a pull request" >&2; exit 1;;
  esac
done
"""


def protect(remote: Repo) -> None:
    """From now on nobody pushes to a release branch but the forge itself."""
    hook = remote.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_HOOK)
    hook.chmod(0o755)


@dataclass(frozen=True)
class ForgeRepo:
    """The forge's own clone, in which it merges as somebody else and at another time, as forges do."""

    worker: Repo

    @classmethod
    def of(cls, tale: Story, place: Path) -> ForgeRepo:
        worker = make_repo(place)
        worker.env = {"FORGE_MERGES": "1"}
        worker.minutes = 5000
        worker.git("remote", "add", "origin", str(tale.remote.path))
        worker.git("config", "user.name", "The Forge")
        worker.git("config", "user.email", "noreply@forge.example")
        return cls(worker)

    def merge(self, source: str, how: str, *, branch: str = BRANCH, message: str = "") -> str:
        """Merge a request in one of WAYS; returns the new tip of the branch, which is pushed."""
        worker = self.worker
        worker.minutes += 1
        worker.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        worker.git("checkout", "--quiet", "--detach", f"origin/{branch}")
        base, head = worker.rev("HEAD"), worker.rev(f"origin/{source}")
        text = message or f"Merge pull request #12 from {source}\n\nas the forge writes it"
        if how == "fast-forward":
            worker.git("merge", "--quiet", "--ff-only", head)
        elif how == "merge":
            worker.git("merge", "--quiet", "--no-ff", "-m", text, head)
        elif how.startswith("rebase"):
            worker.git("checkout", "--quiet", "--detach", head)
            worker.git("rebase", "--quiet", "--no-ff", base)
        elif how.startswith("squash"):
            worker.git("merge", "--quiet", "--squash", head)
            worker.git("commit", "--quiet", "-m", message or "Release it (#12)")
        if how.endswith("-merge"):
            inner = worker.rev("HEAD")
            worker.git("checkout", "--quiet", "--detach", base)
            worker.git("merge", "--quiet", "--no-ff", "-m", text, inner)
        return self.push(branch)

    def push(self, branch: str = BRANCH) -> str:
        """What the worker has, as the branch."""
        self.worker.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.worker.rev("HEAD")

    def rebase(self, source: str, *, branch: str = BRANCH) -> None:
        """Rebase a request onto its target, as a person asks for by a button."""
        self.worker.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        self.worker.git("checkout", "--quiet", "--detach", f"origin/{source}")
        self.worker.git("rebase", "--quiet", f"origin/{branch}")
        self.worker.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{source}")

    def commit(self, message: str, files: dict[str, str | bytes | None], branch: str = BRANCH) -> str:
        """Another request, which landed on the branch."""
        self.worker.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        self.worker.git("checkout", "--quiet", "--detach", f"origin/{branch}")
        self.worker.commit(message, files)
        return self.push(branch)
