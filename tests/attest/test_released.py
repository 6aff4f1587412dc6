"""Bills of a released version: what needs no engine is told without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import release
from tests.support.printed import types
from tests.support.remedies import said, works
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story


@types("attest/released/bills.py: release show {}")
def test_a_version_without_an_image(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert release("cut", VERSION, "--yes", cwd=tale.clone.path).code == 0
    ran = release("sbom", VERSION, cwd=tale.clone.path)
    assert (ran.code, f"{VERSION} has no image [no-such-image]" in ran.err) == (2, True), ran.err
    works(said(ran, "release show"), tale.clone.path)
