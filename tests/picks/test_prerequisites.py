"""What a conflicting pick needs: told by `plan`, declared by `plan --write`, said where a cut pauses."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from orchestrator.git.scratch import Scratch
from orchestrator.picks.prerequisites import Finder, Needs
from tests.replay.replaying import source
from tests.support.cli import release
from tests.support.story import LOADER, Story, lines

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.history


@pytest.fixture
def tale(tale: Story) -> Story:
    """The story, with a file of sixty lines on both branches."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: data", {"data.txt": lines(60)})
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-edit", "release/v2.7")
    return tale


def needs(tale: Story, fix: str, *, effort: float = 10.0, clock: Callable[[], float] | None = None) -> Needs:
    """What the fix needs on the release branch, where it does conflict."""
    tip = tale.clone.rev("release/v2.7")
    with Scratch.open(tale.clone.path / ".git/objects") as scratch:
        one = source(scratch, fix)
        merge = scratch.pick(base=scratch.tree_of(one.parent), ours=scratch.tree_of(tip), theirs=one.commit.tree)
        assert merge.conflicts
        finder = Finder(scratch, tip, effort=effort, clock=clock or time.monotonic)
        return finder.find(one, tip, [each.path for each in merge.conflicts])


def test_the_same_line(tale: Story) -> None:
    first = tale.clone.commit("fix: one", {"data.txt": lines(60, l9="nine")})
    tale.clone.commit("docs: other", {"other.txt": "x\n"})
    assert needs(tale, tale.clone.commit("fix: two", {"data.txt": lines(60, l9="nine and a half")})).commits == (first,)


def test_a_line_that_is_gone_on_the_source(tale: Story) -> None:
    """Blame of what is there cannot name who took something away."""
    gone = lines(60).replace("line 20\nline 21\n", "")
    first = tale.clone.commit("refactor: shorter", {"data.txt": gone})
    fix = tale.clone.commit("fix: two", {"data.txt": gone.replace("line 19\n", "line 19\nnew\n")})
    assert needs(tale, fix).commits == (first,)


def test_two_of_which_one_needs_the_other(tale: Story) -> None:
    first = tale.clone.commit("fix: one", {"data.txt": lines(60, l9="nine")})
    second = tale.clone.commit("fix: two", {"data.txt": lines(60, l9="nine", l10="ten")})
    fix = tale.clone.commit("fix: three", {"data.txt": lines(60, l9="nine", l10="ten and more")})
    assert needs(tale, fix).commits == (first, second)


def test_a_file_that_the_branch_lacks(tale: Story) -> None:
    first = tale.clone.commit("fix: new file", {"new.txt": "one\ntwo\n"})
    fix = tale.clone.commit("fix: new file", {"new.txt": "one\ntwo, right\n"})
    assert needs(tale, fix).commits == (first,)


def test_a_file_that_has_another_name_and_another_content(tale: Story) -> None:
    clone = tale.clone
    clone.git("mv", "data.txt", "moved.txt")
    first = clone.commit("refactor: move", {"moved.txt": lines(60, l9="nine")})
    fix = clone.commit("fix: two", {"moved.txt": lines(60, l9="nine and a half")})
    assert needs(tale, fix).commits == (first,)


def test_what_is_there_under_another_id_is_not_named(tale: Story) -> None:
    clone = tale.clone
    first = clone.commit("fix: one", {"data.txt": lines(60, l9="nine")})
    second = clone.commit("fix: two", {"data.txt": lines(60, l9="nine", l10="ten")})
    fix = clone.commit("fix: three", {"data.txt": lines(60, l9="nine", l10="ten and more")})
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("cherry-pick", first)
    clone.git("checkout", "--quiet", "main")
    assert needs(tale, fix).commits == (second,)


def test_no_proof_names_what_is_near(tale: Story) -> None:
    """The branch went its own way in these very lines: nothing from the source helps."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: own way", {"data.txt": lines(60, l9="own", l10="way")})
    clone.git("checkout", "--quiet", "main")
    first = clone.commit("fix: one", {"data.txt": lines(60, l9="nine")})
    found = needs(tale, clone.commit("fix: two", {"data.txt": lines(60, l9="nine and a half")}))
    assert (found.commits, found.near, found.complete) == ((), (first,), True)
    assert found.tried > 0


def test_the_time_runs_out(tale: Story) -> None:
    tale.clone.commit("fix: one", {"data.txt": lines(60, l9="nine")})
    fix = tale.clone.commit("fix: two", {"data.txt": lines(60, l9="nine and a half")})
    ticks = itertools.count(step=4.0)
    found = needs(tale, fix, clock=lambda: next(ticks))
    assert not found.complete
    assert not found.proved
    assert needs(tale, fix, effort=0) == Needs(complete=False)


@pytest.fixture
def lacking(tale: Story) -> tuple[Story, str]:
    """A fix that builds on the story's fix is declared alone; (story, its id)."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "fix/dataloader-leak")
    closed = (clone.path / "loader.py").read_text()
    assert closed != LOADER
    fix = clone.commit("fix(loader): twice", {"loader.py": closed.replace("# closed", "# closed twice")})
    clone.git("checkout", "--quiet", "main")
    tale.release_yaml(f"      - commit: {fix}\n        reason: because")
    return tale, fix


@pytest.mark.wide
def test_plan_tells_and_write_declares(lacking: tuple[Story, str]) -> None:
    tale, fix = lacking
    plan = release("plan", "--json", cwd=tale.clone.path)
    assert plan.code == 5
    assert plan.json["picks"][0]["prerequisites"] == [tale.fix]
    assert plan.json["problems"][0]["code"] == "missing-prerequisite"
    shown = release("plan", cwd=tale.clone.path)
    assert f"         - commit: {tale.fix}\n" in shown.out
    written = release("plan", "--write", cwd=tale.clone.path)
    assert written.code == 0, written.err
    assert f"+      - commit: {tale.fix}" in written.out
    again = release("plan", "--json", cwd=tale.clone.path)
    assert [(pick["source"], pick["state"]) for pick in again.json["picks"]] == [(tale.fix, "clean"), (fix, "clean")]


def test_what_is_declared_behind_is_to_be_moved(lacking: tuple[Story, str]) -> None:
    """Declaring it a second time would be refused, so nothing to paste is shown."""
    tale, fix = lacking
    tale.release_yaml(f"      - commit: {fix}\n      - commit: {tale.fix}")
    plan = release("plan", cwd=tale.clone.path)
    assert plan.code == 5
    assert f"move {tale.fix[:12]} above it" in plan.err
    assert "--write" not in plan.out + plan.err
    assert "- commit:" not in plan.out


def test_a_cut_pauses_and_names_them(lacking: tuple[Story, str]) -> None:
    tale, _ = lacking
    cut = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert cut.code == 3
    assert tale.fix[:12] in cut.err


def test_without_effort_it_is_a_plain_conflict(lacking: tuple[Story, str]) -> None:
    tale, _ = lacking
    plan = release("plan", "--effort", "0", "--json", cwd=tale.clone.path)
    assert plan.code == 3
    assert plan.json["picks"][0]["prerequisites"] == []


@pytest.mark.parametrize("effort", ["nan", "inf", "-1", "1e9"])
def test_an_effort_that_is_none(tale: Story, effort: str) -> None:
    for command in ("plan", "cut", "candidates"):
        ran = release(command, "--effort", effort, cwd=tale.clone.path)
        assert (ran.code, "--effort" in ran.err) == (2, True)


def test_the_plan_does_not_depend_on_what_is_remembered(lacking: tuple[Story, str]) -> None:
    """A second plan starts no merge and says the same."""
    tale, _ = lacking
    first, second = (release("plan", "--json", cwd=tale.clone.path).json for _ in range(2))
    assert first == second


@pytest.mark.wide
def test_features_and_reformats_are_no_answer(tale: Story) -> None:
    """With them the fix would apply; a patch release takes neither, and `--write` leaves the file as it is."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "main")
    for first, subject, text in (("feature", "feat: a", "a = 2\n"), ("look", "chore: blanks", "a   =   1 ;\n")):
        clone.commit(f"chore: {first}", {f"{first}.py": "a = 1\n"})
        clone.git("push", "--quiet", "origin", "HEAD:release/v2.7", "--force")
        clone.commit(subject, {f"{first}.py": text})
        fix = clone.commit("fix: it", {f"{first}.py": text.replace("a", "b")})
        clone.git("push", "--quiet", "origin", "main")
        tale.release_yaml(f"      - commit: {fix}")
        before = (clone.path / "release.yaml").read_bytes()
        planned = release("plan", "v2.7.1", "--write", "--json", cwd=clone.path)
        assert planned.code == 3, planned.err
        assert planned.json["picks"][0]["prerequisites"] == []
        assert (clone.path / "release.yaml").read_bytes() == before


def test_a_conflict_in_the_changelog_alone_lacks_nothing(tale: Story) -> None:
    clone = tale.clone
    clone.git("checkout", "--quiet", "main")
    clone.commit("fix: first", {"CHANGELOG.md": "# Changelog\n\n- first\n"})
    fix = clone.commit("fix: it", {"CHANGELOG.md": "# Changelog\n\n- first\n- it\n", "it.py": "it = 1\n"})
    clone.git("push", "--quiet", "origin", "main")
    tale.release_yaml(f"      - commit: {fix}")
    planned = release("plan", "v2.7.1", "--json", cwd=clone.path)
    assert (planned.code, planned.json["picks"][0]["prerequisites"], planned.json["problems"][0]["code"]) == (
        3, [], "conflict"
    )  # fmt: skip
