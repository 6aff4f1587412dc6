"""docs/first-release.md, typed from its first block to its last, without an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.pages import blocks, followed
from tests.support.story import Repo

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "--image registry.example.com/tinyserve"


def test_from_nothing_to_a_pipeline(tmp_path: Path) -> None:
    typed = [block for block in blocks("first-release.md") if "docker login" not in block]
    script = "\n".join(typed)
    assert (len(typed), script.count(IMAGE)) == (7, 1)
    seen = followed(script.replace(IMAGE, "--image none"), tmp_path, {})
    assert seen.count("v2.7.1 is released\n") == 1
    assert "v2.7.1 is released already" in seen
    assert "exit 3\n" in seen  # the conflict
    assert "v2.7.2 is released\n" in seen
    assert "1 adapted" in seen
    assert "nothing wrong was found" in seen
    remote = Repo(path=tmp_path / "work/tinyserve.git")
    assert remote.git("tag", "--list").split() == ["v2.7.0", "v2.7.1", "v2.7.2"]
    assert "workers are closed" in remote.git("show", "v2.7.2:serve.py")
    assert "serve more" not in remote.git("log", "--format=%s", "v2.7.2")
    assert ".github/workflows/release.yml" in remote.git("ls-tree", "-r", "--name-only", "main")
    assert "v2.7.3 after v2.7.2: 1 of 1 picks" in seen
