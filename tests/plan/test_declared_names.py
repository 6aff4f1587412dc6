"""`release check` and `release plan` judge the prefix of a version alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cli import release
from tests.support.story import fix_line

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile


def test_a_version_that_is_written_otherwise_than_the_tags(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix), version="2.7.1")
    told = []
    for words in (("check",), ("plan", "2.7.1")):
        ran = release(*words, cwd=tale.clone.path)
        assert (ran.code, ran.err.count("[version-prefix]\n  do: write v2.7.1\n")) == (4, 1), ran.err
        told.append(next(line for line in ran.err.split("\n") if "[version-prefix]" in line))
    assert told[0] == told[1]
    tale.clone.git("tag", "2.7.1", "v2.7.0")
    assert release("check", cwd=tale.clone.path).code == 0, "what has its tag is no name to be chosen"


def test_versions_that_are_declared_in_advance(tale: Story) -> None:
    later = f"  v2.7.2:\n    fixes:\n{fix_line(tale.fix)}\n"
    tale.release_yaml(f"{fix_line(tale.fix)}\n{later}".rstrip("\n"))
    ran = release("check", cwd=tale.clone.path)
    assert ran.code == 0, ran.err
