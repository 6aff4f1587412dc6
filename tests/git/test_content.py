"""Submodules and Git LFS files of a tree, filled in from what a clone has, and refused where it has not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.errors import UsageError
from orchestrator.git.content import Pointed, filled, is_pointer, lfs_pointers
from orchestrator.git.repository import Repository
from tests.support.cli import release
from tests.support.story import Repo, fix_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.story import Story

CONTENT = b"weights\n" * 1000
OID = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(CONTENT)}\n"
IMAGE = "image:\n  repository: registry.example.com/team/cuda\n"
LOCAL = ("-c", "protocol.file.allow=always")  # git refuses submodules at a path of this machine otherwise


@pytest.fixture
def library(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "fmt")
    made.path.mkdir()
    made.git("init", "--quiet", "-b", "main")
    made.git("config", "user.name", "Ann Example")
    made.git("config", "user.email", "ann@example.com")
    made.write("fmt.h", "int fmt;\n")
    made.write("deep/inner.h", "int inner;\n")
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "feat: fmt")
    return made


def with_submodule(tale: Story, library: Repo, dockerfile: str = "FROM a\nCOPY third_party/fmt /fmt\n") -> Repo:
    """The release branch has a submodule whose commit this clone lacks; the release declares an image."""
    clone = tale.clone
    clone.git("switch", "--quiet", "release/v2.7")
    head = library.git("rev-parse", "HEAD")
    clone.write(".gitmodules", f'[submodule "fmt"]\n\tpath = third_party/fmt\n\turl = file://{library.path}\n')
    clone.write("Dockerfile", dockerfile)
    clone.git("add", ".gitmodules", "Dockerfile")
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{head},third_party/fmt")
    clone.git("commit", "--quiet", "-m", "build: an image")
    clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.release_yaml(fix_line(tale.fix), extra=IMAGE)
    return clone


def test_a_missing_submodule_is_a_problem_of_the_plan_and_its_remedy_works(tale: Story, library: Repo) -> None:
    clone = with_submodule(tale, library)
    refused = release("plan", "--json", cwd=clone.path)
    assert refused.code == 2
    (problem,) = refused.json["problems"]
    assert (problem["code"], problem["where"]) == ("submodule-missing", "third_party/fmt")
    command = problem["remedy"].partition("; or ")[0]
    assert command == "git submodule update --init --recursive -- third_party/fmt"
    clone.git(*LOCAL, *command.split()[1:])
    assert release("plan", cwd=clone.path).code == 0


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("dockerfile", "ignore"),
    [
        ("FROM a\nCOPY loader.py /l\n", ""),
        ("FROM a\nCOPY . /src\n", "third_party\n"),
        ("FROM a AS b\nFROM a\nCOPY --from=b third_party/fmt /x\n", ""),
    ],
)
def test_what_no_build_takes_is_not_asked_for(tale: Story, library: Repo, dockerfile: str, ignore: str) -> None:
    clone = with_submodule(tale, library, dockerfile)
    if ignore:
        clone.write(".dockerignore", ignore)
        clone.git("add", ".dockerignore")
        clone.git("commit", "--quiet", "-m", "build: ignored")
        clone.git("push", "--quiet", "origin", "release/v2.7")
    assert release("plan", cwd=clone.path).code == 0


def test_a_submodule_is_followed_by_its_commit(tale: Story, library: Repo) -> None:
    clone = with_submodule(tale, library)
    clone.git(*LOCAL, "submodule", "update", "--init", "--quiet")
    repository = Repository.discover(clone.path)
    pointed = Pointed(repository)
    with repository.scratch(*pointed.stores) as scratch:
        found = {entry.path: entry for entry in filled(scratch, repository.resolve("HEAD"))}
        assert scratch.blob(found["third_party/fmt/fmt.h"].sha) == b"int fmt;\n"
        assert "third_party/fmt/deep/inner.h" in found
        assert "third_party/fmt" not in found
    with repository.scratch() as scratch:
        (left,) = [entry for entry in filled(scratch, repository.resolve("HEAD")) if entry.mode == "160000"]
        assert left.path == "third_party/fmt"
    repository.close()


# ------------------------------------------------------------------ Git LFS


def with_pointer(tale: Story) -> Repo:
    clone = tale.clone
    clone.git("switch", "--quiet", "release/v2.7")
    clone.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    clone.write("weights.bin", POINTER)
    clone.write("Dockerfile", "FROM a\nCOPY *.bin /w/\n")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "-m", "build: an image with weights")
    clone.git("push", "--quiet", "origin", "release/v2.7")
    tale.release_yaml(fix_line(tale.fix), extra=IMAGE)
    return clone


def stored(clone: Repo, content: bytes) -> Path:
    """A file where git-lfs keeps it."""
    place = clone.path / ".git/lfs/objects" / OID[:2] / OID[2:4] / OID
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    return place


def test_a_missing_file_of_git_lfs_is_a_problem_of_the_plan(tale: Story) -> None:
    clone = with_pointer(tale)
    refused = release("plan", "--json", cwd=clone.path)
    assert refused.code == 2
    (problem,) = refused.json["problems"]
    assert (problem["code"], problem["where"]) == ("lfs-missing", "weights.bin")
    stored(clone, CONTENT)
    assert release("plan", cwd=clone.path).code == 0


def test_a_damaged_file_of_git_lfs_is_one_line(tale: Story) -> None:
    clone = with_pointer(tale)
    place = stored(clone, b"other")
    refused = release("plan", cwd=clone.path)
    assert (refused.code, str(place) in refused.err) == (2, True)
    repository = Repository.discover(clone.path)
    with pytest.raises(UsageError, match="damaged"):
        Pointed(repository).lfs(POINTER.encode())
    repository.close()


def test_pointers_are_looked_for_where_attributes_speak_of_lfs(tale: Story) -> None:
    clone = with_pointer(tale)
    repository = Repository.discover(clone.path)
    with repository.scratch() as scratch:
        entries = scratch.entries(repository.resolve("HEAD"))
        assert [each.path for each in lfs_pointers(scratch, entries)] == ["weights.bin"]
        assert not list(lfs_pointers(scratch, [each for each in entries if each.path != ".gitattributes"]))
    repository.close()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text, True),
        (lambda text: text.replace("https://git-lfs.github.com/spec/v1", "http://git-media.io/v/2"), True),
        (lambda text: text.replace("git-lfs.github.com", "hawser.github.com"), True),
        (lambda text: "\n" + text, True),
        (lambda text: text.replace("git-lfs.github.com", "example.com"), False),
        (lambda text: text.replace("version", "Version"), False),
        (lambda text: text + "x" * 2000, False),
        (lambda _: "", False),
    ],
)
def test_what_a_pointer_is(change: Callable[[str], str], expected: bool) -> None:
    assert is_pointer(change(POINTER).encode()) is expected
