"""Cuts, promotions and yanks of a walk, with what disturbs them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support import kills
from tests.support.remedies import said
from tests.support.story import Repo
from tests.support.walk.world import BEFORE, EFFORT, HOUSE, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.cli import Ran
    from tests.support.walk.world import Declared, Line


@dataclass
class Released:
    """A version as it became public: how, and all refs of the remote before."""

    line: Line
    version: str
    journal: list[str] = field(default_factory=lambda: ["whole"])  # what happened on the way
    before: dict[str, str] = field(default_factory=dict)
    guarded: bool = True  # whether a guarded server takes it

    @property
    def kinds(self) -> list[str]:
        return sorted({each.kind for each in self.line.entries(self.version)} | self._whole)

    @property
    def _whole(self) -> set[str]:
        return {"from-branch"} if self.version in self.line.whole else set()


class Releases(World):
    """What people do with the lines."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]  # as World
        self.released: list[Released] = []

    def refs(self) -> dict[str, str]:
        return dict(row.split()[::-1] for row in self.remote.git("show-ref").splitlines())

    def release(
        self,
        line: Line,
        kinds: Sequence[str],
        *,
        candidate: bool,
        turned: bool,
        kill: int,
        abort: bool,
        whole: bool = False,
    ) -> Released:
        """Declare, publish main, cut with disturbances; of a `whole` one what is on the branch is not declared."""
        line.patch += not line.candidate
        final = f"{line.name}.{line.patch}"
        number = int(line.candidate.rpartition(".")[2]) + 1 if line.candidate else 1
        name = f"{final}-rc.{number}" if candidate else final
        line.busy, line.hostile = set(), False
        line.closing = final if line.candidate and not candidate else ""
        entries = [self.declare(line, kind) for kind in sorted(_once(kinds), key=lambda kind: kind not in BEFORE)]
        entries = entries[::-1] if turned else entries
        if whole and not candidate and not line.closing:
            line.whole.add(name)
        made = Released(line=line, version=name)
        self.said.append(f"{name}: {' '.join(each.kind for each in entries)}{' from-branch' * (name in line.whole)}")
        self._declared(line, name, entries)
        made.before, made.guarded = self.refs(), not line.hostile
        self._cut(made, entries, kill=kill, abort=abort)
        self.clone.git("fetch", "--quiet", "--tags", "origin")
        line.candidate = name if candidate else ""
        line.shipped += [sha for each in entries if each.ships for sha in each.brings]
        self.released.append(made)
        return made

    def _declared(self, line: Line, name: str, entries: Sequence[Declared]) -> None:
        """The entries in release.yaml on main, those too that only `plan` tells."""
        line.declared[name] = list(entries)
        whole = name in line.whole
        texts = [
            text for each in entries for text in (each.on_top if whole and each.on_top is not None else each.texts)
        ]
        line.texts[name] = [f"{{{text}}}" for text in texts if not text.startswith("from plan")]
        wanted = [text.removeprefix("from plan ") for text in texts if text.startswith("from plan")]
        if wanted and not line.texts[name]:  # a list is never empty
            line.texts[name] = [f"{{{self._clean_too(entries)}}}"]
        if wanted:
            self._write(line)
            said = self.run(line, "plan", name, "--json").json["notes"]
            told = {found[2]: found[1] for note in said if (found := re.search(r"add: - (\{commit: (\w+).*\})", note))}
            assert set(wanted) <= set(told), (wanted, said, self.said)
            line.texts[name] += [told[sha] for sha in wanted]
        self._write(line)
        self.clone.minutes += 1
        self.clone.git("add", line.file)
        self.clone.git("commit", "--quiet", "-m", f"chore: declare {name}")
        self.clone.git("push", "--quiet", "origin", "main")

    def _clean_too(self, entries: Sequence[Declared]) -> str:
        more = self._clean(self.lines[0])
        entries[0].brings += more.brings
        return more.texts[0]

    def _write(self, line: Line) -> None:
        text = f"version: 1\nbranch: {line.branch}\nsource: main\nreleases:\n"
        for name, entries in line.texts.items():
            text += f"  {name}:\n" + "    from-branch: true\n" * (name in line.whole) + "    fixes:\n" * bool(entries)
            text += "".join(f"      - {each}\n" for each in entries)
        self.clone.write(line.file, text + (HOUSE if line.strict else ""))

    def _cut(self, made: Released, entries: Sequence[Declared], *, kill: int, abort: bool) -> None:
        name, line = made.version, made.line
        if kill:
            args = ("-c", line.file, "cut", name, "--yes", "-q")
            code = kills.killed_at(self.clone.path, "before", kill, kills.JOURNAL, *args, env=EFFORT)
            made.journal.append(f"killed before record {kill}" if code == -9 else "not killed")
        aborted = self.run(line, "abort", name) if abort else None
        if aborted and aborted.code == 0:
            made.journal.append("aborted")
        if aborted and "stays released" in aborted.out:
            ran = self.run(line, *said(aborted, "release publish").split()[1:])
        else:
            ran = self.run(line, "cut", name, "--yes")
        for _ in range(2 * len(entries)):
            if ran.code != 3:
                break
            ran = self._answer(made, entries)
        assert ran.code == 0, (ran.code, ran.out, ran.err, self.said)

    def _answer(self, made: Released, entries: Sequence[Declared]) -> Ran:
        """Resolve the conflict that a cut waits at, or leave it out."""
        name, line = made.version, made.line
        paused = json.loads((self.clone.path / f".git/release/{name}/paused.json").read_text())
        entry = next(each for each in entries if any(paused["source"] in text for text in each.texts))
        made.journal.append(f"paused, {entry.answer}")
        if entry.answer == "skip":
            entry.brings = tuple(sha for sha in entry.brings if sha != paused["source"])
            return self.run(line, "skip", name, "--reason", "not here", "--yes")
        assert entry.answer, (entry, paused, self.said)
        tree = Repo(self.clone.path / f".git/release/{name}/worktree")
        tree.git("checkout", "--quiet", "--ours", "app.txt")
        text = (tree.path / "app.txt").read_text().replace(f"line {entry.number}\n", f"our own {entry.number}\n")
        tree.write("app.txt", text)
        tree.git("add", "app.txt")
        return self.run(line, "continue", name, "--yes")

    def promote(self, line: Line, kill: int) -> Released:
        """The last candidate gets its final name."""
        name, version = line.candidate, f"{line.name}.{line.patch}"
        made = Released(line=line, version=version, journal=["promoted"], before=self.refs())
        self.said.append(f"promote {name}")
        if kill:
            args = ("-c", line.file, "promote", name, version, "--yes", "-q")
            code = kills.killed_at(self.clone.path, "before", kill, kills.JOURNAL, *args, env=EFFORT)
            made.journal.append(f"promotion killed before record {kill}" if code == -9 else "promotion not killed")
        self.must(0, line, "promote", name, version, "--yes")
        self.clone.git("fetch", "--quiet", "--tags", "origin")
        line.candidate = ""
        self.released.append(made)
        return made

    def yank(self, made: Released) -> None:
        self.said.append(f"yank {made.version}")
        self.must(0, made.line, "yank", made.version, "--reason", "it hurts", "--yes")
        made.line.yanked.append(made.version)
        made.journal.append("yanked")


def _once(kinds: Sequence[str]) -> list[str]:
    """Two moves of one submodule, turned about, are a conflict that nobody resolves here: the second is a plain fix."""
    return ["clean" if kind == "submodule" and kind in kinds[:at] else kind for at, kind in enumerate(kinds)]
