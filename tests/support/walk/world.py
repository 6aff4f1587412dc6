"""The history of a walk: main, two release lines, and every way in which a fix comes to one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.cli import Ran, release
from tests.support.commit_keys import ssh_key
from tests.support.story import Repo, make_repo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINES = 300
HISTORY = "# Changelog\n\n## [Unreleased]\n\n[Unreleased]: https://example.com/o/r/compare/v2.8.0...HEAD\n"
HOUSE = """\
changelog: HISTORY.md
signoff: true
sign-commits: true
release-commit:
  subject: "Release {version} of {branch} [skip ci]"
  body: "{date}, after {previous}\\n\\n{picks}"
  trailers: {Tag: "{tag}", Change-Id: "{change-id}"}
"""
DRIFTED = range(205, 286, 5)  # lines that main has in other words than the release branches: a fix of one conflicts
ALONE = {"v2.7": 295, "v2.8": 290}  # one more for each line, far from the others
EFFORT = {"RELEASE_CLI_EFFORT": "0"}


@dataclass
class Declared:
    """Entries of release.yaml: the commits that they bring, and what is done when one conflicts.

    An entry `from plan ID` is the line that `release plan` prints for a commit that nobody declared.
    """

    kind: str
    texts: tuple[str, ...]
    brings: tuple[str, ...] = ()
    answer: str = ""  # continue or skip
    number: int = -1  # of the line in conflict
    ships: bool = False  # main may take it back later
    on_top: tuple[str, ...] | None = None  # its texts in a version with `from-branch`; None: the same


@dataclass
class Line:
    """A release line: what its branch holds, and which versions there are."""

    name: str  # v2.7
    file: str  # its release.yaml
    patch: int = 0
    candidate: str = ""  # the last one that was not promoted yet
    declared: dict[str, list[Declared]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)  # version -> its entries
    whole: set[str] = field(default_factory=set)  # versions with `from-branch`
    yanked: list[str] = field(default_factory=list)
    shipped: list[str] = field(default_factory=list)  # plain fixes that main may take back
    busy: set[str] = field(default_factory=set)  # those that the next release has to do with already
    hostile: bool = False  # the next release has what no guarded server takes
    strict: bool = False  # its commits are signed, signed off, and say things as the house wants
    closing: str = ""  # the final version that is cut next, where it has candidates

    @property
    def branch(self) -> str:
        return f"release/{self.name}"

    @property
    def changelog(self) -> str:
        return "HISTORY.md" if self.strict else "CHANGELOG.md"

    @property
    def options(self) -> tuple[str, ...]:
        """What a person gives `git cherry-pick`."""
        return ("--signoff", "--gpg-sign") if self.strict else ()

    def entries(self, version: str) -> list[Declared]:
        """Those of a version; of a promoted one those of its candidates."""
        names = [version] if version in self.declared else [each for each in self.declared if f"{version}-" in each]
        return [entry for name in names for entry in self.declared[name]]

    def brought(self, version: str) -> set[str]:
        return {sha for entry in self.entries(version) for sha in entry.brings}

    def free(self) -> list[str]:
        return [sha for sha in self.shipped if sha not in self.busy]


class World:
    """A remote, a clone, and the commits of main and of the release branches."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []  # every step, for the one who repeats it
        self.states: Counter[tuple[str, ...]] = Counter()
        self.remote = make_repo(root / "remote.git", bare=True)
        self.clone = make_repo(root / "clone")
        self.clone.git("remote", "add", "origin", str(self.remote.path))
        self.text = [f"line {n}" for n in range(LINES)]
        self.lib = make_repo(root / "lib")
        self.libs = {line: self.lib.commit("feat: lib", {"lib.txt": "0\n"}) for line in ALONE}
        self._free = list(range(0, 200, 5))
        self._drifted = list(DRIFTED)
        self.lines = [Line(name="v2.7", file="release.yaml"), Line(name="v2.8", file="release-v2.8.yaml", strict=True)]
        key = ssh_key(root / "key")
        for setting, value in (("gpg.format", "ssh"), ("user.signingKey", str(key))):
            self.clone.git("config", setting, value)
        for name, sha in self.libs.items():
            self._link(name, sha)
        self.clone.commit("feat: start", {"app.txt": self._whole(), "NEWS.txt": "first\n", "HISTORY.md": HISTORY})
        self.clone.git("clone", "--quiet", "--bare", str(self.lib.path), ".git/modules/lib")
        for line in self.lines:
            self.clone.git("branch", line.branch)
            self.clone.git("tag", "-a", "-m", f"{line.name}.0", f"{line.name}.0")
        for n in (*DRIFTED, *ALONE.values()):
            self.text[n] = f"main says {n}"
        self.clone.commit("refactor: other words", {"app.txt": self._whole(), "NEWS.txt": "second\n"})
        self.clone.git("push", "--quiet", "--tags", "origin", "main", *(line.branch for line in self.lines))

    def _whole(self) -> str:
        return "".join(f"{each}\n" for each in self.text)

    def run(self, line: Line, *args: str, cwd: Path | None = None) -> Ran:
        return release("-c", line.file, *args, cwd=cwd or self.clone.path, env=EFFORT)

    def must(self, code: int, line: Line, *args: str, cwd: Path | None = None) -> Ran:
        ran = self.run(line, *args, cwd=cwd)
        assert ran.code == code, (args, ran.code, ran.out[-1500:], ran.err[-1500:], self.said)
        return ran

    # -------------------------------------------------------------- one entry

    def declare(self, line: Line, kind: str) -> Declared:
        """Make what an entry of that kind needs, and the entry."""
        made: Declared = getattr(self, f"_{kind}")(line)
        line.busy |= set(made.brings)
        return made

    def _fix(self, number: int, word: str = "fixed") -> str:
        self.clone.minutes += 1
        self.text[number] = f"{word} {number} at {self.clone.minutes}"
        return self.clone.commit(f"fix: line {number}", {"app.txt": self._whole()})

    def _clean(self, _: Line) -> Declared:
        sha = self._fix(self._free.pop())
        return Declared("clean", (f"commit: {sha}",), (sha,), ships=True)

    def _adapted(self, _: Line) -> Declared:
        number = self._drifted.pop()
        sha = self._fix(number)
        return Declared("adapted", (f"commit: {sha}",), (sha,), answer="continue", number=number)

    def _skipped(self, _: Line) -> Declared:
        return Declared("skipped", (f"commit: {self._fix(self._drifted.pop())}",), answer="skip")

    def _doubtful(self, _: Line) -> Declared:
        """May be there already, says the entry; it is not, and is left out at the conflict."""
        sha = self._fix(self._drifted.pop())
        return Declared("doubtful", (f"commit: {sha}, allow: [duplicate]",), answer="skip")

    def _by_hand(self, line: Line) -> Declared:
        """Picked onto the branch by a person, before the release."""
        sha = self._fix(self._free.pop())
        self._on_branch(line, lambda hand: hand.git("cherry-pick", *line.options, "-x", sha))
        return Declared("by_hand", (f"commit: {sha}, allow: [duplicate]",), (sha,), ships=True, on_top=())

    def _late(self, line: Line) -> Declared:
        """Picked by a person who told nobody: declared by the line that `plan` prints."""
        sha = self._by_hand(line).brings[0]
        return Declared("late", (f"from plan {sha}",), (sha,), on_top=())

    def _backport(self, line: Line) -> Declared:
        number = self._drifted.pop()
        sha = self._fix(number)
        hand = self._worktree(f"origin/{line.branch}")
        made = hand.commit(f"fix: line {number}", {"app.txt": _with(hand, number, "by hand")})
        self.clone.git("push", "--quiet", "origin", f"{made}:refs/heads/topic-{made[:8]}")
        return Declared("backport", (f"commit: {sha}, backport: {made}",), (sha,))

    def _span(self, _: Line) -> Declared:
        shas = (self._fix(self._free.pop()), self._fix(self._free.pop()))
        return Declared("span", (f"range: {shas[0]}^..{shas[1]}",), shas)

    def _amended(self, _: Line) -> Declared:
        """A fix, and a second one that changes the very line again."""
        number = self._free.pop()
        shas = (self._fix(number), self._fix(number, "better"))
        return Declared("amended", (f"range: {shas[0]}^..{shas[1]}",), shas)

    def _merge(self, _: Line) -> Declared:
        self.clone.git("checkout", "--quiet", "-b", "side")
        self._fix(self._free.pop())
        self._fix(self._free.pop())
        self.clone.git("checkout", "--quiet", "main")
        self.clone.minutes += 1
        self.clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the side", "side")
        self.clone.git("branch", "-D", "side")
        sha = self.clone.rev("HEAD")
        return Declared("merge", (f"commit: {sha}, mainline: 1",), (sha,))

    def _revert(self, line: Line) -> Declared:
        """Main takes a released fix back, or brings one again that it took back."""
        for of in line.free():
            self.clone.minutes += 1
            line.shipped.remove(of)
            if self.clone.attempt("revert", "--no-edit", of).returncode == 0:
                self.text = (self.clone.path / "app.txt").read_text().split("\n")[:LINES]
                sha = self.clone.rev("HEAD")
                return Declared("revert", (f"commit: {sha}",), (sha,), ships=True)
            self.clone.git("revert", "--abort")
        return self._clean(line)

    def _again(self, line: Line) -> Declared:
        """A fix that a person took back on the branch is wanted there again, whatever main says."""
        for sha in line.free():
            log = self.clone.git(
                "log", "--format=%H", f"--grep=cherry picked from commit {sha}", f"origin/{line.branch}"
            )
            hand = self._worktree(f"origin/{line.branch}")
            if log and hand.attempt("revert", "--no-edit", log.split()[0]).returncode == 0:
                line.busy.add(sha)
                made = self._pushed(line, hand)
                line.hostile = True
                again = f"commit: {sha}, again: true, reason: needed after all"
                return Declared("again", (f"from plan {made}", again), (made, sha), on_top=(again,))
        return self._clean(line)

    def _repeated(self, line: Line) -> Declared:
        """An older version has it already; where that is a candidate of this one, the version before lacks it."""
        found = next(iter(line.free()), "")
        line.busy.add(found)
        new = (found,) if line.closing and found in line.brought(line.closing) else ()
        return Declared("repeated", (f"commit: {found}, allow: [duplicate]",), new) if found else self._clean(line)

    def _touched_up(self, line: Line) -> Declared:
        """Picked by a person, who then puts it into better words on the branch; `plan` prints the second."""
        number = self._free.pop()
        sha = self._fix(number)
        self._on_branch(line, lambda hand: hand.git("cherry-pick", *line.options, "-x", sha))
        words = f"{self.text[number]}, in better words"
        made = self._on_branch(line, lambda hand: hand.commit("fix: words", {"app.txt": _with(hand, number, words)}))
        line.hostile = True
        return Declared(
            "touched_up", (f"commit: {sha}, allow: [duplicate]", f"from plan {made}"), (sha, made), answer="skip",
            on_top=(),
        )  # fmt: skip

    def _across(self, line: Line) -> Declared:
        """What the other line has already."""
        mine = {sha for version in line.declared for sha in line.brought(version)} | line.busy
        found = next((sha for other in self.lines for sha in other.shipped if sha not in mine), "")
        return Declared("across", (f"commit: {found}",), (found,)) if found else self._clean(line)

    def _empty(self, line: Line) -> Declared:
        """Main comes to say what the branch has said all along."""
        number = ALONE[line.name]
        if self.text[number] == f"line {number}":
            return self._clean(line)
        self.text[number] = f"line {number}"
        sha = self.clone.commit("fix: as it was", {"app.txt": self._whole()})
        return Declared("empty", (f"commit: {sha}, allow: [empty]",))

    def _direct(self, line: Line) -> Declared:
        """Made on the branch itself, and declared afterwards."""
        name = f"here-{self.clone.minutes}.txt"
        made = self._on_branch(line, lambda hand: hand.commit("fix: only here", {name: "here\n"}))
        line.hostile = True  # it is on no source branch
        return Declared("direct", (f"commit: {made}, allow: [duplicate]",), (made,), on_top=())

    def _submodule(self, line: Line) -> Declared:
        """Main moves a submodule, goes back, and moves it further: the second one is a fast-forward on the branch."""
        old = self.libs[line.name]
        new = [self.lib.commit(f"fix: lib {self.clone.minutes}", {"lib.txt": f"{number}\n"}) for number in (1, 2)]
        self.clone.git("-C", ".git/modules/lib", "fetch", "--quiet", "origin", "+HEAD:refs/heads/main")
        shas = [self._linked(line, "fix: lib", new[0]), self._linked(line, "fix: back", old),
                self._linked(line, "fix: lib at last", new[1])]  # fmt: skip
        self.libs[line.name] = new[1]
        return Declared("submodule", (f"commit: {shas[0]}", f"commit: {shas[2]}"), (shas[0], shas[2]))

    def _sided(self, _: Line) -> Declared:
        """A fix of a line that the branch has in other words, merged in favour of one side."""
        sha = self._fix(self._drifted.pop())
        return Declared("sided", (f"commit: {sha}, strategy-option: [theirs, find-renames=60]",), (sha,))

    def _excluded(self, _: Line) -> Declared:
        """A fix with files beside it that are not picked: one that the branch has in other words, and a new one."""
        self.clone.minutes += 1
        number = self._free.pop()
        self.text[number] = f"fixed {number} at {self.clone.minutes}"
        sha = self.clone.commit(
            f"fix: line {number}",
            {"app.txt": self._whole(), "NEWS.txt": f"{number}\n", f".ci/{number}.yml": "on: push\n"},
        )
        return Declared("excluded", (f"commit: {sha}, exclude: [NEWS.txt, .ci/**, docs/]",), (sha,))

    def _link(self, name: str, sha: str) -> None:
        self.clone.git("update-index", "--add", "--cacheinfo", f"160000,{sha},lib-{name}")
        (self.clone.path / f"lib-{name}").mkdir(exist_ok=True)

    def _linked(self, line: Line, subject: str, sha: str) -> str:
        self._link(line.name, sha)
        return self.clone.commit(subject, {})

    def _on_branch(self, line: Line, make: Callable[[Repo], object]) -> str:
        hand = self._worktree(f"origin/{line.branch}")
        make(hand)
        return self._pushed(line, hand)

    def _pushed(self, line: Line, hand: Repo) -> str:
        self.clone.minutes = hand.minutes
        hand.git("push", "--quiet", "origin", f"HEAD:{line.branch}")
        self.clone.git("fetch", "--quiet", "origin")
        return hand.rev("HEAD")

    def _worktree(self, commit: str) -> Repo:
        self.clone.minutes += 1
        path = self.root / f"hand-{self.clone.minutes}"
        self.clone.git("fetch", "--quiet", "origin")
        self.clone.git("worktree", "add", "--quiet", "--detach", str(path), commit)
        return Repo(path, self.clone.minutes)


BEFORE = ("by_hand", "late", "touched_up", "direct", "again")  # what is on the branch before the release is cut
KINDS = (
    "clean", "adapted", "skipped", "doubtful", "by_hand", "late", "touched_up", "direct", "backport", "span", "amended",
    "merge", "revert", "again", "repeated", "across", "empty", "submodule",
    "excluded", "sided",
)  # fmt: skip


def _with(hand: Repo, number: int, words: str) -> str:
    text = (hand.path / "app.txt").read_text().split("\n")
    return "\n".join([*text[:number], words, *text[number + 1 :]])
