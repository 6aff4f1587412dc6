"""What the tests of picks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.story import Repo, Story


@pytest.fixture
def repo(tale: Story) -> Repo:
    """The clone, with the fix on main."""
    tale.clone.git("cherry-pick", tale.fix)
    return tale.clone
