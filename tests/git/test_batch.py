"""Many objects and short histories at once: the answers are git's own, without a process for each question."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from orchestrator.git.batch import made_in, outside, straight
from orchestrator.git.process import Git, Reader
from orchestrator.git.push import adopt
from orchestrator.git.repository import Repository
from orchestrator.git.trees import listed
from tests.support.story import make_repo, processes, traced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.git.scratch import Scratch
    from tests.support.story import Repo

LONG = 90  # commits: more than are looked at without git


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A long line; on its end two sides that are merged; beside it all, a history that meets it nowhere."""
    made = make_repo(tmp_path / "repo")
    seconds = 1_750_000_000
    feed = ["reset refs/heads/main\n"]
    for number in range(1, LONG + 1):
        feed.append(
            f"commit refs/heads/main\nmark :{number}\ncommitter Mia <mia@example.com> {seconds + number} +0000\n"
        )
        feed.append(f"data 1\nx\nM 100644 inline d/{number % 7}/{number}\ndata 2\n{number % 10}\n\n")
    for name, mark, end in (("left", 201, f"from :{LONG}\n"), ("right", 202, f"from :{LONG}\n"), ("alone", 203, "")):
        feed.append(f"commit refs/heads/{name}\nmark :{mark}\ncommitter Mia <mia@example.com> {seconds} +0000\n")
        feed.append(f"data 1\ny\n{end}M 100644 inline {name}\ndata 1\nz\n\n")
    feed.append(f"commit refs/heads/both\ncommitter Mia <mia@example.com> {seconds + 999} +0000\ndata 1\nm\n")
    feed.append("from :201\nmerge :202\n\n")
    made.git("fast-import", "--quiet", stdin="".join(feed))
    made.git("reset", "--quiet", "--hard")
    return made


@pytest.fixture
def repository(repo: Repo) -> Iterator[Repository]:
    found = Repository.discover(repo.path)
    yield found
    found.close()


@pytest.fixture
def scratch(repository: Repository) -> Iterator[Scratch]:
    with repository.scratch() as opened:
        yield opened


def test_what_is_outside_of_a_history_is_what_git_says(repo: Repo, scratch: Scratch) -> None:
    every, chance = repo.git("rev-list", "--all").split(), random.Random(7)  # noqa: S311 - chooses rows, no secret
    for _ in range(40):
        ids, tips = chance.sample(every, chance.choice([1, 2, 5, 20])), chance.sample(every, chance.choice([0, 1, 3]))
        wanted = set(repo.git("rev-list", *ids, "--not", *tips).split()) & set(ids)
        assert outside(scratch, ids, tips) == wanted, (ids, tips)


def test_a_near_question_takes_no_process_and_a_far_one_takes_git(
    repo: Repo, scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip, near, far, alone = (repo.rev(name) for name in ("both", "main~20", "main~80", "alone"))
    scratch.commit(tip)  # the reader is at work
    for key, value in traced(tmp_path / "trace").items():
        monkeypatch.setenv(key, value)
    assert outside(scratch, [near], [tip]) == set()
    assert outside(scratch, [near], [alone]) == {near}, "that history was read to its end"
    assert straight(scratch, repo.rev("main"), near) is not None
    assert processes(tmp_path / "trace") == 1, "that of this test, which asks where main is"
    before = processes(tmp_path / "trace")
    assert outside(scratch, [far], [tip]) == set()
    assert processes(tmp_path / "trace") == before + 1


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("main", "main~5"), ("both", "left"), ("left", "right"), ("alone", ""), ("main", ""), ("main", "main~80"),
        ("main", "main"), ("main~3", "main"),
    ],
)  # fmt: skip
def test_a_straight_line_is_gits_own(repo: Repo, scratch: Scratch, new: str, old: str) -> None:
    line = straight(scratch, repo.rev(new), repo.rev(old) if old else "")
    wanted = repo.git("rev-list", "--reverse", "--topo-order", new, *([f"^{old}"] if old else [])).split()
    is_line = (new, old) in [("main", "main~5"), ("alone", ""), ("main", "main")]
    assert line == (wanted if is_line else None)


def test_a_tree_is_listed_as_git_lists_it(repo: Repo, scratch: Scratch) -> None:
    """With names that sort oddly, modes of every kind, and a folder of folders that is left to git."""
    files: dict[str, str | bytes | None] = {name: name for name in ("a.b", "a/x", "a0", "ä/é", "run", ".gitattributes")}
    repo.commit("feat: odd", files)
    (repo.path / "link").symlink_to("run")
    repo.git("update-index", "--add", "--chmod=+x", "run")
    repo.git("update-index", "--add", "link", "--cacheinfo", f"160000,{repo.rev('HEAD')},sub")
    few = repo.git("write-tree")
    repo.commit("feat: deep", {f"deep/{number}/x": "x" for number in range(40)})
    for tree, is_read in ((few, True), (repo.rev("HEAD^{tree}"), False)):
        assert (listed(scratch, tree) is not None) is is_read
        rows = [f"{each.mode} {each.sha}\t{each.path}" for each in scratch.entries(tree)]
        told = [row.split(" ", 2) for row in repo.git("ls-tree", "-r", "-z", tree).rstrip("\0").split("\0")]
        assert rows == [f"{mode} {rest}" for mode, _, rest in told]
        assert [path for path, _ in scratch.attribute_files(tree)] == [".gitattributes"]


@pytest.mark.parametrize("is_packed", [False, True], ids=["files", "pack"])
def test_what_is_brought_into_a_clone_is_whole(
    repo: Repo, repository: Repository, scratch: Scratch, is_packed: bool
) -> None:
    main, wanted = scratch.commit(repo.rev("main")), {}
    tree = scratch.change_files(main.tree, {"new/folder/file": b"1\n", "d/0/7": b"2\n"})
    for name, parents in (("refs/release/v1/one", (main.sha,)), ("refs/release/v1/two", (main.sha, repo.rev("alone")))):
        wanted[name] = scratch.write_commit(
            tree=tree, parents=parents, author=main.author, committer=main.author, message=b"x\n"
        )
    tag = f"object {wanted['refs/release/v1/two']}\ntype commit\ntag v1\ntagger {main.author.decode()}\n\nx\n"
    wanted["refs/release/v1/tag"] = scratch.write_raw("tag", tag.encode())
    if is_packed:
        scratch.git.run("repack", "-d", "-q")  # unreachable there: this makes none
        scratch.git.run("pack-objects", "-q", str(scratch.gitdir / "objects/pack/pack"), stdin=f"{tree}\n".encode())
    assert (made_in(scratch, wanted.values()) is None) is is_packed
    adopt(repository, scratch, wanted)
    assert repository.refs("refs/release") == wanted
    assert {name: repository.ref(name) for name in wanted} == wanted
    assert "missing" not in repo.git("fsck", "--full", "--no-dangling")
    assert repo.git("show", "refs/release/v1/tag^{commit}:new/folder/file") == "1"


def test_the_reader_answers_one_question_a_line(repo: Repo, repository: Repository) -> None:
    reader = Reader(Git(repo.path))
    head = repo.rev("HEAD")
    assert reader.header("HEAD") == reader.header(head[:12]) == (head, "commit", int(repo.git("cat-file", "-s", head)))
    nothing = [reader.header(each) for each in ("HEAD\nHEAD", " ", "nothing here", "\udcff")]
    assert [*nothing, reader.content("0" * 40)] == [None] * 5
    assert reader.header("main@{upstream}") is None, "which ends git"
    ids = repo.git("rev-list", "--all").split()
    ids.insert(3, "0" * 40)
    assert [sha for sha, _, _ in reader.contents(ids)] == [sha for sha in ids if set(sha) != {"0"}]
    repo.git("update-ref", "refs/heads/later", head)
    assert reader.header("refs/heads/later"), "what was made since"
    assert repository.ref("refs/heads/gone") == ""
    reader.close()
    assert reader.header("HEAD"), "it begins again"
    reader.close()
