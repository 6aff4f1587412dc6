"""A guarded bare repository, a clone of it, and all that a legal release of it consists of.

main           M0 ── M1 ──── merge(F2) ── fix: again ── chore: release.yaml
release/v2.7   M0                                               v2.7.0
what a cut makes of it: pick, pick, release commit (`head`), tag object (`tag`); in the clone, not on the server
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.support.cli import Ran, program, release
from tests.support.story import Repo, Story, copied_pair

if TYPE_CHECKING:
    from pathlib import Path

BRANCH, TAG = "refs/heads/release/v2.7", "refs/tags/v2.7.1"
YAML = "version: 1\nbranch: release/v2.7\nsource: main\nreleases:\n  v2.7.1:\n    summary: leak\n    fixes:\n"


@dataclass(frozen=True)
class Guarded:
    """`picks` and `head` are the commits of the legal release, `tag` its tag object, `fixes` the sources."""

    clone: Repo
    server: Repo
    base: str
    fixes: tuple[str, str]
    other: str  # a commit of main that nobody declared
    picks: tuple[str, str]
    head: str
    tag: str

    def push(self, *specs: str, options: tuple[str, ...] = (), url: str = "origin") -> tuple[int, str]:
        """Exit status, and what the pusher sees."""
        done = self.clone.attempt("push", "--porcelain", *options, url, *specs)
        return done.returncode, done.stderr

    def refs(self) -> str:
        return self.server.git("for-each-ref")

    def commit(self, tree: str, *parents: str, like: str = "", message: str | None = None) -> str:
        """A commit object; author and message as those of `like`."""
        like = like or self.head
        form = self.clone.git("show", "-s", "--format=%an%n%ae%n%aI", like).split("\n")
        env = dict(zip(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"), form, strict=False))
        body = message if message is not None else raw_message(self.clone, like)
        args = [part for parent in parents for part in ("-p", parent)]
        maker = Repo(self.clone.path, self.clone.minutes, env)
        sha = maker.git("commit-tree", tree, *args, "-F", "-", stdin=body)
        return with_author(self.clone, sha, like)

    def tree(self, commit: str, path: str, text: str, mode: str = "100644") -> str:
        """The tree of a commit with one file written."""
        blob = text if mode == "160000" else self.clone.git("hash-object", "-w", "--stdin", stdin=text)
        return with_entry(self.clone, commit, mode, blob, path)

    def pick(self, source: str, onto: str, *, tree: str = "", message: str | None = None) -> str:
        """The pick of a source by `git cherry-pick -x`, in a worktree of its own; with another tree or message."""
        place = self.clone.path.parent / f"picking-{source[:8]}-{onto[:8]}"
        if not place.exists():
            self.clone.git("worktree", "add", "--quiet", "--detach", str(place), onto)
        worker = Repo(place, self.clone.minutes)
        worker.git("checkout", "--quiet", "--force", "--detach", onto)
        worker.git("cherry-pick", "-x", source)
        sha = worker.rev("HEAD")
        if not tree and message is None:
            return sha
        return self.commit(tree or f"{sha}^{{tree}}", onto, like=sha, message=message)

    def tagged(self, name: str, commit: str, *, message: str | None = None, kind: str = "commit") -> str:
        """An annotated tag object."""
        text = message if message is not None else self.clone.git("cat-file", "tag", self.tag).partition("\n\n")[2]
        head = f"object {commit}\ntype {kind}\ntag {name}\ntagger Mia Maintainer <mia@example.com> 1750000000 +0000\n\n"
        return self.clone.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=head + text + "\n")


def copied(guarded: Guarded, new: Path) -> Guarded:
    """A copy of a guarded server and its clone under `new`."""
    clone, server = copied_pair(guarded.clone, guarded.server, new)
    return replace(guarded, clone=clone, server=server)


def raw_message(repo: Repo, commit: str) -> str:
    return repo.attempt("cat-file", "commit", commit).stdout.partition("\n\n")[2]


def with_author(repo: Repo, sha: str, like: str) -> str:
    """The commit with the author line of another."""
    lines = repo.attempt("cat-file", "commit", like).stdout.split("\n")
    author = next(line for line in lines if line.startswith("author "))
    text = repo.attempt("cat-file", "commit", sha).stdout
    mine = next(line for line in text.split("\n") if line.startswith("author "))
    return repo.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.replace(mine, author, 1))


def with_entry(repo: Repo, commit: str, mode: str, blob: str, path: str) -> str:
    index = {"GIT_INDEX_FILE": str(repo.path.parent / "an-index")}
    worker = Repo(repo.path, repo.minutes, index)
    worker.git("read-tree", commit)
    worker.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
    return worker.git("write-tree")


def make(tale: Story) -> Guarded:
    """Declare and publish the fixes, learn what a cut makes by cutting in a copy, guard the server."""
    clone = tale.clone
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    second = clone.commit("fix(speed): less waiting", {"speed.py": "FAST = True\n"})
    other = clone.commit("feat: something else", {"else.py": "ELSE = 1\n"})
    clone.write("release.yaml", YAML + f"      - commit: {tale.fix}\n      - commit: {second}\n")
    clone.commit("chore: declare v2.7.1", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main")
    copy = _copy(tale, "unguarded")
    ran = release("cut", "v2.7.1", "--yes", "--json", cwd=copy / "clone")
    assert ran.code == 0, ran.err
    clone.git(
        "fetch",
        "--quiet",
        "--no-tags",
        str(copy / "remote.git"),
        f"+{BRANCH}:refs/legal/head",
        f"+{TAG}:refs/legal/tag",
        "+refs/release-records/v2.7.1:refs/legal/record",
    )
    ran = install(tale.remote, quick=True)
    assert ran.code == 0, ran.err
    head = clone.rev("refs/legal/head")
    return Guarded(
        clone=clone,
        server=tale.remote,
        base=tale.base,
        fixes=(tale.fix, second),
        other=other,
        picks=(clone.rev(f"{head}~2"), clone.rev(f"{head}~1")),
        head=head,
        tag=clone.rev("refs/legal/tag"),
    )


def install(server: Repo, hook: str = "pre-receive", *, quick: bool = False) -> Ran:
    """The server's hook; `quick`: forked from the prepared process, in the environment that the hook gives it."""
    ran = release("hook", "install", hook, "--server", cwd=server.path)
    file = server.path / "hooks" / hook
    if quick:
        text = file.read_text()
        own = f"{sys.executable} -I -m orchestrator"
        assert own in text
        file.write_text(text.replace(own, program()))
    return ran


def _copy(tale: Story, name: str) -> Path:
    new = tale.clone.path.parent.parent / name
    shutil.copytree(tale.clone.path.parent, new, symlinks=True)
    config = new / "clone/.git/config"
    config.write_text(config.read_text().replace(str(tale.clone.path.parent), str(new)))
    return new


def record(guarded: Guarded, *without: str, **changes: object) -> str:
    """A record blob of the legal release, with some of its fields changed, or not there."""
    data = json.loads(guarded.clone.git("cat-file", "blob", "refs/legal/record")) | changes
    return blob(guarded, json.dumps({key: value for key, value in data.items() if key not in without}))


def blob(guarded: Guarded, text: str) -> str:
    return guarded.clone.git("hash-object", "-w", "--stdin", stdin=text)
