"""What a fix gives git for its merge: the trees of plain git, whatever the option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.revision_rules import strategy_option
from orchestrator.core.declaration import STRATEGY_OPTIONS
from orchestrator.git.repository import Repository
from tests.support.cli import release
from tests.support.story import Repo, lines, make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
WORDS = "".join(f"def function_{n}(argument):\n    return argument + {n}\n\n" for n in range(6))


@pytest.fixture
def differing(tmp_path: Path) -> tuple[Repo, str, dict[str, str]]:
    """A branch with other words, blanks, line ends and names than main; its tip; fixes by what they meet."""
    repo = make_repo(tmp_path / "clone")
    start = {name: lines(9) for name in ("both.txt", "blank.txt", "end.txt")}
    repo.commit("feat: start", {**start, "old.py": WORDS, ".gitattributes": "*.bin binary\n", "deep/er/x": "x\n"})
    repo.git("checkout", "--quiet", "-b", "release")
    repo.git("mv", "old.py", "new.py")
    other = {"both.txt": lines(9, l4="ours"), "blank.txt": lines(9, l4="line   4"), "end.txt": lines(9, l4="line 4\r")}
    tip = repo.commit("refactor: other words", {**other, "new.py": WORDS.replace("argument", "given", 7)})
    repo.git("checkout", "--quiet", "main")
    fixes: dict[str, dict[str, str | None]] = {
        "both sides": {"both.txt": lines(9, l4="theirs", l8="end")},
        "blanks": {"blank.txt": lines(9, l4="line 4  ")},
        "line ends": {"end.txt": lines(9, l4="line 4 ")},
        "a name": {"old.py": WORDS.replace("+ 5", "+ 55")},
        "one and the other": {"both.txt": lines(9, l3="theirs", l4="theirs"), "blank.txt": lines(9, l4="four")},
        "a folder": {"deep/er/x": None, "deep/er": "a file\n", "both.txt": lines(9, l1="one")},
    }
    found = {}
    for name, files in fixes.items():
        repo.git("checkout", "--quiet", "--detach", "main")
        gone = [path for path, text in files.items() if text is None]
        if gone:
            repo.git("rm", "--quiet", *gone)
        found[name] = repo.commit(f"fix: {name}", {path: text for path, text in files.items() if text is not None})
    return repo, tip, found


@pytest.mark.wide
def test_the_trees_are_those_of_plain_git(differing: tuple[Repo, str, dict[str, str]]) -> None:
    """Each option on each fix: clean where git's pick is, with that tree, and in conflict over the same paths."""
    repo, tip, fixes = differing
    hand = Repo(repo.path.parent / "plain", repo.minutes)
    repo.git("worktree", "add", "--quiet", "--detach", str(hand.path), tip)
    changed = set()
    with Repository.discover(repo.path).scratch() as scratch:
        ours = scratch.tree_of(tip)
        for name, sha in fixes.items():
            theirs, base = scratch.tree_of(sha), scratch.tree_of(scratch.commit(sha).parents[0])
            plain = scratch.pick(base=base, ours=ours, theirs=theirs)
            for option in (*STRATEGY_OPTIONS, *map(strategy_option, ("find-renames=40", "find-renames=100%"))):
                hand.git("reset", "--quiet", "--hard", tip)
                done = hand.attempt("cherry-pick", "--no-commit", f"-X{option}", sha)
                merge = scratch.pick(base=base, ours=ours, theirs=theirs, options=(option,), remember=True)
                unmerged = {row.partition("\t")[2] for row in hand.git("ls-files", "-u").splitlines()}
                assert {each.path for each in merge.conflicts} == unmerged, (name, option)
                assert bool(done.returncode) == bool(unmerged), (name, option, done.stderr)
                if not unmerged:
                    assert merge.tree == hand.git("write-tree"), (name, option)
                    assert scratch.pick(base=base, ours=ours, theirs=theirs, options=(option,), remember=True) == merge
                if merge != plain:
                    changed.add(option.partition("=")[0])
    assert changed >= {"ours", "theirs", "ignore-space-change", "ignore-all-space", "find-renames", "no-renames"}


@pytest.mark.wide
def test_a_person_resolves_what_the_option_leaves(tale: Story) -> None:
    """The worktree of the pause is merged with the option, too; who takes a side needs what an adapted pick needs."""
    clone = tale.clone
    clone.commit("feat: words", {"gone.txt": lines(9), "README.md": "# other\n"})
    fix = clone.commit("fix: words", {"gone.txt": lines(9, l4="four"), "README.md": "# fixed\n"})
    clone.git("push", "--quiet", "origin", "main")
    entry = f"      - {{commit: {fix}, strategy-option: theirs}}"
    tale.release_yaml(entry, extra="policy: {adapted-approvals: 1}\n")
    refused = release("plan", "v2.7.1", "--json", "--effort", "0", cwd=clone.path)
    assert [each["code"] for each in refused.json["problems"]] == ["conflict", "approvals-missing"]
    tale.release_yaml(entry)
    paused = release("cut", "v2.7.1", "--yes", "--effort", "0", cwd=clone.path)
    assert paused.code == 3, paused.err
    assert "conflicts in gone.txt [conflict]" in paused.err
    tree = Repo(clone.path / ".git/release/v2.7.1/worktree")
    assert (tree.path / "README.md").read_text() == "# fixed\n"
    tree.git("rm", "--quiet", "--force", "gone.txt")
    done = release("continue", "v2.7.1", "--yes", cwd=clone.path)
    assert done.code == 0, done.err
    assert clone.git("cat-file", "tag", "v2.7.1").endswith("\nStrategy-Option: theirs")
    assert release("verify", "v2.7.1", cwd=clone.path).code == 0
