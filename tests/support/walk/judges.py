"""Everybody who judges releases, asked in one kind of clone after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.guard.push import PushGuard
from orchestrator.guard.received_push import Receiving, Update
from orchestrator.session.yanks import yank_ref
from tests.support.story import Repo
from tests.support.walk.releases import Releases

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from orchestrator.core.results import Problem
    from tests.support.walk.releases import Released
    from tests.support.walk.world import Line

ZERO = "0" * 40
NOW = 1_900_000_000
REVERTED = "reverted-upstream"  # a true finding: main took a released fix back
PLACES = ("full", "offline", "single", "shallow")


class Before(Receiving):
    """A guarded server as it stood before a push, whose objects are here already."""

    def __init__(self, gitdir: Path, before: Mapping[str, str], files: tuple[str, ...]) -> None:
        super().__init__(gitdir, "")
        self.__dict__["_refs"] = {ref: (sha, "") for ref, sha in before.items()}
        self._files = list(files)

    def config(self, key: str) -> list[str]:
        return self._files if key == "release.configPath" else super().config(key)


class Judges(Releases):
    """Who says what of a release."""

    def judged(self, made: Released, place: str) -> None:
        """Everybody calls the release right: in this clone, and in one of another kind."""
        for where in ("here", place):
            self._in(where, made)
            for step in made.journal:
                self.states.update((step, kind, where) for kind in made.kinds)
        changelog = self.remote.git("show", f"{made.version}:{made.line.changelog}")
        assert all(sha[:12] in changelog for sha in made.line.brought(made.version)), self.said
        if made.guarded:
            found = self.guard(made)
            assert not found, (found, self.said)

    def _in(self, where: str, made: Released) -> None:
        line, version, brought = made.line, made.version, made.line.brought(made.version)
        path = self.clone.path if where == "here" else self.cloned(where, made)
        asked = () if where != "offline" else ("--offline",)
        source = ("--source", "origin/main") if where == "offline" else ()
        self._audit(line, path, *asked, *source)
        self.must(0, line, "verify", version, *(("--allow-unchecked",) if asked else ()), *asked, *source, cwd=path)
        notes = self.must(0, line, "notes", version, "--json", *asked, cwd=path).json
        listed = {fix["source"] for group in notes["groups"] for fix in group["fixes"]}
        assert listed == brought, (where, listed ^ brought, self.said)
        for sha in sorted(brought)[:2]:
            found = self.must(0, line, "log", sha, "--json", *asked, cwd=path).json["releases"]
            assert any(each["version"] == version for each in found), (where, sha, self.said)
        if asked:
            return
        shown = self.must(0, line, "show", version, cwd=path).out
        assert ("YANKED" in shown) == (version in line.yanked), (where, shown, self.said)
        if version in line.yanked:
            return
        ran = self.must(0, line, "publish", version, cwd=path)
        assert version in ran.out + ran.err, (where, ran, self.said)

    def cloned(self, kind: str, made: Released) -> Path:
        """A new clone of that kind."""
        self.clone.minutes += 1
        path = self.root / f"{kind}-{self.clone.minutes}"
        how = {
            "single": ("--single-branch", "--branch", made.line.branch),
            "shallow": ("--depth", "1", "--branch", made.version),
        }.get(kind, ())
        Repo(self.root).git("clone", "--quiet", *how, f"file://{self.remote.path}", str(path))
        clone = Repo(path)
        clone.git("config", "user.name", "Somebody Else")
        clone.git("config", "user.email", "else@example.com")
        return path

    def _audit(self, line: Line, where: Path, *more: str) -> None:
        ran = self.run(line, "audit", "--json", *more, cwd=where)
        codes = [each["code"] for line in ran.json["lines"] for each in line["problems"]]
        codes += [each["code"] for each in ran.json["problems"]]
        bad = [(each["kind"], each["said"]) for line in ran.json["lines"] for each in line["commits"] if not each["ok"]]
        assert not bad, (bad, codes, self.said)
        assert set(codes) <= {REVERTED}, (codes, ran.out[-800:], self.said)

    # -------------------------------------------------------------- the server's hook

    def guard(self, made: Released, tampered: Mapping[str, str] | None = None) -> list[Problem]:
        """What a guarded server says that stands where the remote stood before, with other refs than were pushed."""
        refs = [f"refs/heads/{made.line.branch}", f"refs/tags/{made.version}"]
        refs += [f"refs/{kind}/{made.version}" for kind in ("release-records", "release-sources")]
        after = {**self.refs(), **(tampered or {})}
        moved = [ref for ref in refs if after.get(ref, "") != made.before.get(ref, "")]
        return self._pushed_to(made.before, {ref: after[ref] for ref in moved})

    def guard_yank(self, made: Released, sha: str) -> list[Problem]:
        ref = yank_ref(made.version)
        return self._pushed_to({name: each for name, each in self.refs().items() if name != ref}, {ref: sha})

    def _pushed_to(self, before: Mapping[str, str], after: Mapping[str, str]) -> list[Problem]:
        receiving = Before(self.remote.path, before, tuple(line.file for line in self.lines))
        updates = [Update(ref=ref, old=before.get(ref, ZERO), new=sha) for ref, sha in after.items()]
        with receiving.scratch() as scratch:
            return PushGuard(receiving=receiving, scratch=scratch, now=NOW).problems(updates)
