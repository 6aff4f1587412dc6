"""Files that are not picked: what is left of a commit, and what becomes of a pick by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.git.merge.excluded import part_of
from orchestrator.git.repository import Repository
from tests.support.cli import Ran, release
from tests.support.remedies import said, works
from tests.support.story import Repo, lines

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.history


def test_what_is_left_of_a_commit(tale: Story) -> None:
    """Added, changed, removed, moved, of another mode, a file that became a folder and a folder that became a file."""
    clone = tale.clone
    before = clone.commit(
        "feat: many",
        {
            "a/one.txt": "1\n",
            "a/two.txt": "2\n",
            "b.txt": "b\n",
            "c": "c\n",
            "d/x": "x\n",
            "run.sh": "#!\n",
            "ä ö": "1",
        },
    )
    clone.git("rm", "--quiet", "b.txt", "c", "d/x", "a/one.txt")
    (clone.path / "run.sh").chmod(0o755)
    after = clone.commit(
        "fix: all\n\nwhy",
        {"a/two.txt": "2!\n", "moved/b.txt": "b\n", "c/in": "c\n", "d": "d\n", "run.sh": "#!\n", "ä ö": "2"},
    )
    with Repository.discover(clone.path).scratch() as scratch:
        commit = scratch.commit(after)

        def left(*patterns: str) -> dict[str, str]:
            part = part_of(scratch, commit, before, patterns)
            assert part
            assert (part.commit.author, part.commit.message) == (commit.author, commit.message)
            assert part.commit.parents == (before,)
            again = part_of(scratch, commit, before, patterns)
            assert again == part
            return changed(part.commit.tree)

        def changed(tree: str) -> dict[str, str]:
            rows = scratch.git.run("diff-tree", "-r", "-z", "--name-status", before, tree).fields()
            return dict(zip(rows[1::2], rows[::2], strict=True))

        whole = changed(commit.tree)
        assert whole == {"a/one.txt": "D", "a/two.txt": "M", "b.txt": "D", "c": "D", "c/in": "A", "d": "A", "d/x": "D",
                         "moved/b.txt": "A", "run.sh": "M", "ä ö": "M"}  # fmt: skip
        for patterns, out in {
            ("a/",): ("a/one.txt", "a/two.txt"),
            ("*.txt",): ("a/one.txt", "a/two.txt", "b.txt", "moved/b.txt"),
            ("moved/b.txt", "run.sh"): ("moved/b.txt", "run.sh"),
            ("c",): ("c", "c/in"),
            ("c/in",): ("c/in",),
            ("/d/x",): ("d/x", "d"),  # the folder stays, so there is no room for the file
            ("/ä ?",): ("ä ö",),
            ("/a/*", "nowhere"): ("a/one.txt", "a/two.txt"),
        }.items():
            assert left(*patterns) == {path: how for path, how in whole.items() if path not in out}, patterns
        assert part_of(scratch, commit, before, ("nowhere", "*.md")) is None
        nothing = part_of(scratch, commit, before, ("*",))
        assert nothing
        assert (nothing.is_empty, nothing.without) == (True, ("*",))
        root = scratch.commit(tale.base)
        part = part_of(scratch, root, "", ("*.py",))
        assert part
        assert sorted(each.path for each in scratch.entries(part.commit.tree)) == ["Dockerfile", "README.md"]


@pytest.fixture
def noted(tale: Story) -> tuple[Story, str, str]:
    """Two fixes that add to the same news, which the branch has not; the second one conflicts in its file, too."""
    clone = tale.clone
    clone.commit("feat: words", {"words.txt": lines(9), "NEWS": "old\n"})
    first = clone.commit("fix: a new file", {"new.py": "NEW = 1\n", "NEWS": "first\nold\n", ".ci/x.yml": "on: push\n"})
    second = clone.commit("fix: words", {"words.txt": lines(9, l4="four"), "NEWS": "second\nfirst\nold\n"})
    clone.git("push", "--quiet", "origin", "main")
    return tale, first, second


def planned(tale: Story) -> Ran:
    return release("plan", "v2.7.1", "--json", "--effort", "0", cwd=tale.clone.path)


def test_a_conflict_in_what_is_excluded_is_none(noted: tuple[Story, str, str]) -> None:
    tale, first, second = noted
    tale.release_yaml(f"      - commit: {first}\n      - commit: {second}")
    assert [each["state"] for each in planned(tale).json["picks"]] == ["conflict", "conflict"]
    tale.release_yaml(f"      - commit: {first}\n      - commit: {second}", extra="exclude: [NEWS]\n")
    plan = planned(tale).json
    assert [each["state"] for each in plan["picks"]] == ["clean", "conflict"]
    assert [each["path"] for each in plan["picks"][1]["conflicts"]] == ["words.txt"]
    shown = release("plan", "v2.7.1", "--effort", "0", cwd=tale.clone.path).out
    assert shown.count("       without NEWS\n") == 2


@pytest.mark.wide
def test_a_person_resolves_what_is_left(noted: tuple[Story, str, str]) -> None:
    """The worktree has nothing of what is excluded; what is brought from there is refused; a command takes it out."""
    tale, first, second = noted
    clone = tale.clone
    tale.release_yaml(
        f"      - commit: {first}\n      - {{commit: {second}, exclude: [NEWS]}}", extra="exclude: [NEWS]\n"
    )
    paused = release("cut", "v2.7.1", "--yes", "--effort", "0", cwd=clone.path)
    assert paused.code == 3, paused.err
    assert "conflicts in words.txt [conflict]" in paused.err
    tree = Repo(clone.path / ".git/release/v2.7.1/worktree")
    assert not (tree.path / "NEWS").exists()
    tree.write("words.txt", "four\n")
    tree.write("NEWS", "second\n")
    tree.git("add", "words.txt", "NEWS")
    refused = release("continue", "v2.7.1", "--yes", cwd=clone.path)
    assert "the resolution changes NEWS, which neither the fix nor the conflict touches" in refused.err
    works(said(refused, "cd ").replace("continue v2.7.1", "continue v2.7.1 --yes"), clone.path)
    assert not (tree.path / "NEWS").exists()
    message = clone.git("cat-file", "tag", "v2.7.1")
    assert f"Pick: adapted {second} {clone.rev('v2.7.1~1')}\nWithout: NEWS" in message
    assert release("verify", "v2.7.1", cwd=clone.path).code == 0


@pytest.mark.wide
def test_nothing_left_is_said_in_one_line(noted: tuple[Story, str, str]) -> None:
    tale, first, _ = noted
    every = "exclude: ['*.py', NEWS, .ci/**, docs/]\n"
    tale.release_yaml(f"      - commit: {first}", extra=every)
    plan = planned(tale)
    (problem,) = plan.json["problems"]
    assert (plan.code, problem["code"]) == (5, "excluded-pick")
    assert "changes nothing but what is excluded (*.py, NEWS, .ci/**)" in problem["message"]
    tale.release_yaml(
        f"      - {{commit: {first}, allow: [empty]}}\n      - commit: {tale.fix}",
        extra="exclude: ['/new.py', NEWS, .ci/]\n",
    )
    assert planned(tale).json["problems"] == []
    assert [each["state"] for each in planned(tale).json["picks"]] == ["empty", "clean"]


@pytest.mark.wide
@pytest.mark.parametrize("how", ["whole", "part", "by another id"])
def test_what_is_there_already(noted: tuple[Story, str, str], how: str) -> None:
    """The whole fix is on the branch, or what is left of it, or the same without a word of where it is from."""
    tale, first, _ = noted
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    text = "fix: a new file" if how == "by another id" else f"fix: a new file\n\n(cherry picked from commit {first})"
    files: dict[str, str | bytes | None] = {"new.py": "NEW = 1\n"}
    clone.commit(text, files | ({"NEWS": "first\n", ".ci/x.yml": "on: push\n"} if how == "whole" else {}))
    clone.git("checkout", "--quiet", "main")
    clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.release_yaml(f"      - {{commit: {first}, exclude: [NEWS, .ci/]}}")
    (pick,) = planned(tale).json["picks"]
    assert (pick["state"], pick["duplicate_of"]) == ("duplicate", clone.rev("release/v2.7"))


def test_a_backport_and_a_merge_without_files(noted: tuple[Story, str, str]) -> None:
    tale, _, second = noted
    clone = tale.clone
    clone.git("checkout", "--quiet", "-b", "hand", "release/v2.7")
    hand = clone.commit("fix: words, here", {"here.txt": "four\n", "NEWS": "hand\n"})
    clone.git("checkout", "--quiet", "-b", "side", "main")
    clone.commit("fix: one", {"side.py": "1\n", "NEWS": "side\n"})
    clone.git("checkout", "--quiet", "main")
    clone.minutes += 1
    clone.git("merge", "--quiet", "--no-ff", "-m", "Merge the side", "side")
    clone.git("push", "--quiet", "origin", "main", "hand")
    merge = clone.rev("main")
    tale.release_yaml(
        f"      - {{commit: {second}, backport: {hand}}}\n      - {{commit: {merge}, mainline: 1}}",
        extra="exclude: [NEWS]\n",
    )
    done = release("cut", "v2.7.1", "--yes", cwd=clone.path)
    assert done.code == 0, done.err
    assert set(clone.git("diff", "--name-only", tale.base, "v2.7.1").split()) == {
        "here.txt", "side.py", "release.yaml", "CHANGELOG.md"
    }  # fmt: skip
    for judge in (("audit",), ("verify", "v2.7.1"), ("publish", "v2.7.1")):
        ran = release(*judge, cwd=clone.path)
        assert ran.code == 0, (judge, ran.out, ran.err)
