"""Guards: no test may touch the real home, the user's git configuration, or a credential of this machine."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.__main__ import GIT_LOCAL
from tests.support.cli import end_prepared
from tests.support.story import Story, copied, story

if TYPE_CHECKING:
    from pathlib import Path


# Where Python may not write byte code, each start of the program would compile all of it: three times as slow.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background: what we start would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # under nohup, which the tool respects
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no part of a test's name: those made while collecting (a gzip header holds the time) differ between
    two workers of one run, which then refuse to start."""
    return argname if isinstance(val, bytes) else None


def pytest_sessionfinish() -> None:
    end_prepared()


@pytest.fixture(autouse=True)
def no_real_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home and a place for temporary files of its own, git without the machine's configuration, no CI variables."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))  # a killed run leaves its scratch store behind
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    for name in (*GIT_LOCAL, "GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_REF_TYPE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def told_once(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The story that every test gets a copy of: making it takes forty git processes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in GIT_LOCAL:
            patch.delenv(name, raising=False)
        return story(tmp_path_factory.mktemp("template") / "story")


@pytest.fixture
def tale(told_once: Story, tmp_path: Path) -> Story:
    """The story of the README, fresh for each test."""
    return copied(told_once, tmp_path / "story")
