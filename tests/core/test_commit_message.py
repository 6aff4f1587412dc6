"""`-x` messages, compared with `git cherry-pick -x` itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.commit_message import conventional, origins, reverted, with_origin
from tests.support.story import make_repo

if TYPE_CHECKING:
    from pathlib import Path

LINES = st.sampled_from(
    [
        "", " ", "subject", "Some words here.", "Signed-off-by: A <a@b.c>", "Fixes: 1234", "key : value", "a b: c",
        "# a comment", " continued", "\tcontinued", "(cherry picked from commit " + "1" * 40 + ")", "Closes #1",
        "https://example.com", "Co-authored-by: B <b@c.d>", "BREAKING CHANGE: x", "----", "---", "-: x", ": x", "é: x",
    ]
)  # fmt: skip
MESSAGES = st.lists(LINES, min_size=1, max_size=9).map("\n".join)


@pytest.fixture(scope="module")
def picker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with an empty branch to pick onto."""
    repo = make_repo(tmp_path_factory.mktemp("message") / "repo")
    repo.commit("base", {"a": "1\n"})
    repo.git("branch", "line")
    return repo.path


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(message=MESSAGES)
def test_message_is_what_git_writes(picker: Path, message: str) -> None:
    from tests.support.story import Repo

    repo = Repo(picker)
    tree = repo.rev("main^{tree}")
    blob = repo.git("hash-object", "-w", "--stdin", stdin=message)
    changed = repo.git("mktree", stdin=f"100644 blob {blob}\tm\n")
    source = repo.git("commit-tree", changed, "-p", "main", stdin=message)
    raw = repo.attempt("cat-file", "commit", source).stdout.partition("\n\n")[2]
    repo.git("checkout", "--quiet", "--force", "--detach", "main")
    picked = repo.attempt("cherry-pick", "--allow-empty", "--allow-empty-message", "-x", source)
    assert picked.returncode == 0, picked.stderr
    expected = repo.attempt("cat-file", "commit", "HEAD").stdout.partition("\n\n")[2]
    assert with_origin(raw.encode(), source).decode() == expected
    assert tree


def test_last_origin_is_the_direct_source() -> None:
    text = f"x\n\n(cherry picked from commit {'1' * 40})\n(cherry picked from commit {'2' * 40})\n"
    assert origins(text) == ("1" * 40, "2" * 40)


def test_revert_is_read_with_short_ids() -> None:
    assert reverted("Revert x\n\nThis reverts commit 1234567, reversing\n") == ("1234567",)


@pytest.mark.parametrize(
    ("subject", "kind", "scope", "breaking"),
    [
        ("fix: a", "fix", "", False),
        ("Fix(loader)!: a", "fix", "loader", True),
        ("no type", "", "", False),
        ("fix:a", "", "", False),
    ],
)
def test_conventional_subjects(subject: str, kind: str, scope: str, breaking: bool) -> None:
    parsed = conventional(subject)
    assert (parsed.type, parsed.scope, parsed.breaking) == (kind, scope, breaking)
