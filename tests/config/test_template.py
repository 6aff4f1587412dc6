"""The file that `release init` writes is valid, whatever the repository is like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import reader
from orchestrator.config.template import StarterFacts, starter
from tests.support.cli import release

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from tests.support.story import Story


def read(text: str) -> Config:
    return reader.parse(text.encode(), "release.yaml")


def uncommented(text: str) -> str:
    """The file with its examples switched on: prose stands behind `# `, examples directly behind `#`."""
    return re.sub(r"^#(?! \S)", "", text, flags=re.MULTILINE)


STORY = StarterFacts(
    branches=("main", "release/v2.6", "release/v2.7", "fix/dataloader-leak"),
    latest_tag="v2.7.0",
    remote="upstream",
    dockerfiles=("images/pytorch-cuda/Dockerfile", "images/a/b/Dockerfile"),
    project="PyTorch CUDA",
)


def test_the_story() -> None:
    got = read(starter(STORY))
    assert (got.branch, got.source, got.remote) == ("release/v2.7", ("main",), "upstream")
    assert (got.releases, got.image) == ((), None)


def test_the_examples_are_valid_and_fit() -> None:
    got = read(uncommented(starter(STORY)))
    assert [entry.version for entry in got.releases] == ["v2.7.1"]
    assert len(got.releases[0].fixes) == 2
    assert got.image is not None
    assert got.image.repository == "registry.example.com/pytorch-cuda"
    assert got.image.dockerfile == "images/pytorch-cuda/Dockerfile"
    assert got.image.floating == ("v2.7",)
    assert got.verify


@pytest.mark.parametrize(
    ("facts", "branch", "version"),
    [
        (StarterFacts(), "release/v0.1", "v0.1.0"),
        (StarterFacts(branches=("main", "production")), "release/v0.1", "v0.1.0"),
        (StarterFacts(latest_tag="2.7.3"), "release/2.7", "2.7.4"),
        (StarterFacts(branches=("release/v2.10", "release/v2.9")), "release/v2.10", "v2.10.0"),
        (StarterFacts(branches=("release/v2.8",), latest_tag="v2.7.3"), "release/v2.8", "v2.8.0"),
        (StarterFacts(branches=("release/v2.7",), latest_tag="v2.7.1-rc.1"), "release/v2.7", "v2.7.1"),
        (StarterFacts(latest_tag="nightly"), "release/v0.1", "v0.1.0"),
    ],
)
def test_the_branch_and_the_next_version(facts: StarterFacts, branch: str, version: str) -> None:
    text = starter(facts)
    assert read(text).branch == branch
    assert read(uncommented(text)).releases[0].version == version


facts = st.builds(
    StarterFacts,
    branches=st.lists(st.text(max_size=8).map(lambda text: f"{text}/v2.7")).map(tuple),
    default_branch=st.text(max_size=8) | st.sampled_from(["null", "on", "1e5", "2.10", "a#b", "a'b", "{x}"]),
    remote=st.text(max_size=8) | st.sampled_from(["null", "y", "https://u:p@h"]),
    latest_tag=st.text(max_size=8) | st.sampled_from(["v2.7.1+cu126", "2.7.1-rc.1", "v1.2.3-alpha"]),
    dockerfiles=st.lists(st.text(max_size=8)).map(tuple),
    project=st.text(max_size=8),
)


@given(facts)
def test_any_repository_gives_a_valid_file(facts: StarterFacts) -> None:
    text = starter(facts)
    read(text)
    assert read(uncommented(text)).image is not None


@pytest.mark.parametrize("name", ["null", "on", "1e5", "2.10", "a#b", "a'b", 'a"b', "{x}", "ü", "!x", "%x"])
def test_odd_names_come_back_as_they_are(name: str) -> None:
    assert read(starter(StarterFacts(default_branch=name))).source == (name,)


def test_init_writes_a_valid_file_says_what_comes_next_and_never_writes_over_one(tale: Story) -> None:
    where = tale.clone.path
    (where / "release.yaml").unlink(missing_ok=True)
    ran = release("init", cwd=where)
    assert (ran.code, ran.out) == (0, f"{where / 'release.yaml'}\n"), ran.err
    assert "next: declare the fixes" in ran.err
    assert release("check", cwd=where).code == 0
    before = (where / "release.yaml").read_bytes()
    again = release("init", cwd=where)
    assert (again.code, "[exists]" in again.err) == (2, True), again.err
    assert (where / "release.yaml").read_bytes() == before
