"""`-x` messages, compared with `git cherry-pick -x` itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.commit_message import conventional, origins, picked, reverted, signed_off
from tests.support.sample import examples
from tests.support.story import Repo, make_repo

if TYPE_CHECKING:
    from pathlib import Path

ME = "Mia Maintainer <mia@example.com>"
LINES = st.sampled_from(
    [
        "", " ", "subject", "Some words here.", "Signed-off-by: A <a@b.c>", "Fixes: 1234", "key : value", "a b: c",
        "# a comment", " continued", "\tcontinued", "(cherry picked from commit " + "1" * 40 + ")", "Closes #1",
        "https://example.com", "Co-authored-by: B <b@c.d>", "BREAKING CHANGE: x", "----", "---", "-: x", ": x", "é: x",
        f"Signed-off-by: {ME}",
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
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(message=MESSAGES)
def test_message_is_what_git_writes(picker: Path, message: str) -> None:
    """With a sign-off too; but git signs off again who did so above the line of the pick."""
    repo = Repo(picker)
    tree = repo.rev("main^{tree}")
    blob = repo.git("hash-object", "-w", "--stdin", stdin=message)
    changed = repo.git("mktree", stdin=f"100644 blob {blob}\tm\n")
    source = repo.git("commit-tree", changed, "-p", "main", stdin=message)
    raw = repo.attempt("cat-file", "commit", source).stdout.partition("\n\n")[2]
    expected = [by_git(repo, *options, source) for options in ((), ("-s",))]
    plain, signed = (picked(raw.encode(), source, signer).decode() for signer in ("", ME))
    assert plain == expected[0]
    line = f"Signed-off-by: {ME}\n"
    if line in plain.rpartition("\n\n")[2].splitlines(keepends=True):
        assert (signed, expected[1]) == (plain, plain + line)
    else:
        assert signed == expected[1]
    assert tree


def by_git(repo: Repo, *args: str) -> str:
    repo.git("checkout", "--quiet", "--force", "--detach", "main")
    done = repo.attempt("cherry-pick", "--allow-empty", "--allow-empty-message", "-x", *args)
    assert done.returncode == 0, done.stderr
    return repo.attempt("cat-file", "commit", "HEAD").stdout.partition("\n\n")[2]


@pytest.mark.parametrize(
    ("message", "between"),
    [
        ("subject\n", "\n"),
        ("subject\n\nwords of it\n", "\n"),
        ("subject\n\nFixes: 12\n", ""),
        ("subject\n\nSigned-off-by: B <b@c.d>\n", ""),
    ],
)
def test_a_message_is_signed_off_once(message: str, between: str) -> None:
    once = signed_off(message.encode(), ME)
    assert once.decode() == f"{message}{between}Signed-off-by: {ME}\n"
    assert signed_off(once, ME) == once
    assert signed_off(message.encode(), "") == message.encode()


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
