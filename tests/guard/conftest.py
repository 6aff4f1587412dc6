"""A guarded server, made once for the tests of a file, and copied for those that change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import guarded as making
from tests.support.story import Story, copied

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guarded import Guarded


@pytest.fixture(scope="module")
def template(told_once: Story, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """A guarded server that every test gets a copy of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        return making.make(copied(told_once, tmp_path_factory.mktemp("guarded") / "story"))


@pytest.fixture(scope="module")
def guarded_once(template: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """Hostile pushes change nothing, so all of them may have the same server."""
    return making.copied(template, tmp_path_factory.mktemp("hostile") / "story")


@pytest.fixture
def g(template: Guarded, tmp_path: Path) -> Guarded:
    """A guarded server of a test's own."""
    return making.copied(template, tmp_path / "story")
