"""A fix under a policy, as the tests of policies declare and cut it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import release
from tests.support.story import Repo

if TYPE_CHECKING:
    from tests.support.cli import Ran
    from tests.support.story import Story

VERSION = "v2.7.1"
FROZEN = "policy:\n  freeze: [{from: 2000-01-01T00:00Z, until: 2099-01-01T00:00Z, reason: holidays}]\n"


def fix(sha: str, more: str = "") -> str:
    return "\n".join([f"      - commit: {sha}", *(f"        {line}" for line in more.splitlines())])


def cut(tale: Story, *args: str, code: int = 0) -> Ran:
    done = release("cut", VERSION, "--yes", *args, cwd=tale.clone.path)
    assert done.code == code, done.err
    if code:
        assert tale.remote.rev("release/v2.7") == tale.base
        assert VERSION not in tale.remote.git("tag", "--list").split()
    return done


def on_main(tale: Story, text: str) -> None:
    """Put a release.yaml with this at its end on the remote's main, as a reviewed change would; not here."""
    tree = tale.clone.path.parent / "main"
    tale.clone.git("worktree", "add", "--quiet", "-B", "reviewed", str(tree), "origin/main")
    main = Repo(tree)
    main.commit("chore: policy", {"release.yaml": f"version: 1\nbranch: release/v2.7\nsource: main\n{text}"})
    main.git("push", "--quiet", "--force", "origin", "HEAD:main")
    tale.clone.git("worktree", "remove", "--force", str(tree))
    tale.clone.git("update-ref", "refs/remotes/origin/main", "main")  # this clone has not fetched it


def on_source(tale: Story, message: str, files: dict[str, str | bytes | None]) -> str:
    """A commit on main, here and on the remote."""
    sha = tale.clone.commit(message, files)
    tale.clone.git("push", "--quiet", "origin", "main")
    return sha
