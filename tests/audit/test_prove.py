"""Seeded histories: whatever is mixed in, each commit is called what it is; a clean line gives no alarm."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.audit.prove import Proving, new_commits, prove
from orchestrator.audit.verdicts import Part
from orchestrator.config.reader import parse
from orchestrator.git.cache import Cache
from orchestrator.git.scratch import Scratch
from tests.support.seeds import FIXES, STEPS, Line
from tests.support.story import lines, make_repo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.core.declaration import Config

pytestmark = pytest.mark.hostile
_steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, FIXES - 1)), min_size=1, max_size=7)


def proved(line: Line, cache: Cache | None = None, config: Config | None = None, version: str = "") -> Proving:
    with Scratch.open(line.repo.path / ".git/objects", cache) as scratch:
        part = Part(version=version, commits=new_commits(scratch, line.base, line.tip), config=config)
        return prove(scratch, [part], base=line.base, tips=[line.repo.rev("main")])


def kinds(proving: Proving) -> dict[str, str]:
    return {each.sha: str(each.kind) for each in proving.verdicts}


def declaring(shas: Sequence[str], version: str = "v1.0.1") -> Config:
    fixes = "".join(f"      - commit: {sha}\n" for sha in shas)
    text = f"version: 1\nbranch: release/v1.0\nsource: main\nreleases:\n  {version}:\n    fixes:\n{fixes}"
    return parse(text.encode(), "release.yaml")


@settings(
    max_examples=12, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(steps=_steps)
def test_every_fault_is_called_by_its_name(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    root = tmp_path_factory.mktemp("line")
    line = Line(root / "repo")
    line.play(steps)
    cold = proved(line, Cache(root / "cache"))
    assert kinds(cold) == line.expected
    assert proved(line, Cache(root / "cache")) == cold  # remembered, and the same


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path / "repo")


@pytest.mark.wide(4)
@pytest.mark.parametrize("step", STEPS)
def test_each_step_alone(line: Line, step: str) -> None:
    line.play([("pick", 1), (step, 1 if step in ("twice", "revert") else 2), ("pick", 4)])
    assert step == "pick" or len(line.expected) == 3
    assert kinds(proved(line)) == line.expected


def test_a_clean_line_gives_no_alarm(line: Line) -> None:
    line.play([("pick", 0), ("untold", 1), ("pick", 2), ("untold", 5)])
    found = proved(line, config=declaring([line.fixes[number] for number in (0, 1, 2, 5)]), version="v1.0.1")
    assert [each for each in found.verdicts if not each.ok] == []
    assert found.missing == ()
    assert all(each.on_source and each.declared for each in found.verdicts)


def test_undeclared_and_dropped(line: Line) -> None:
    line.play([("pick", 0), ("pick", 1)])
    found = proved(line, config=declaring([line.fixes[0], line.fixes[3]]), version="v1.0.1")
    assert [str(each.kind) for each in found.verdicts] == ["proved", "undeclared"]
    assert [each.source for each in found.missing] == [line.fixes[3]]


def test_a_source_that_is_on_no_source_branch_is_said(line: Line) -> None:
    """Proved of a commit that the pusher brought along proves nothing about review."""
    line.repo.git("checkout", "--quiet", "-b", "mine", "main")
    mine = line.repo.commit("fix: mine", {"mine.txt": "my own\n"})
    line.repo.git("checkout", "--quiet", "release/v1.0")
    line.repo.git("cherry-pick", "-x", mine)
    verdict = proved(line).verdicts[0]
    assert (str(verdict.kind), verdict.on_source) == ("proved", False)


def test_merges_are_looked_into(line: Line) -> None:
    line.repo.git("checkout", "--quiet", "-b", "side")
    line.pick(0)
    line.repo.git("checkout", "--quiet", "release/v1.0")
    line.pick(3)
    line.repo.git("merge", "--quiet", "--no-ff", "--no-edit", "side")
    line._made("merge")
    line.repo.git("checkout", "--quiet", "-b", "other")
    line.foreign(0)
    line.repo.git("checkout", "--quiet", "release/v1.0")
    line.repo.git("merge", "--quiet", "--no-ff", "--no-commit", "other")
    line.repo.write("smuggled.txt", "in the merge itself\n")
    line.repo.git("add", "smuggled.txt")
    line.repo.git("commit", "--quiet", "--no-edit")
    line._made("foreign")
    assert kinds(proved(line)) == line.expected


def test_a_merge_of_main_is_undeclared_where_it_is_known_what_was_declared(line: Line) -> None:
    line.repo.git("merge", "--quiet", "--no-ff", "--no-edit", "main")
    found = kinds(proved(line, config=declaring([line.fixes[0]]), version="v1.0.1"))
    assert [found[sha] for sha in line.fixes] == ["proved"] + ["undeclared"] * (FIXES - 1)


def test_squashed_and_chained_trailers(line: Line) -> None:
    line.repo.git("cherry-pick", "--no-commit", line.fixes[1], line.fixes[4])
    said = "".join(f"(cherry picked from commit {line.fixes[number]})\n" for number in (1, 4))
    line.repo.git("commit", "--quiet", "-m", f"fix: two\n\n{said}")
    line.repo.git("cherry-pick", line.fixes[2])
    line.repo.git(
        "commit", "--quiet", "--amend", "-m",
        f"fix: chained\n\n(cherry picked from commit {line.fixes[2]})\n(cherry picked from commit {'9' * 40})\n",
    )  # fmt: skip
    two, chained = proved(line).verdicts
    assert (str(two.kind), two.sources) == ("proved", (line.fixes[1], line.fixes[4]))
    assert (str(chained.kind), chained.source, chained.missing) == ("proved", line.fixes[2], ("9" * 40,))


def test_what_a_declared_fix_in_the_trailer_does_not_cover(line: Line) -> None:
    """A trailer that names a declared fix does not declare the other one that is carried."""
    line.repo.git("cherry-pick", line.fixes[2])
    said = "".join(f"(cherry picked from commit {line.fixes[number]})\n" for number in (1, 2))
    line.repo.git("commit", "--quiet", "--amend", "-m", f"fix: sly\n\n{said}")
    verdict = proved(line, config=declaring([line.fixes[1]]), version="v1.0.1").verdicts[0]
    assert (str(verdict.kind), verdict.source) == ("undeclared", line.fixes[2])


def test_a_backport_answers_for_an_adapted_pick(line: Line) -> None:
    line.repo.git("checkout", "--quiet", "-b", "backport", line.base)
    hand = line.repo.commit("fix: by hand", {"app.txt": lines(100, l5="fixed the thing of number 0, differently")})
    line.repo.git("checkout", "--quiet", "release/v1.0")
    line.repo.git("cherry-pick", hand)
    line.repo.git("commit", "--quiet", "--amend", "-m", f"fix: 0\n\n(cherry picked from commit {line.fixes[0]})")
    config = declaring([f"{line.fixes[0]}\n        backport: {hand}"])
    verdict = proved(line, config=config, version="v1.0.1").verdicts[0]
    assert (str(verdict.kind), verdict.ok, verdict.accepted) == ("adapted", True, f"backport {hand[:12]}")
    assert not proved(line, config=declaring([line.fixes[0]]), version="v1.0.1").verdicts[0].ok


def test_a_fix_taken_back_by_hand_may_be_picked_again(line: Line) -> None:
    line.pick(0)
    line.repo.commit("chore: no", {"app.txt": lines(100)})
    line.repo.git("cherry-pick", "-x", line.fixes[0])
    assert [str(each.kind) for each in proved(line).verdicts] == ["proved", "foreign", "proved"]


def test_new_files_and_renames_are_merged_as_git_does(line: Line) -> None:
    """The shortcut for files changed in place must not be taken beside renames."""
    line.repo.git("checkout", "--quiet", "main")
    line.repo.git("mv", "other.txt", "moved.txt")
    moved = line.repo.commit("fix: moved", {"moved.txt": lines(40, l3="x"), "pkg/new.txt": lines(3)})
    line.repo.git("checkout", "--quiet", "release/v1.0")
    line.repo.git("mv", "app.txt", "application.txt")
    line.repo.commit("chore: move", {"other.txt": lines(40, l30="of this branch")})
    line.repo.git("cherry-pick", "-x", moved)  # into a file that has changed here and moves there
    line.repo.git("cherry-pick", "-x", line.fixes[0])  # into a file that was moved here
    assert [str(each.kind) for each in proved(line).verdicts] == ["foreign", "proved", "proved"]


def test_a_quarantine_beside_a_bare_repository(line: Line, tmp_path: Path) -> None:
    """As a server's hook sees it: what is pushed lies in another object directory."""
    bare = make_repo(tmp_path / "server.git", bare=True)
    line.repo.git("push", "--quiet", str(bare.path), "main", f"{line.base}:refs/heads/release/v1.0")
    line.pick(0)
    pack = subprocess.run(
        ["git", "pack-objects", "--stdout", "--revs", "--thin"], cwd=line.repo.path, check=True, capture_output=True,
        input=f"{line.tip}\n^{line.base}\n".encode(),
    ).stdout  # fmt: skip
    quarantine = tmp_path / "quarantine"
    (quarantine / "pack").mkdir(parents=True)
    env = {"GIT_OBJECT_DIRECTORY": str(quarantine), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(bare.path / "objects")}
    subprocess.run(
        ["git", "unpack-objects", "-q"], cwd=bare.path, check=True, input=pack, env={"PATH": "/usr/bin:/bin", **env}
    )
    with Scratch.open(bare.path / "objects", None, quarantine) as scratch:
        part = Part(version="", commits=new_commits(scratch, line.base, line.tip))
        found = prove(scratch, [part], base=line.base, tips=[bare.rev("main")])
    assert kinds(found) == line.expected
