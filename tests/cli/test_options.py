"""What a shell completes, by the protocol that its script speaks: `_RELEASE_COMPLETE` and what stands on the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import release
from tests.support.story import fix_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story


def completed(cwd: Path, *words: str) -> list[str]:
    env = {"_RELEASE_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    ran = release(cwd=cwd, env=env)
    assert (ran.code, ran.err) == (0, "")
    return ran.out.split()


def test_versions_branches_forges_and_words(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    here = tale.clone.path
    assert completed(here, "release", "cut", "v2") == ["v2.7.1", "v2.7.0"]  # declared, then released
    assert completed(here.parent, "release", "-C", str(here), "show", "v2.7.0") == ["v2.7.0"]
    assert {"release/v2.7", "v2.7.0"} <= {*completed(here, "release", "audit", "''")} | {
        *completed(here, "release", "audit", "re"), *completed(here, "release", "audit", "v")
    }  # fmt: skip
    assert completed(here, "release", "verify", "--source", "mai") == ["main"]
    assert completed(here, "release", "protect", "--provider", "git") == ["github", "gitlab"]
    assert completed(here, "release", "ci", "init", "--provider", "j") == ["jenkins"]
    assert completed(here, "release", "ann") == ["announce"]


def test_where_nothing_can_be_known_nothing_is_said(tale: Story) -> None:
    assert completed(tale.clone.path.parent, "release", "cut", "v") == []  # no repository
    tale.declare("this is: [not even yaml")
    assert completed(tale.clone.path, "release", "cut", "v") == ["v2.7.0"]
