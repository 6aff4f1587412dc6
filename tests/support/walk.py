"""A walk through the life of a release branch: random fixes, declared in every way, released with disturbances.

A seed tells the whole walk.  After each release `judges` asks everybody who judges releases; `tampered` changes one
byte of what is public, and asks again.
"""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.core.tag_message import tagged_account
from orchestrator.guard.push import PushGuard
from orchestrator.guard.received_push import Receiving, Update
from tests.support import kills
from tests.support.cli import Ran, release
from tests.support.story import Repo, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BRANCH = "release/v2.7"
ZERO = "0" * 40
LINES = 300
DRIFTED = range(205, 286, 5)  # lines that main has in other words than the release branch: a fix of one conflicts
ALONE = 295  # one more, far from the others
NOW = 1_900_000_000
REVERTED = "reverted-upstream"  # a true finding: main took a released fix back
KINDS = ("clean", "clean", "adapted", "skipped", "by_hand", "backport", "span", "merge", "revert", "empty", "direct")


@dataclass
class Declared:
    """An entry of release.yaml, the commits that it brings, and what is done when it conflicts."""

    text: str
    brings: tuple[str, ...]
    answer: str = ""  # continue or skip
    line: int = -1


@dataclass
class Walk:
    """The world of one walk, and its random numbers."""

    root: Path
    seed: int
    number: int = 0  # of the next version
    said: list[str] = field(default_factory=list)  # every step, for the one who repeats it
    states: set[str] = field(default_factory=set)
    shipped: list[str] = field(default_factory=list)  # plain fixes that main may take back
    hostile_to_hook: bool = False  # this release has what no guarded server takes

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311  # a walk, no secret
        self.remote = make_repo(self.root / "remote.git", bare=True)
        self.clone = make_repo(self.root / "clone")
        self.clone.git("remote", "add", "origin", str(self.remote.path))
        self.text = [f"line {n}" for n in range(LINES)]
        self._free = list(range(0, 200, 5))
        self._drifted = list(DRIFTED)
        self.chance.shuffle(self._free)
        self.chance.shuffle(self._drifted)
        self.clone.commit("feat: start", {"app.txt": self._whole()})
        self.clone.git("branch", BRANCH)
        self.clone.git("tag", "-a", "-m", "v2.7.0", "v2.7.0")
        for n in (*DRIFTED, ALONE):
            self.text[n] = f"main says {n}"
        self.clone.commit("refactor: other words", {"app.txt": self._whole()})
        self.clone.git("push", "--quiet", "origin", "main", BRANCH, "v2.7.0")

    def _whole(self) -> str:
        return "".join(f"{each}\n" for each in self.text)

    def tell(self, step: str) -> None:
        self.said.append(step)
        self.states.add(step.partition(" ")[0])

    # -------------------------------------------------------------- fixes on main

    def _fix(self, line: int, word: str = "fixed") -> str:
        self.text[line] = f"{word} {line} {self.chance.randrange(10**6)}"
        return self.clone.commit(f"fix: line {line}", {"app.txt": self._whole()})

    def clean(self) -> Declared:
        sha = self._fix(self._free.pop())
        self.shipped.append(sha)
        return Declared(f"commit: {sha}", (sha,))

    def adapted(self) -> Declared:
        line = self._drifted.pop()
        sha = self._fix(line)
        return Declared(f"commit: {sha}", (sha,), answer="continue", line=line)

    def skipped(self) -> Declared:
        sha = self._fix(self._drifted.pop())
        return Declared(f"commit: {sha}", (), answer="skip")

    def by_hand(self) -> Declared:
        """Picked onto the branch by a person, before the release."""
        sha = self._fix(self._free.pop())
        self._on_branch(lambda hand: hand.git("cherry-pick", "-x", sha))
        return Declared(f"commit: {sha}, allow: [duplicate]", (sha,))

    def backport(self) -> Declared:
        line = self._drifted.pop()
        sha = self._fix(line)
        hand = self._worktree(f"origin/{BRANCH}")
        text = (hand.path / "app.txt").read_text().split("\n")
        made = hand.commit(f"fix: line {line}", {"app.txt": "\n".join([*text[:line], "by hand", *text[line + 1 :]])})
        self.clone.git("push", "--quiet", "origin", f"{made}:refs/heads/topic-{made[:8]}")
        return Declared(f"commit: {sha}, backport: {made}", (sha,))

    def span(self) -> Declared:
        shas = (self._fix(self._free.pop()), self._fix(self._free.pop()))
        return Declared(f"range: {shas[0]}^..{shas[1]}", shas)

    def merge(self) -> Declared:
        self.clone.git("checkout", "--quiet", "-b", "side")
        self._fix(self._free.pop())
        self._fix(self._free.pop())
        self.clone.git("checkout", "--quiet", "main")
        self.clone.minutes += 1
        self.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the side", "side")
        self.clone.git("branch", "-D", "side")
        sha = self.clone.rev("HEAD")
        return Declared(f"commit: {sha}, mainline: 1", (sha,))

    def revert(self) -> Declared:
        """Main takes a released fix back, or brings it again."""
        if not self.shipped:
            return self.clean()
        of = self.shipped.pop(0)
        self.clone.minutes += 1
        if self.clone.attempt("revert", "--no-edit", of).returncode:
            self.clone.git("revert", "--abort")
            return self.clean()
        self.text = (self.clone.path / "app.txt").read_text().split("\n")[:LINES]
        sha = self.clone.rev("HEAD")
        self.shipped.append(sha)
        return Declared(f"commit: {sha}", (sha,))

    def empty(self) -> Declared:
        """Main comes to say what the branch has said all along."""
        if self.text[ALONE] == f"line {ALONE}":
            return self.clean()
        self.text[ALONE] = f"line {ALONE}"
        sha = self.clone.commit("fix: as it was", {"app.txt": self._whole()})
        return Declared(f"commit: {sha}, allow: [empty]", ())

    def direct(self) -> Declared:
        """Made on the branch itself, and declared afterwards."""
        made = self._on_branch(lambda hand: hand.commit("fix: only here", {f"here-{self.number}.txt": "here\n"}))
        self.hostile_to_hook = True  # it is on no source branch
        return Declared(f"commit: {made}, allow: [duplicate]", (made,))

    def _on_branch(self, make: Callable[[Repo], object]) -> str:
        hand = self._worktree(f"origin/{BRANCH}")
        make(hand)
        self.clone.minutes = hand.minutes
        hand.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
        self.clone.git("fetch", "--quiet", "origin")
        return hand.rev("HEAD")

    def _worktree(self, commit: str) -> Repo:
        path = self.root / f"hand-{len(self.said)}-{self.clone.minutes}"
        self.clone.git("fetch", "--quiet", "origin")
        self.clone.git("worktree", "add", "--quiet", "--detach", str(path), commit)
        self.clone.minutes += 1
        return Repo(path, self.clone.minutes)

    # -------------------------------------------------------------- one release

    def release(self) -> str:
        """Declare, publish main, cut with disturbances; the version that is public in the end."""
        self.number += 1
        self.hostile_to_hook = False
        version = f"v2.7.{self.number}"
        kinds = [self.chance.choice(KINDS) for _ in range(self.chance.randint(1, 4))]
        kinds = list(dict.fromkeys(kinds)) if "revert" in kinds else kinds
        before = list(self.shipped)
        entries = []
        for kind in sorted(kinds, key=lambda kind: kind not in ("by_hand", "direct")):  # what is on the branch first
            self.shipped = list(before) if kind == "revert" else self.shipped
            entries.append(getattr(self, kind)())
            self.tell(f"{kind} in {version}")
        self.chance.shuffle(entries)
        candidate = self.chance.random() < 0.3
        name = f"{version}-rc.1" if candidate else version
        self.entries = entries
        fixes = "".join(f"      - {{{each.text}}}\n" for each in entries)
        text = f"version: 1\nbranch: {BRANCH}\nsource: main\nreleases:\n  {name}:\n    fixes:\n{fixes}"
        self.clone.commit(f"chore: declare {name}", {"release.yaml": text})
        self.clone.git("push", "--quiet", "origin", "main")
        self.before = self.root / f"before-{self.number}.git"
        shutil.copytree(self.remote.path, self.before)
        self.cut(name)
        if candidate:
            self.tell(f"promote {name}")
            self.must(0, "promote", name, version, "--yes")
        self.clone.git("fetch", "--quiet", "--tags", "origin")
        return version

    def cut(self, name: str) -> None:
        if self.chance.random() < 0.4:
            at = self.chance.randint(1, 12)
            self.tell(f"kill {name} before record {at}")
            kills.killed_cut(self.clone.path, "before", at, name, env={"RELEASE_EFFORT": "0"})
        if self.chance.random() < 0.15 and release("abort", name, cwd=self.clone.path).code == 0:
            self.tell(f"abort {name}")
        ran = self.run("cut", name, "--yes", "--effort", "0")
        for _ in range(2 * len(self.entries)):
            if ran.code != 3:
                break
            ran = self._answer(name)
        assert ran.code == 0, (ran.code, ran.err, self.said)

    def _answer(self, name: str) -> Ran:
        """Resolve the conflict that a cut waits at, or leave it out."""
        paused = json.loads((self.clone.path / f".git/release/{name}/paused.json").read_text())
        entry = next(each for each in self.entries if paused["source"] in each.text)
        self.tell(f"{entry.answer} {name}")
        if entry.answer == "skip":
            return self.run("skip", name, "--reason", "not here", "--yes")
        tree = Repo(self.clone.path / f".git/release/{name}/worktree")
        tree.git("checkout", "--quiet", "--ours", "app.txt")
        text = (tree.path / "app.txt").read_text().replace(f"line {entry.line}\n", f"the branch's own {entry.line}\n")
        tree.write("app.txt", text)
        tree.git("add", "app.txt")
        return self.run("continue", name, "--yes")

    def run(self, *args: str, cwd: Path | None = None) -> Ran:
        return release(*args, cwd=cwd or self.clone.path)

    def must(self, code: int, *args: str, cwd: Path | None = None) -> Ran:
        ran = self.run(*args, cwd=cwd)
        assert ran.code == code, (args, ran.code, ran.out[-1500:], ran.err[-1500:], self.said)
        return ran

    # -------------------------------------------------------------- who judges

    def judges(self, version: str) -> None:
        """Everybody calls the release right."""
        brought = {sha for each in self.entries for sha in each.brings}
        for where in (self.clone.path, self.fresh("judge")):
            online = where == self.clone.path
            self._audit(where, *(() if online else ("--offline", "--source", "origin/main")))
            more = () if online else ("--offline", "--allow-unchecked", "--source", "origin/main")
            self.must(0, "verify", version, *more, cwd=where)
            notes = self.must(0, "notes", version, "--json", *(() if online else ("--offline",)), cwd=where).json
            listed = {fix["source"] for group in notes["groups"] for fix in group["fixes"]}
            assert listed == brought, (online, listed ^ brought, self.said)
            for sha in brought:
                found = self.must(0, "log", sha, "--json", cwd=where).json["releases"]
                assert any(each["version"] == version for each in found), (online, sha, self.said)
        self.must(0, "show", version)
        changelog = self.remote.git("show", f"{version}:CHANGELOG.md")
        assert all(sha[:12] in changelog for sha in brought), self.said
        self.must(0, "publish", version, cwd=self.fresh("publish"))
        if not self.hostile_to_hook:
            self._hook(version)

    def _audit(self, where: Path, *more: str) -> None:
        ran = self.run("audit", "--json", *more, cwd=where)
        codes = [each["code"] for line in ran.json["lines"] for each in line["problems"]]
        codes += [each["code"] for each in ran.json["problems"]]
        bad = [(each["kind"], each["said"]) for line in ran.json["lines"] for each in line["commits"] if not each["ok"]]
        assert not bad, (bad, codes, self.said)
        assert set(codes) <= {REVERTED}, (codes, ran.out[-800:], self.said)

    def _hook(self, version: str) -> None:
        """What a guarded server that stands where the remote stood before says to the push."""
        Repo(self.before).git("fetch", "--quiet", "--no-tags", str(self.remote.path), "+refs/*:refs/after/*")
        after = dict(row.split()[::-1] for row in self.remote.git("show-ref").splitlines())
        refs = [f"refs/heads/{BRANCH}", *(ref for ref in after if ref.startswith(f"refs/tags/{version}"))]
        refs += [f"refs/release-records/{ref.removeprefix('refs/tags/')}" for ref in refs[1:]]
        receiving = Receiving(self.before, "")
        updates = [Update(ref=ref, old=receiving.refs.get(ref, ZERO), new=after[ref]) for ref in refs]
        promoted = [each for each in updates if each.ref.endswith(f"/{version}") and len(refs) > 3]
        with receiving.scratch() as scratch:
            found = PushGuard(receiving=receiving, scratch=scratch, now=NOW).problems(
                [each for each in updates if each not in promoted]
            )
        assert not found, (found, self.said)

    def fresh(self, name: str) -> Path:
        path = self.root / f"fresh-{name}-{self.number}"
        Repo(self.root).git("clone", "--quiet", str(self.remote.path), str(path))
        clone = Repo(path)
        clone.git("config", "user.name", "Somebody Else")
        clone.git("config", "user.email", "else@example.com")
        return path

    # -------------------------------------------------------------- one byte

    def tampered(self, version: str) -> None:
        """One byte of tag message, record or commit is another on the remote: audit and verify find it."""
        what = self.chance.choice(("tag", "record", "commit"))
        kept = self.remote.git("for-each-ref", "--format=%(objectname) %(refname)")
        getattr(self, f"_change_{what}")(version)
        self.tell(f"tampered {what} of {version}")
        where = self.fresh(f"tampered-{what}")
        assert self.run("audit", cwd=where).code == 9, (what, self.said)
        assert self.run("verify", version, cwd=where).code == 9, (what, self.said)
        if what == "tag":
            assert self.run("publish", version, cwd=where).code != 0, (what, self.said)
        for row in kept.splitlines():
            sha, ref = row.split()
            self.remote.git("update-ref", ref, sha)

    def _flip(self, text: str, at: int) -> str:
        return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]

    def _change_tag(self, version: str) -> None:
        text = self.remote.attempt("cat-file", "tag", f"refs/tags/{version}").stdout
        rows = tagged_account(text)
        row = self.chance.choice(rows)
        at = text.index(row.source) + self.chance.randrange(40)
        sha = self.remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=self._flip(text, at))
        self.remote.git("update-ref", f"refs/tags/{version}", sha)

    def _change_record(self, version: str) -> None:
        ref = f"refs/release-records/{version}"
        text = self.remote.attempt("cat-file", "blob", ref).stdout
        key = self.chance.choice(('"commit": "', '"tree": "', '"object": "', '"result": "'))
        at = text.find(key) + len(key) if key in text else text.index('"commit": "') + 11
        if text[at] == '"':  # a pick that made no commit
            at = text.index('"commit": "') + 11
        sha = self.remote.git("hash-object", "-w", "--stdin", stdin=self._flip(text, at + 3))
        self.remote.git("update-ref", ref, sha)

    def _change_commit(self, version: str) -> None:
        """Another byte in a file of the release commit, the tag and the branch moved to it."""
        head = self.remote.rev(f"{version}^{{commit}}")
        data = self.remote.attempt("cat-file", "commit", head).stdout
        at = data.index("\n\n") + 2 + self.chance.randrange(10)
        new = self.remote.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=self._flip(data, at))
        tag = self.remote.attempt("cat-file", "tag", f"refs/tags/{version}").stdout
        moved = self.remote.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=tag.replace(head, new, 1))
        self.remote.git("update-ref", f"refs/tags/{version}", moved)
        self.remote.git("update-ref", f"refs/heads/{BRANCH}", new)
