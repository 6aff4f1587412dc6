"""A release to audit: made once, and copied for each test."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


@pytest.fixture(scope="session")
def cut_once(tmp_path_factory: pytest.TempPathFactory, told_once: Story) -> Story:
    tale = _copied(told_once, tmp_path_factory.mktemp("cut") / "story")
    tale.release_yaml(f"      - commit: {tale.fix}\n        reason: it leaks\n")
    done = release("cut", "v2.7.1", "--yes", cwd=tale.clone.path)
    assert done.code == 0, done.err
    return tale


@pytest.fixture
def cut(cut_once: Story, tmp_path: Path) -> Story:
    """The story with v2.7.1 released by this tool."""
    return _copied(cut_once, tmp_path / "cut")


def _copied(tale: Story, new: Path) -> Story:
    old = tale.clone.path.parent
    shutil.copytree(old, new, symlinks=True)
    config = new / "clone/.git/config"
    config.write_text(config.read_text().replace(str(old), str(new)))
    clone = replace(tale.clone, path=new / "clone", env={})
    clone.git("update-index", "--refresh")
    return replace(tale, clone=clone, remote=replace(tale.remote, path=new / "remote.git", env={}))
