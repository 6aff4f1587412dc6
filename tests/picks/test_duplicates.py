"""`release duplicates`: what a branch brings that the release branch has already, by which signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import lines

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.history


@pytest.fixture
def branches(tale: Story) -> Story:
    """`main` and `release/v2.7` both hold data.txt; release.yaml declares nothing."""
    tale.declare("version: 1\nbranch: release/v2.7\nsource: main\n")
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: data", {"data.txt": lines(40)})
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-edit", "release/v2.7")
    return tale


def publish(tale: Story) -> None:
    tale.clone.git("push", "--quiet", "--force", "origin", "main", "release/v2.7")


def ask(tale: Story, *args: str) -> tuple[int, list[tuple[str, str, list[str]]]]:
    ran = release("duplicates", *args, "--json", cwd=tale.clone.path)
    return ran.code, [(each["commit"], each["duplicate_of"], each["signals"]) for each in ran.json["duplicates"]]


def pick(tale: Story, sha: str, *options: str) -> str:
    """A plain cherry-pick onto the release branch; back on main afterwards."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("cherry-pick", *options, sha)
    made = clone.rev("HEAD")
    clone.git("checkout", "--quiet", "main")
    return made


def test_none(branches: Story) -> None:
    publish(branches)
    ran = release("duplicates", cwd=branches.clone.path)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "0 of 1 commits of origin/main are on release/v2.7 already")


def test_each_signal(branches: Story) -> None:
    """A plain pick, one with `-x`, one whose surroundings differ, and one that a person adapted under `-x`."""
    clone = branches.clone
    plain = clone.commit("fix: one", {"data.txt": lines(40, l3="three")})
    named = clone.commit("fix: two", {"data.txt": lines(40, l3="three", l12="twelve")})
    clone.commit("feat: not to be picked", {"data.txt": lines(40, l3="three", l12="twelve", l22="new")})
    moved = clone.commit("fix: three", {"data.txt": lines(40, l3="three", l12="twelve", l22="new", l24="four")})
    adapted = clone.commit("fix: four", {"other.txt": "main's way\n"})
    one, two = pick(branches, plain), pick(branches, named, "-x")
    clone.git("checkout", "--quiet", "release/v2.7")
    three = clone.commit("fix: three", {"data.txt": lines(40, l3="three", l12="twelve", l24="four")})
    four = clone.commit(f"fix: four\n\n(cherry picked from commit {adapted})", {"other.txt": "the branch's way\n"})
    clone.git("checkout", "--quiet", "main")
    publish(branches)
    expected = [
        (plain, one, ["patch-id"]),
        (named, two, ["trailer", "patch-id"]),
        (moved, three, ["zero-context patch-id"]),
        (adapted, four, ["trailer"]),
    ]
    assert ask(branches) == (9, expected)
    assert ask(branches) == (9, expected), "from the cache"
    assert ask(branches, f"{plain}..main")[1] == expected[1:]
    assert ask(branches, "main")[1] == expected


@pytest.mark.wide
def test_a_revert_on_the_branch_and_its_revert(branches: Story) -> None:
    fix = branches.clone.commit("fix: one", {"data.txt": lines(40, l3="three")})
    made = pick(branches, fix, "-x")
    clone = branches.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("checkout", "--quiet", "main")
    publish(branches)
    assert ask(branches) == (0, [])
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("revert", "--no-edit", "HEAD")
    clone.git("checkout", "--quiet", "main")
    publish(branches)
    assert ask(branches) == (9, [(fix, made, ["trailer", "patch-id"])])


def test_a_pick_taken_back_by_hand_is_not_there(branches: Story) -> None:
    clone = branches.clone
    fix = clone.commit("fix: one", {"data.txt": lines(40, l3="three")})
    pick(branches, fix)
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: as it was", {"data.txt": lines(40)})
    clone.git("checkout", "--quiet", "main")
    publish(branches)
    assert ask(branches) == (0, [])


def test_through_a_merge_on_the_branch_and_a_chain_of_picks(branches: Story) -> None:
    """The pick came by a merged topic branch; its source was itself a pick, and the original counts as well."""
    clone = branches.clone
    clone.git("checkout", "--quiet", "-b", "lts", "main")
    first = clone.commit("fix: one", {"data.txt": lines(40, l3="three")})
    clone.git("checkout", "--quiet", "main")
    clone.git("cherry-pick", "-x", first)
    second = clone.rev("HEAD")
    clone.git("checkout", "--quiet", "-b", "backport", "release/v2.7")
    clone.git("cherry-pick", "-x", second)
    third = clone.rev("HEAD")
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("merge", "--quiet", "--no-ff", "--no-edit", "backport")
    clone.git("checkout", "--quiet", "main")
    publish(branches)
    assert ask(branches) == (9, [(second, third, ["trailer", "patch-id"])])
    assert ask(branches, "main..lts") == (9, [(first, third, ["trailer", "patch-id"])])


def test_what_is_no_duplicate(branches: Story) -> None:
    """The same words in another file, and half of a change, are other changes."""
    clone = branches.clone
    clone.commit("fix: both", {"a.txt": "x\n", "b.txt": "x\n"})
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("fix: both", {"a.txt": "x\n"})
    clone.commit("fix: elsewhere", {"c.txt": "x\n"})
    clone.git("checkout", "--quiet", "main")
    publish(branches)
    assert ask(branches) == (0, [])


def test_what_was_made_on_the_branch_hides_nothing_below_it(branches: Story) -> None:
    """A backport, and a fix of its own branch, that stand on the tip which a pick by hand made."""
    clone = branches.clone
    fix = clone.commit("fix: one", {"data.txt": lines(40, l3="three")})
    large = clone.commit("fix: two", {"data.txt": lines(40, l3="three", l12="twelve", l13="more")})
    by_hand = pick(branches, fix, "-x")
    clone.git("checkout", "--quiet", "-b", "backports", "release/v2.7")
    backport = clone.commit("fix: two, for 2.7", {"data.txt": lines(40, l3="three", l12="twelve")})
    clone.git("checkout", "--quiet", "-b", "topic", "release/v2.7")
    own = clone.commit("fix: only there", {"own.txt": "x\n"})
    clone.git("checkout", "--quiet", "main")
    publish(branches)
    clone.git("push", "--quiet", "origin", "backports", "topic")
    allowed = f"      - {{commit: {fix}, allow: [duplicate]}}\n"
    for other in (f"{{commit: {large}, backport: {backport}}}", f"{{commit: {own}}}"):
        branches.release_yaml(f"{allowed}      - {other}")
        planned = release("plan", "v2.7.1", "--json", cwd=clone.path).json
        assert planned["problems"] == []
        assert planned["picks"][0]["duplicate_of"] == by_hand
        assert planned["picks"][1]["result"]


@pytest.mark.wide
def test_a_fix_that_lived_on_a_topic_branch_is_found_when_that_branch_is_merged(tale: Story) -> None:
    """Part 5: released from the topic branch; later the branch comes to main rebased, under other ids."""
    tale.release_yaml(f"      - commit: {tale.fix}")
    cut = release("cut", "v2.7.1", "--yes", "--json", cwd=tale.clone.path)
    assert cut.code == 0, cut.err
    clone = tale.clone
    clone.git("checkout", "--quiet", "-b", "rebased", "main")
    clone.commit("docs: unrelated", {"README.md": "# image\n\nmore and more\n"})
    clone.git("cherry-pick", tale.before, tale.fix)
    came = clone.rev("HEAD")
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-ff", "--no-edit", "rebased")
    clone.git("branch", "-D", "fix/dataloader-leak")
    code, found = ask(tale, "main")
    assert code == 9
    assert [(commit, signals) for commit, _, signals in found] == [(came, ["patch-id"])]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("main..main~1", "range main..main~1 has no commits"),
        ("main..main", "range main..main has no commits"),
        ("nowhere", "revision 'nowhere' names no commit of this clone"),
        ("main...release/v2.7", "main...release/v2.7 is a symmetric difference"),
        ("--upload-pack=x", "No such option"),
    ],
)
def test_bad_ranges(branches: Story, wanted: str, says: str) -> None:
    publish(branches)
    ran = release("duplicates", wanted, cwd=branches.clone.path)
    assert ran.code == 2
    assert says in ran.err
    assert "Traceback" not in ran.err
