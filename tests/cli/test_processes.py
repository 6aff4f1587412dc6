"""The command line as a process: by a Python of its own, whatever the seed of its hashes, and as the tests start it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import clean_env, release, started
from tests.support.kills import JOURNAL, killed_at
from tests.support.story import VERSION, fix_line

if TYPE_CHECKING:
    from tests.support.story import Story


@pytest.mark.wide(6)
@pytest.mark.parametrize(
    "args", [("plan", VERSION, "--json"), ("plan", "v9"), ("status",), ("check", "-C", "nowhere"), ("--help",)]
)
def test_a_run_forked_from_a_prepared_process_is_what_a_started_one_is(tale: Story, args: tuple[str, ...]) -> None:
    """What most tests use: tests/support/prepared.py."""
    tale.release_yaml(fix_line(tale.fix))
    forked = release(*args, cwd=tale.clone.path)
    assert forked == started(*args, cwd=tale.clone.path, env=clean_env())
    assert forked.out or forked.err


def test_what_is_read_only_at_the_start_is_read(tale: Story) -> None:
    """Without git on its PATH a run fails, though the prepared process has found git long ago."""
    tale.release_yaml(fix_line(tale.fix))
    assert release("plan", cwd=tale.clone.path).code == 0
    assert release("plan", cwd=tale.clone.path, env={"PATH": str(tale.clone.path)}).code != 0


def test_a_killed_run_is_told_by_its_signal(tale: Story) -> None:
    tale.release_yaml(fix_line(tale.fix))
    assert killed_at(tale.clone.path, "before", 1, JOURNAL, "cut", VERSION, "--yes") == -signal.SIGKILL
    assert killed_at(tale.clone.path, "before", 99, JOURNAL, "cut", VERSION, "--yes") == 0


@pytest.mark.wide
def test_no_order_of_a_set_is_seen(tale: Story) -> None:
    """Two runs with other seeds say the same, and make the same commits."""
    tale.release_yaml(fix_line(tale.fix))
    plans = [
        started("plan", "--json", cwd=tale.clone.path, env=clean_env() | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert plans[0] == plans[1]
    assert plans[0].json["head"]
