"""Is a change on the branch already?  Told by what the tree holds, and why it does not hold the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.declaration import Fix
from orchestrator.core.results import Place
from orchestrator.git.scratch import Scratch
from orchestrator.picks.classify import Classification, Judge
from orchestrator.picks.equivalents import MERGE, ORIGIN, TRAILER
from orchestrator.picks.presence import is_changelog
from orchestrator.picks.sources import Source
from tests.support.story import Repo, lines, make_repo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.history
BRANCH = "release/v2.7"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """`main` and the branch both hold forty lines in data.txt and four in other.txt."""
    repo = make_repo(tmp_path / "clone")
    repo.commit("feat: start", {"data.txt": lines(40), "other.txt": lines(4)})
    repo.git("branch", BRANCH)
    return repo


def picked(
    repo: Repo, *shas: str, options: tuple[str, ...] = ("-x",), adapt: dict[str, str | bytes | None] | None = None
) -> str:
    """Picks on the branch, the last one as a person adapted it; back on main."""
    repo.git("checkout", "--quiet", BRANCH)
    for sha in shas:
        done = repo.attempt("cherry-pick", *options, sha)
        assert done.returncode == 0 or adapt
    if adapt:
        message = repo.git("log", "-1", "--format=%B", shas[-1]) + f"\n\n(cherry picked from commit {shas[-1]})"
        repo.git("cherry-pick", "--abort") if (repo.path / ".git/CHERRY_PICK_HEAD").exists() else None
        repo.commit(message, adapt)
    made = repo.rev("HEAD")
    repo.git("checkout", "--quiet", "main")
    return made


def by_hand(repo: Repo, message: str, files: dict[str, str | bytes | None]) -> str:
    repo.git("checkout", "--quiet", BRANCH)
    made = repo.commit(message, files)
    repo.git("checkout", "--quiet", "main")
    return made


def judged(repo: Repo, sha: str, *, mainline: int = 0, again: bool = False) -> Classification:
    with Scratch.open(repo.path / ".git/objects") as scratch:
        commit = scratch.commit(sha)
        fix = Fix(place=Place(file="release.yaml"), commit=sha, mainline=mainline, again=again)
        source = Source(fix=fix, commit=commit, parent=commit.parents[max(mainline, 1) - 1])
        base = repo.rev(BRANCH)
        return Judge(scratch, base, [source], {}).judge(source, base)


def state(repo: Repo, sha: str, **options: object) -> str:
    return str(judged(repo, sha, **options).pick.state)  # type: ignore[arg-type]  # mainline, again


def conflicts_because(repo: Repo, sha: str, why: str) -> None:
    verdict = judged(repo, sha)
    assert str(verdict.pick.state) == "conflict"
    assert why in verdict.problems[0].message, verdict.problems[0].message


def test_written_over_by_hand(repo: Repo) -> None:
    fix = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    picked(repo, fix)
    assert state(repo, fix) == "duplicate"
    hand = by_hand(repo, "chore: the other way round", {"data.txt": lines(40, l2="a", l3="b", l4="c")})
    conflicts_because(repo, fix, f"{hand[:12]} 'chore: the other way round' wrote over that")


def test_taken_back_by_hand_among_other_things(repo: Repo) -> None:
    """No message says so and no file is as it was: the line alone is gone."""
    fix = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    picked(repo, fix)
    by_hand(repo, "chore: as it was, and more", {"data.txt": lines(40, l2="drift", l4="drift")})
    conflicts_because(repo, fix, "wrote over that")


def test_most_of_it_stands(repo: Repo) -> None:
    """A line of four was changed by hand: the fix is there, and three quarters of it would conflict for nothing."""
    fix = repo.commit("fix: many", {"data.txt": lines(40, l3="three", l4="four", l5="five", l6="six")})
    picked(repo, fix)
    by_hand(repo, "chore: one of them", {"data.txt": lines(40, l3="three", l4="four", l5="fifth", l6="six")})
    assert state(repo, fix) == "duplicate"


def test_amended_by_a_later_pick(repo: Repo) -> None:
    first = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    second = repo.commit("fix: three and more", {"data.txt": lines(40, l3="three and more")})
    picked(repo, first, second)
    assert state(repo, first) == "duplicate"
    by_hand(repo, "chore(release): v2.7.1", {"VERSION": "2.7.1\n"})
    assert state(repo, first) == "duplicate"


@pytest.mark.wide
def test_in_adapted_words(repo: Repo) -> None:
    """A person resolved the conflict, and nobody touched it since: also where files around it changed."""
    repo.commit("refactor: three", {"data.txt": lines(40, l2="main", l3="main has this", l4="main")})
    fix = repo.commit("fix: three", {"data.txt": lines(40, l2="main", l3="main has max(this)", l4="main")})
    picked(repo, fix, adapt={"data.txt": lines(40, l3="the branch has max(line 3)")})
    assert state(repo, fix) == "duplicate"
    by_hand(repo, "chore: elsewhere", {"data.txt": lines(40, l3="the branch has max(line 3)", l30="thirty")})
    assert state(repo, fix) == "duplicate"
    by_hand(repo, "chore: back", {"data.txt": lines(40, l2="drift", l30="thirty")})
    conflicts_because(repo, fix, "wrote over that")


def test_renamed_on_the_branch(repo: Repo) -> None:
    fix = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    picked(repo, fix)
    repo.git("checkout", "--quiet", BRANCH)
    repo.git("mv", "data.txt", "names.txt")
    repo.commit("chore: another name", {})
    repo.git("checkout", "--quiet", "main")
    assert state(repo, fix) in ("duplicate", "empty")


def test_the_file_was_taken_away(repo: Repo) -> None:
    fix = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    picked(repo, fix)
    repo.git("checkout", "--quiet", BRANCH)
    repo.git("rm", "--quiet", "data.txt")
    repo.commit("chore: no data any more", {})
    repo.git("checkout", "--quiet", "main")
    conflicts_because(repo, fix, "'chore: no data any more' wrote over that")


def test_two_commits_of_one_origin(repo: Repo) -> None:
    """Both name it, and each has another part of it: the second is not there because the first is."""
    origin = "0123456789" * 4
    first = repo.commit(f"fix: part one\n\n(cherry picked from commit {origin})", {"data.txt": lines(40, l3="one")})
    repo.commit("refactor: thirty", {"data.txt": lines(40, l3="one", l30="thirty")})
    second = repo.commit(
        f"fix: part two\n\n(cherry picked from commit {origin})",
        {"data.txt": lines(40, l3="one", l30="thirty and two")},
    )
    picked(repo, first)
    assert state(repo, second) == "conflict"
    assert state(repo, first) == "duplicate"
    by_hand(repo, f"fix: part two, here\n\n(cherry picked from commit {origin})",
            {"data.txt": lines(40, l3="one", l30="thirty and two")})  # fmt: skip
    found = judged(repo, second).pick
    assert (str(found.state), ORIGIN in found.duplicate_by or TRAILER in found.duplicate_by) == ("duplicate", True)


def test_half_of_it_was_picked(repo: Repo) -> None:
    """A part, as it is, without a conflict: the rest goes in, or conflicts and says so; both halves are all of it."""
    fix = repo.commit("fix: both", {"data.txt": lines(40, l3="three"), "other.txt": lines(4, l1="one")})
    half = f"fix: both\n\n(cherry picked from commit {fix})"
    by_hand(repo, half, {"data.txt": lines(40, l3="three")})
    assert state(repo, fix) == "clean"
    hand = by_hand(repo, "chore: drift", {"other.txt": lines(4, l0="drift", l1="drift", l2="drift")})
    conflicts_because(repo, fix, "brought only a part of it")
    repo.git("update-ref", f"refs/heads/{BRANCH}", f"{hand}^")
    by_hand(repo, half, {"other.txt": lines(4, l1="one")})
    assert state(repo, fix) in ("duplicate", "empty")


def test_left_out_at_a_conflict_is_no_half(repo: Repo) -> None:
    """What a person resolved is the whole of it, though a line of the source is not there."""
    repo.commit("refactor: other", {"other.txt": lines(4, l0="main", l1="main", l2="main")})
    fix = repo.commit(
        "fix: both", {"data.txt": lines(40, l3="three"), "other.txt": lines(4, l0="main", l1="main's one", l2="main")}
    )
    picked(repo, fix, adapt={"data.txt": lines(40, l3="three")})
    assert state(repo, fix) == "duplicate"


def test_a_reland_is_no_duplicate_of_what_was_taken_back(repo: Repo) -> None:
    """The fix and its revert were picked; the revert names the fix of main, not its pick."""
    fix = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    repo.git("revert", "--no-edit", fix)
    revert = repo.rev("HEAD")
    repo.git("revert", "--no-edit", revert)
    reland = repo.rev("HEAD")
    picked(repo, fix, revert)
    assert [state(repo, sha) for sha in (fix, revert, reland)] == ["clean", "duplicate", "clean"]
    by_hand(repo, "chore: drift", {"data.txt": lines(40, l2="drift", l4="drift")})
    assert [state(repo, sha) for sha in (fix, reland)] == ["conflict", "conflict"]


def test_a_reland_that_was_picked_brings_the_fix_back(repo: Repo) -> None:
    fix = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    repo.git("revert", "--no-edit", fix)
    revert = repo.rev("HEAD")
    repo.git("revert", "--no-edit", revert)
    reland = repo.rev("HEAD")
    picked(repo, fix, revert, reland)
    assert [state(repo, sha) for sha in (fix, reland)] == ["duplicate", "duplicate"]


def test_one_of_two_squashed_picks_was_taken_back(repo: Repo) -> None:
    one = repo.commit("fix: one", {"data.txt": lines(40, l3="three")})
    two = repo.commit("fix: two", {"other.txt": lines(4, l1="two")})
    message = f"fix: both\n\n(cherry picked from commit {one})\n(cherry picked from commit {two})"
    by_hand(repo, message, {"data.txt": lines(40, l3="three"), "other.txt": lines(4, l1="two")})
    assert [state(repo, sha) for sha in (one, two)] == ["duplicate", "duplicate"]
    by_hand(repo, f'Revert "fix: one"\n\nThis reverts commit {one}.', {"data.txt": lines(40)})
    assert [state(repo, sha) for sha in (one, two)] == ["clean", "duplicate"]


@pytest.fixture
def merged(repo: Repo) -> tuple[Repo, str, str, str]:
    """A pull request of two commits of one line, and its merge, which is picked with mainline 1."""
    repo.git("checkout", "--quiet", "-b", "pull")
    first = repo.commit("fix: a", {"data.txt": lines(40, l3="three")})
    second = repo.commit("fix: b", {"data.txt": lines(40, l3="three, better")})
    repo.git("checkout", "--quiet", "main")
    repo.commit("feat: other", {"other.txt": lines(4, l1="other")})
    repo.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #7", "pull")
    merge = repo.rev("HEAD")
    picked(repo, merge, options=("-x", "-m", "1"))
    return repo, first, second, merge


def test_what_a_picked_merge_brought(merged: tuple[Repo, str, str, str]) -> None:
    repo, first, second, merge = merged
    assert [state(repo, sha) for sha in (first, second)] == ["duplicate", "duplicate"]
    assert judged(repo, first).pick.duplicate_by == (MERGE,)
    assert state(repo, merge, mainline=1) == "duplicate"
    other = repo.rev(f"{merge}^1")
    assert state(repo, other) == "clean", "the other side of the merge did not come"


def test_a_picked_merge_that_was_taken_back(merged: tuple[Repo, str, str, str]) -> None:
    repo, first, second, merge = merged
    repo.git("revert", "--no-edit", "-m", "1", merge)
    picked(repo, repo.rev("HEAD"))
    assert [state(repo, sha) for sha in (first, second)] == ["clean", "conflict"]
    assert state(repo, merge, mainline=1) == "clean"


def test_a_merge_on_the_branch_that_was_taken_back(repo: Repo) -> None:
    fix = repo.commit("fix: three", {"data.txt": lines(40, l3="three")})
    repo.git("checkout", "--quiet", "-b", "backport", BRANCH)
    repo.git("cherry-pick", "-x", fix)
    repo.git("checkout", "--quiet", BRANCH)
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", "backport")
    repo.git("checkout", "--quiet", "main")
    assert state(repo, fix) == "duplicate"
    repo.git("checkout", "--quiet", BRANCH)
    repo.git("revert", "--no-edit", "-m", "1", "HEAD")
    repo.git("checkout", "--quiet", "main")
    assert state(repo, fix) == "clean"
    by_hand(repo, "chore: drift", {"data.txt": lines(40, l2="drift", l4="drift")})
    assert state(repo, fix) == "conflict"


def test_again_overrules(repo: Repo) -> None:
    """git would put a line in a second time; a person may want that, and must say so."""
    fix = repo.commit("fix: one more", {"data.txt": lines(40) + "more\n"})
    picked(repo, fix)
    by_hand(repo, "chore: a tail", {"data.txt": lines(40) + "more\n" + lines(3, l0="a", l1="b", l2="c")})
    assert state(repo, fix) in ("duplicate", "empty")
    by_hand(repo, "chore: drift", {"data.txt": lines(40, l38="x", l39="y") + "more\n"})
    assert [state(repo, fix), state(repo, fix, again=True)] == ["duplicate", "conflict"]


@pytest.mark.parametrize(
    ("path", "is_one"),
    [("CHANGELOG.md", True), ("docs/changes.rst", True), ("NEWS", True), ("History.md", True), ("ChangeLog", True),
     ("RELEASE-NOTES.txt", True), ("src/changelog_parser.py", False), ("newsletter.md", False)],
)  # fmt: skip
def test_names_of_changelogs(path: str, is_one: bool) -> None:
    assert is_changelog(path) is is_one
