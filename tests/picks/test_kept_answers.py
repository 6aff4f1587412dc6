"""A new signal asks again: no answer is believed that was kept before there was that signal."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from orchestrator.audit.branch import audit_line
from orchestrator.audit.snapshot import look, ranges
from orchestrator.cli.invocation import console_of, session_of
from orchestrator.picks import equivalents
from orchestrator.picks.duplicates import duplicates
from orchestrator.release.prepare import prepare
from orchestrator.session.options import Options
from tests.support.story import lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.story import Story

pytestmark = pytest.mark.history
VERSION = "v2.7.1"
OF_SIGNALS = ("twins", "duplicates", "needs", "alike", "proof")  # kinds of kept answers that signals have a part in


@pytest.fixture
def tale(tale: Story) -> Story:
    """A conflict that needs a prerequisite, a pick without a trailer on the release branch, and a fix to be picked."""
    clone = tale.clone
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.commit("chore: data", {"data.txt": lines(60)})
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--no-edit", "release/v2.7")
    clone.commit("fix: one", {"data.txt": lines(60, l9="nine")})
    two = clone.commit("fix: two", {"data.txt": lines(60, l9="nine and a half")})
    plain = clone.commit("fix: three", {"data.txt": lines(60, l9="nine and a half", l40="forty")})
    clone.git("checkout", "--quiet", "release/v2.7")
    clone.git("cherry-pick", plain)
    clone.git("checkout", "--quiet", "main")
    clone.git("push", "--quiet", "origin", "main", "release/v2.7")
    tale.release_yaml(f"      - commit: {two}\n        reason: it must ship")
    return tale


def ask(place: Path) -> Counter[str]:
    """Ask all that answers are kept of; how many are kept now, by kind."""
    options = Options(directory=str(place), as_json=True, quiet=True)
    with session_of(options, console_of(options)) as session:
        prepare(session, VERSION)
        duplicates(session, "")
        snapshot = look(session)
        for each in ranges(snapshot, "release/v2.7"):
            audit_line(snapshot, each, require_signed=False)
    with sqlite3.connect(place / ".git/release/cache.sqlite") as file:
        return Counter(kind for (kind,) in file.execute("SELECT kind FROM found"))


@pytest.mark.wide
def test_a_new_signal_asks_again_wherever_signals_count(tale: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask(tale.clone.path)
    assert all(first[kind] for kind in OF_SIGNALS), first
    assert ask(tale.clone.path) == first, "what is kept is not asked for again"
    monkeypatch.setattr(equivalents, "STRENGTH", (*equivalents.STRENGTH, "a new signal"))
    then = ask(tale.clone.path)
    assert {kind: then[kind] for kind in OF_SIGNALS} == {kind: 2 * first[kind] for kind in OF_SIGNALS}
    other = set(first) - set(OF_SIGNALS)
    assert {kind: then[kind] for kind in other} == {kind: first[kind] for kind in other}, "merges and patch-ids stay"
