"""Small git histories for tests.  Dates are fixed, so ids are the same on every machine.

    main           M0 ── M1 ── M2
                   │      \\
    release/v2.7   M0      fix/dataloader-leak:  F1(wip) ── F2(the fix) ── F3(wip)
                   ^ v2.7.0
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "v2.7.1"  # what the story's release.yaml declares
_EPOCH = 1_750_000_000  # 2025-06-15
_NO_UPKEEP = ("-c", "maintenance.auto=false")  # two processes after each commit, which find nothing to do
_QUIET_SERVER = "[receive]\n\tautogc = false\n"  # a process after each push
_PERSON = "[user]\n\tname = Mia Maintainer\n\temail = mia@example.com\n"


@dataclass
class Repo:
    """A real repository driven by real git, with a clock of its own: a commit a minute."""

    path: Path
    minutes: int = 0
    env: dict[str, str] = field(default_factory=dict)

    def git(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        done = self.attempt(*args, stdin=stdin)
        if check and done.returncode:
            raise AssertionError(f"git {args}: {done.stderr}")
        return done.stdout.strip()

    def attempt(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        date = f"{_EPOCH + 60 * self.minutes} +0000"
        env = {
            **os.environ,
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **self.env,
        }
        return subprocess.run(
            ["git", *args], cwd=self.path, env=env, input=stdin, text=True, capture_output=True, check=False
        )

    def write(self, path: str, text: str | bytes) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def commit(self, message: str, files: dict[str, str | bytes | None], *, author: str = "") -> str:
        """Write files (None deletes), commit, return the id."""
        for path, text in files.items():
            if text is None:
                self.git("rm", "--quiet", "--", path)
            else:
                self.write(path, text)
        self.git("add", "--all", "--", *files) if files else None
        self.minutes += 1
        by = [f"--author={author}"] if author else []
        self.git(*_NO_UPKEEP, "commit", "--quiet", "--allow-empty", "-F", "-", *by, stdin=message)
        return self._head()

    def _head(self) -> str:
        """What HEAD is, read as git has just written it: a process less for each commit."""
        place = self.path / ".git"
        text = (place / "HEAD").read_text().strip() if place.is_dir() else ""
        name = text.removeprefix("ref: ")
        loose = place / name
        if name == text and text:
            return text
        return loose.read_text().strip() if text and loose.is_file() else self.git("rev-parse", "HEAD")

    def rev(self, name: str) -> str:
        return self.git("rev-parse", "--verify", name)

    def snapshot(self) -> dict[str, str]:
        """Everything that promise 2 speaks of: refs, HEAD, index, work tree, stash, configuration, worktrees."""
        return {
            "refs": self.git("for-each-ref"),
            "head": (self.path / ".git/HEAD").read_text(),
            "index": (self.path / ".git/index").read_bytes().hex(),
            "status": self.git("status", "--porcelain=v2", "--ignored"),
            "config": (self.path / ".git/config").read_text(),
            "worktrees": self.git("worktree", "list", "--porcelain"),
            "stash": self.git("stash", "list"),
            "files": "\n".join(
                sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*") if not _volatile(path))
            ),
        }


def _volatile(path: Path) -> bool:
    return (
        "objects" in path.parts
        or path.name.startswith("cache.sqlite")
        or path.parts[-2:] in ((".git", "release"), ("release", "lock"))
    )


def traced(place: Path) -> dict[str, str]:
    """The environment in which git's processes, and theirs, leave a file each under `place`."""
    place.mkdir()
    return {"GIT_TRACE2_EVENT": str(place)}


def processes(place: Path) -> int:
    """How many git processes there were, by git's own trace."""
    return sum('"event":"start"' in each.read_text() for each in place.iterdir())


def make_repo(path: Path, *, bare: bool = False) -> Repo:
    path.mkdir(parents=True)
    repo = Repo(path)
    repo.git("init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))
    with (path / ("config" if bare else ".git/config")).open("a") as config:
        config.write(_QUIET_SERVER if bare else _PERSON)
    return repo


LOADER = "".join(f"def step_{n}():\n    return {n}\n\n\n" for n in range(12))


def fix_line(sha: str) -> str:
    """The entry of a fix, for `Story.release_yaml`."""
    return f"      - commit: {sha}"


@dataclass(frozen=True)
class Story:
    """The story of the README: a clone with a bare remote, and the ids that matter."""

    clone: Repo
    remote: Repo
    base: str
    fix: str
    before: str
    after: str

    def declare(self, text: str) -> None:
        self.clone.write("release.yaml", text)

    def release_yaml(self, fixes: str, *, version: str = "v2.7.1", extra: str = "") -> None:
        self.declare(
            "version: 1\nbranch: release/v2.7\nsource: main\nreleases:\n"
            f"  {version}:\n    summary: loader leak\n    fixes:\n{fixes}\n{extra}"
        )


def story(root: Path, dockerfile: str = "") -> Story:
    """Make the story under `root`."""
    remote = make_repo(root / "remote.git", bare=True)
    clone = make_repo(root / "clone")
    clone.git("remote", "add", "origin", str(remote.path))
    base = clone.commit(
        "feat: first", {"loader.py": LOADER, "README.md": "# image\n", "Dockerfile": dockerfile or DOCKERFILE}
    )
    clone.git("branch", "release/v2.7")
    clone.git("tag", "-a", "-m", "v2.7.0", "v2.7.0")
    clone.commit("docs: more words", {"README.md": "# image\n\nmore\n"})
    clone.git("checkout", "--quiet", "-b", "fix/dataloader-leak")
    before = clone.commit("wip: trace the loader", {"trace.py": "TRACE = True\n"})
    closed = LOADER.replace("return 5\n", "return 5  # closed\n")
    fix = clone.commit(
        "fix(loader): close the workers\n\nThey leaked.\n\nSigned-off-by: Fay Fixer <fay@example.com>\n",
        {"loader.py": closed},
        author="Fay Fixer <fay@example.com>",
    )
    after = clone.commit("wip: half a rewrite", {"loader.py": closed.replace("return 9\n", "return 99\n")})
    clone.git("checkout", "--quiet", "main")
    clone.git("push", "--quiet", "origin", "main", "release/v2.7", "fix/dataloader-leak", "v2.7.0")
    return Story(clone=clone, remote=remote, base=base, fix=fix, before=before, after=after)


def slim(told: Story) -> Story:
    """The same in a third of the files, for a story that is copied often: one pack each, and no examples of hooks."""
    for repo, place in ((told.clone, told.clone.path / ".git"), (told.remote, told.remote.path)):
        repo.git("repack", "-a", "-d", "--quiet")
        for sample in (place / "hooks").glob("*.sample"):
            sample.unlink()
    return told


def copied(told: Story, new: Path) -> Story:
    """A copy of a story under `new`: making one takes forty git processes."""
    clone, remote = copied_pair(told.clone, told.remote, new)
    return replace(told, clone=clone, remote=remote)


def copied_pair(clone: Repo, remote: Repo, new: Path) -> tuple[Repo, Repo]:
    """A clone and its remote, both under `new`."""
    old = clone.path.parent
    shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)
    config = new / "clone/.git/config"
    config.write_text(config.read_text().replace(str(old), str(new)))
    clone = replace(clone, path=new / "clone", env={})
    clone.git("update-index", "--refresh")  # the copies have other inodes
    return clone, replace(remote, path=new / "remote.git", env={})


DOCKERFILE = "FROM scratch\nCOPY loader.py /loader.py\n"


def lines(count: int, **changes: str) -> str:
    """`line 0` to the last, some of them changed: `l7="x"` is line 7."""
    return "".join(changes.get(f"l{n}", f"line {n}") + "\n" for n in range(count))
