"""A yanked release with every kind of entry, one byte of it changed, and what its judges say.

Who changes it has the right to push, and is thorough: what names the changed object names the new one.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.cli import release
from tests.support.story import Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.cli import Ran
    from tests.support.story import Story

VERSION = "v2.7.1"
BRANCH, TAG, NOTES = "refs/heads/release/v2.7", f"refs/tags/{VERSION}", "refs/notes/release"
RECORD, YANK = f"refs/release-records/{VERSION}", f"refs/release-yanks/{VERSION}"
GONE = "0" * 40
Refs = dict[str, str]


def released(tale: Story) -> None:
    """v2.7.1: a clean pick, a resolved one, a backport, a skipped one, an allowed duplicate; yanked afterwards."""
    clone = tale.clone
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the fix", tale.fix)
    clone.commit("feat: other words", {"words.txt": "one\ntwo\nthree\n", "gone.txt": "a\nb\nc\n"})
    adapted = clone.commit("fix(words): the second", {"words.txt": "one\n2\nthree\n"})
    skipped = clone.commit("fix(gone): not for 2.7", {"gone.txt": "a\nB\nc\n"})
    large = clone.commit("fix(speed): less waiting", {"speed.py": "FAST = True\n", "new.py": "NEW = 1\n"})
    twice = clone.commit("fix(docs): a word", {"guide.md": "how to\n"})
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("cherry-pick", "-x", twice)
    clone.git("push", "--quiet", "origin", "release/v2.7")
    clone.git("checkout", "--quiet", "-b", "backports")
    backport = clone.commit("fix(speed): less waiting, for 2.7\n", {"speed.py": "FAST = 1\n"})
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(
        f"      - commit: {tale.fix}\n      - commit: {adapted}\n        reason: they read it aloud\n"
        f"      - commit: {skipped}\n      - commit: {large}\n        backport: {backport}\n"
        f"      - commit: {twice}\n        allow: [duplicate]"
    )
    clone.commit("chore: declare v2.7.1", {"release.yaml": (clone.path / "release.yaml").read_bytes()})
    clone.git("push", "--quiet", "origin", "main", "backports")
    assert release("cut", VERSION, "--yes", cwd=clone.path).code == 3
    tree = Repo(clone.path / f".git/release/{VERSION}/worktree")
    tree.write("words.txt", "two\n")
    tree.git("add", "words.txt")
    assert release("continue", VERSION, "--yes", cwd=clone.path).code == 3
    for command in (("skip", VERSION, "--reason", "nobody uses it there"), ("yank", VERSION, "--reason", "it leaks")):
        ran = release(*command, "--yes", cwd=clone.path)
        assert ran.code == 0, (ran.out, ran.err)


def changes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """One byte changed, inserted, deleted, at each place; each with where that is."""
    for at, byte in enumerate(data):
        where = f"{at}, {data[max(0, at - 20) : at + 10]!r}"
        yield f"changed at {where}", data[:at] + bytes([byte ^ 1]) + data[at + 1 :]
        yield f"inserted at {where}", data[:at] + b"x" + data[at:]
        yield f"deleted at {where}", data[:at] + data[at + 1 :]


@dataclass(frozen=True)
class Public:
    """The remote of a release, and a clone of it that sees each change as a new clone would."""

    remote: Repo
    clone: Repo

    def found(self, refs: Refs) -> bool:
        """Whether `audit` or `verify` says that something is not as it was released, where the remote has these.

        6 is that of a release whose proof is not complete: release.yaml names an id or version that is nowhere.
        """
        ran = self.judged(refs, "audit")
        assert ran.code in (0, 9), ran
        if not ran.code:
            ran = self.judged(refs, "verify", VERSION)
            assert ran.code in (0, 6, 9), ran
        return ran.code != 0

    def judged(self, refs: Refs, *command: str) -> Ran:
        """What a command says where the remote has these."""
        kept = {ref: self.remote.rev(ref) for ref in refs}
        self._put(refs)
        try:
            return release(*command, cwd=self.clone.path)
        finally:
            self._put(kept)

    def _put(self, refs: Refs) -> None:
        rows = "".join(f"update {ref} {sha}\n" for ref, sha in refs.items())
        self.remote.git("update-ref", "--stdin", stdin=rows)
        self.clone.git("update-ref", "--stdin", stdin=rows.replace("refs/heads/", "refs/remotes/origin/"))

    # ------------------------------------------------------------------ what is public, and with other bytes

    def read(self, name: str) -> bytes:
        """An object as it is: a commit with its headers, a tree as git stores it."""
        kind = self.remote.git("cat-file", "-t", name)
        return self._git("cat-file", kind, name)

    def stored(self, kind: str, data: bytes) -> str:
        return self._git("hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=data).decode().strip()

    def _git(self, *args: str, stdin: bytes | None = None) -> bytes:
        return subprocess.run(["git", *args], cwd=self.remote.path, input=stdin, capture_output=True, check=True).stdout

    def with_record(self, data: bytes) -> Refs:
        return {RECORD: self.stored("blob", data)}

    def with_yank(self, data: bytes) -> Refs:
        return {YANK: self.stored("blob", data)}

    def with_tag_message(self, message: bytes) -> Refs:
        """The record names the new tag."""
        return self._with_tag(self.read(TAG).partition(b"\n\n")[0] + b"\n\n" + message, self.read(RECORD))

    def _with_tag(self, tag: bytes, record: bytes) -> Refs:
        new = self.stored("tag", tag)
        return {TAG: new, **self.with_record(record.replace(self.remote.rev(TAG).encode(), new.encode()))}

    def note(self) -> tuple[str, bytes]:
        """A source and its note."""
        row = self.remote.git("ls-tree", NOTES).splitlines()[0]
        return row.split()[3], self.read(row.split()[2])

    def with_note(self, data: bytes) -> Refs:
        source, _ = self.note()
        tree = self._with_blob(f"{NOTES}^{{tree}}", source, data)
        who = self.read(NOTES).partition(b"\n")[2]
        return {NOTES: self.stored("commit", b"tree " + tree.encode() + b"\n" + who)}

    def _with_blob(self, tree: str, name: str, data: bytes) -> str:
        rows = self._git("ls-tree", "-z", tree)
        row = re.compile(rb"(blob )[0-9a-f]{40}(\t" + re.escape(name.encode()) + rb"\0)")
        rows, count = row.subn(rb"\g<1>" + self.stored("blob", data).encode() + rb"\2", rows)
        assert count == 1, (tree, name)
        return self._git("mktree", "-z", stdin=rows).decode().strip()

    def made(self) -> list[str]:
        """The commits that the release made, oldest first; the release commit is the last."""
        base = json.loads(self.read(RECORD))["base"]
        return self.remote.git("rev-list", "--reverse", f"{base}..{TAG}").split()

    def with_message(self, message: bytes) -> Refs:
        """The release commit says that."""
        return self._with_commits(lambda at, data: data.partition(b"\n\n")[0] + b"\n\n" + message if at == 3 else data)

    def with_file(self, since: int, name: str, data: bytes) -> Refs:
        """A file of the commits that the release made, from one of them on."""

        def change(at: int, commit: bytes) -> bytes:
            tree = commit[5:45].decode()
            return commit if at < since else commit.replace(commit[5:45], self._with_blob(tree, name, data).encode(), 1)

        return self._with_commits(change, {hashlib.sha256(self.read(f"{TAG}:{name}")).hexdigest(): _sha256(data)})

    def _with_commits(self, change: Callable[[int, bytes], bytes], more: dict[str, str] | None = None) -> Refs:
        """Branch, tag and record agree with the new commits; what else names the old ones is gone."""
        old, new = self.made(), dict(more or {})
        commits: dict[str, str] = {}
        for at, sha in enumerate(old):
            data = change(at, _renamed(self.read(sha), commits))
            commits[sha] = self.stored("commit", data)
            new[self.remote.rev(f"{sha}^{{tree}}")] = data[5:45].decode()
        new |= commits
        refs = self._with_tag(_renamed(self.read(TAG), commits), _renamed(self.read(RECORD), new))
        return refs | {BRANCH: commits[old[-1]], YANK: GONE, NOTES: GONE}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _renamed(data: bytes, ids: dict[str, str]) -> bytes:
    for old, new in ids.items():
        data = data.replace(old.encode(), new.encode())
    return data


def public(tale: Story, place: Path) -> Public:
    """A clone beside it has no objects of its own, so that only refs have to follow."""
    tale.clone.git("clone", "--quiet", "--shared", str(tale.remote.path), str(place))
    clone = Repo(place)
    clone.git("config", "user.name", "Somebody Else")
    clone.git("config", "user.email", "else@example.com")
    kinds = ("refs/notes/*", "refs/release-records/*", "refs/release-yanks/*", "refs/release-sources/*")
    clone.git("fetch", "--quiet", "origin", *(f"{each}:{each}" for each in kinds))
    return Public(remote=tale.remote, clone=clone)
