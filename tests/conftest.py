"""Guards: no test may touch the real home, the user's git configuration, or a credential of this machine."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from orchestrator.__main__ import GIT_LOCAL
from orchestrator.core import versions
from tests.support.cli import end_prepared
from tests.support.sample import SAMPLED, examples
from tests.support.story import Story, copied, slim, story
from tests.support.tiers import TIERS, runs_commands, tier

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where Python may not write byte code, each start of the program would compile all of it: three times as slow.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A worker has a million objects, of all modules and tests: looking through them at each turn took a third of its time.
gc.set_threshold(100_000)

# On a busy machine an example takes seconds, and that is no fault of what is tested.
hypothesis.settings.register_profile(
    "unhurried", max_examples=examples(100), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background: what we start would ignore it too
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # under nohup, which the tool respects
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no part of a test's name: those made while collecting (a gzip header holds the time) differ between
    two workers of one run, which then refuse to start."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def _usual_versions() -> Iterator[None]:
    """How versions are written is a fact of a run of the program, and each test is one."""
    yield
    versions.use(versions.Scheme())


OUTCOMES = ("passed", "skipped", "xfailed", "xpassed", "failed", "error")


def pytest_itemcollected(item: pytest.Item) -> None:
    if runs_commands(item):
        item.add_marker("commands")
    item.user_properties.append(("tier", tier(item)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `wide`, and of the cases of a test marked `wide(n)` all but each n-th, where a sample is
    asked for; tools/test.py says how many.
    """
    if not SAMPLED:
        return
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    seen: Counter[str] = Counter()
    for item in items:
        mark = item.get_closest_marker("wide")
        name = item.nodeid.partition("[")[0]
        fits = mark is None or (bool(mark.args) and seen[name] % mark.args[0] == 0)
        seen[name] += 1
        (kept if fits else left).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)
    if place := os.environ.get("RELEASE_TEST_COUNTS"):  # each worker of pytest-xdist finds the same
        tiers = Counter(dict(item.user_properties)["tier"] for item in left)
        Path(f"{place}.left").write_text(json.dumps(tiers))


def pytest_collection_finish() -> None:
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many of each tier passed, failed and so on, for tools/test.py."""
    counts: dict[str, Counter[str]] = {tier: Counter() for tier in TIERS}
    for outcome in OUTCOMES:
        for report in terminalreporter.getreports(outcome):
            known = dict(getattr(report, "user_properties", ())).get("tier")
            for each in [known] if known else TIERS:  # what cannot be collected could be of any
                counts[each][outcome] += 1
    if place := os.environ.get("RELEASE_TEST_COUNTS"):
        Path(place).write_text(json.dumps({tier: found for tier, found in counts.items() if found}))


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
        return slim(story(tmp_path_factory.mktemp("template") / "story"))


@pytest.fixture
def tale(told_once: Story, tmp_path: Path) -> Story:
    """The story of the README, fresh for each test."""
    return copied(told_once, tmp_path / "story")
