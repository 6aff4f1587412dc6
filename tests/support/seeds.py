"""Release lines with known faults: each step makes one commit by plain git, and says what a prover must find in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.story import Repo, lines, make_repo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FIXES = 8  # on main; each changes a line of its own, far from the others
STEPS = ("pick", "untold", "forged", "amended", "foreign", "twice", "revert", "unknown", "evil")


def line(number: int) -> str:
    return f"l{5 + 10 * number}"


class Line:
    """A branch `release/v1.0` off `main`; `expected` maps each of its commits to the kind that it is."""

    def __init__(self, root: Path) -> None:
        self.repo: Repo = make_repo(root)
        self.base = self.repo.commit("feat: first", {"app.txt": lines(100), "other.txt": lines(40)})
        self.repo.git("branch", "release/v1.0")
        done: dict[str, str] = {}
        self.fixes = []
        for number in range(FIXES):
            done[line(number)] = f"fixed the thing of number {number}"
            message = f"fix: number {number}\n\nIt was wrong.\n"
            self.fixes.append(self.repo.commit(message, {"app.txt": lines(100, **done)}))
        self.repo.git("checkout", "--quiet", "release/v1.0")
        self.picked: dict[int, str] = {}  # fix -> its commit here, unless that was taken back
        self.expected: dict[str, str] = {}

    @property
    def tip(self) -> str:
        return self.repo.rev("HEAD")

    def play(self, steps: Sequence[tuple[str, int]]) -> None:
        """Each step with the number of a fix; one that makes no sense there becomes a pick, or nothing."""
        for step, number in steps:
            fresh = number not in self.picked
            if step in ("pick", "untold", "amended", "evil") and not fresh:
                continue
            if step in ("twice", "revert") and fresh:
                step = "pick"
            getattr(self, step)(number)

    def _made(self, kind: str) -> str:
        self.expected[self.tip] = kind
        return self.tip

    def pick(self, number: int) -> None:
        self.repo.git("cherry-pick", "-x", self.fixes[number])
        self.picked[number] = self._made("proved")

    def untold(self, number: int) -> None:
        """A pick without a trailer."""
        self.repo.git("cherry-pick", self.fixes[number])
        self.picked[number] = self._made("proved")

    def amended(self, number: int) -> None:
        """A pick with something else in it."""
        self.repo.git("cherry-pick", "-x", self.fixes[number])
        self.repo.write("other.txt", f"a door opened beside number {number}\n" + lines(40))
        self.repo.git("commit", "--quiet", "--amend", "--no-edit", "other.txt")
        self.picked[number] = self._made("adapted")

    def evil(self, number: int) -> None:
        """The lines of the fix, and its own: a pick by the looks of it."""
        self.repo.git("cherry-pick", "-x", self.fixes[number])
        text = (self.repo.path / "app.txt").read_text()
        self.repo.write("app.txt", text.replace("line 99\n", f"line 99 and more {number}\n", 1) + f"evil {number}\n")
        self.repo.git("commit", "--quiet", "--amend", "--no-edit", "app.txt")
        self.picked[number] = self._made("adapted")

    def forged(self, number: int) -> None:
        """Another change under the trailer of a fix."""
        count = len(self.expected)
        message = f"fix: number {number}\n\n(cherry picked from commit {self.fixes[number]})\n"
        self.repo.commit(message, {f"forged{count}.txt": f"something else entirely {count}\n"})
        self._made("forged")

    def foreign(self, number: int) -> None:
        count = len(self.expected)
        self.repo.commit(f"chore: by the way {number}", {f"foreign{count}.txt": f"nobody asked for this {count}\n"})
        self._made("foreign")

    def unknown(self, number: int) -> None:
        count = len(self.expected)
        message = f"fix: from afar\n\n(cherry picked from commit {number:02x}{'ab' * 19})\n"
        self.repo.commit(message, {f"unknown{count}.txt": f"who knows where from {count}\n"})
        self._made("unknown-source")

    def twice(self, number: int) -> None:
        """The fix a second time, at another place: what git makes of a pick that it does not know again."""
        if self.expected[self.picked[number]] != "proved":
            return
        text = (self.repo.path / "app.txt").read_text()
        count = len(self.expected)
        again = text + f"fixed the thing of number {number}\nand a word of its own {count}\n"
        self.repo.commit(f"fix: again\n\n(cherry picked from commit {self.fixes[number]})\n", {"app.txt": again})
        self._made("duplicate")

    def revert(self, number: int) -> None:
        if self.expected[self.picked[number]] != "proved":
            return
        if self.repo.attempt("revert", "--no-edit", self.picked[number]).returncode:
            self.repo.git("revert", "--abort")
            return
        self._made("revert")
        self.expected[self.picked.pop(number)] = "reverted"
