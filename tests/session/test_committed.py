"""release.yaml, locks and patches as a tree has them, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import ConfigError
from orchestrator.git.repository import Repository
from orchestrator.session.committed import CommittedFiles
from tests.support.story import make_repo, processes, traced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = "version: 1\nbranch: release/v2.7\nsource: main\nreleases: {}\n"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[CommittedFiles]:
    repo = make_repo(tmp_path / "clone")
    sha = repo.commit(
        "feat: all of it",
        {
            "release.yaml": CONFIG,
            "bad.yaml": "version: 1\nbrnch: x\n",
            "locks/b.txt": "b",
            "locks/a.txt": "a",
            "locks/README.md": "no part of the lock",
            "locks/deep/c.txt": "no part of the lock",
            "locks-old/d.txt": "another folder",
            "one.txt": "one",
            "patches/torch-2.7.0/0001-x.patch": "p",
            "patches/torch-2.7.0/0001-x.py": "t",
        },
    )
    repository = Repository.discover(repo.path)
    with repository.scratch() as scratch:
        yield CommittedFiles(scratch, scratch.tree_of(sha))
    repository.close()


def test_release_yaml_is_read_with_its_place(files: CommittedFiles) -> None:
    config = files.config("release.yaml", "v2.7.0")
    assert config
    assert (config.branch, str(config.place.file)) == ("release/v2.7", "v2.7.0:release.yaml")
    assert files.config("absent.yaml", "v2.7.0") is None
    with pytest.raises(ConfigError) as raised:
        files.config("bad.yaml", "v2.7.0")
    assert "v2.7.0:bad.yaml:2:1" in [problem.where for problem in raised.value.problems]


def test_a_lock_is_a_file_or_the_texts_of_a_folder(files: CommittedFiles) -> None:
    assert files.lock("locks") == files.lock("locks/") == {"locks/a.txt": b"a", "locks/b.txt": b"b"}
    assert list(files.lock("locks")) == ["locks/a.txt", "locks/b.txt"], "the digest of a lock depends on the order"
    assert files.lock("one.txt") == {"one.txt": b"one"}
    assert files.lock("") == files.lock("absent") == {}


def test_patches_are_named_within_their_folder(files: CommittedFiles) -> None:
    assert files.below("patches") == {"torch-2.7.0/0001-x.patch": b"p", "torch-2.7.0/0001-x.py": b"t"}
    assert files.below("") == files.below("absent") == {}


def test_the_tree_is_listed_by_no_process(
    files: CommittedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert files.lock("one.txt"), "what reads objects is at work"
    for key, value in traced(tmp_path / "trace").items():
        monkeypatch.setenv(key, value)
    files.lock("locks"), files.below("patches")
    assert processes(tmp_path / "trace") == 0
