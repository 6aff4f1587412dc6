"""The rules of `policy:`, pure: who may approve, what a patch release takes, when nothing is released."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config import reader
from orchestrator.core.declaration import Policy
from orchestrator.core.glob import owns
from orchestrator.guard.policy_rules import (
    PolicyChange,
    freeze_problem,
    frozen,
    is_patch,
    rules,
    unsigned_problem,
)
from tests.support.sample import examples
from tests.support.story import make_repo

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.results import Problem


def policy(text: str) -> Policy:
    """The section as it is read from a file; the first line of `text` is line 5."""
    body = "".join(f"  {line}\n" for line in text.splitlines())
    got = reader.parse(f"version: 1\nbranch: b\nsource: main\npolicy:\n{body}".encode(), "release.yaml").policy
    assert got is not None
    return got


def change(message: str = "fix: x", **values: object) -> PolicyChange:
    subject = message.partition("\n")[0]
    given: dict[str, object] = {"messages": (message,), **values}
    return PolicyChange(where="release.yaml:9:9", source="a" * 40, subject=subject, **given)  # type: ignore[arg-type]  # kinds


def found(rule: str, *changes: PolicyChange, version: str = "v2.7.1") -> list[Problem]:
    problems = rules(policy(rule), changes, version)
    assert all((problem.exit_code, problem.where) == (4, "release.yaml:9:9") for problem in problems)
    return problems


def codes(rule: str, *changes: PolicyChange, version: str = "v2.7.1") -> list[str]:
    return [problem.code for problem in found(rule, *changes, version=version)]


NO_RULES = "types: [fix, feat, perf]"


# ------------------------------------------------------------------ what a patch release takes


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("fix: x", []),
        ("feat: x", ["feature-in-patch"]),
        ("Feature(api): x", ["feature-in-patch"]),
        ("  feat: x", ["feature-in-patch"]),
        ("feat!: x", ["feature-in-patch", "breaking-in-patch"]),
        ("fix(a)!: x", ["breaking-in-patch"]),
        ("fix: x\n\nBREAKING CHANGE: y", ["breaking-in-patch"]),
        ("fix: x\r\n\r\nbody\r\n\r\nBREAKING-CHANGE #1\r\n", ["breaking-in-patch"]),
        ("fix: x\n\nThis is no BREAKING CHANGE: really", []),
        ("fix: x\n\nbreaking change: y", []),
        ('Revert "feat: x"', []),
        ('Revert "Revert "feat: x""', ["feature-in-patch"]),
        ('Reapply "feat!: x"', ["feature-in-patch", "breaking-in-patch"]),
        ("a feature: x", []),
    ],
)
def test_a_patch_release_takes_fixes_only(message: str, expected: list[str]) -> None:
    assert [
        problem.code for problem in rules(Policy(place=policy(NO_RULES).place), [change(message)], "v2.7.1")
    ] == expected


def test_what_is_no_patch_takes_all() -> None:
    assert codes(NO_RULES, change("feat!: x"), version="v2.8.0") == []
    assert [is_patch(version) for version in ("v2.7.1", "2.7.1-rc.1", "v2.7.0", "v2.7.0-rc.1", "main")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_allowed_word_by_word() -> None:
    assert codes(NO_RULES, change("feat!: x", allow=("feature",))) == ["breaking-in-patch"]
    assert codes(NO_RULES, change("feat!: x", allow=("breaking",))) == ["feature-in-patch"]
    assert codes(NO_RULES, change("feat!: x", allow=("breaking", "feature"))) == []


def test_what_a_merge_brings_in_is_judged() -> None:
    brought = ("Merge branch 'x'", "fix: a", "feat(api): b")
    [problem] = found(NO_RULES, change("Merge branch 'x'", messages=brought))
    assert "'feat(api): b'" in problem.message
    assert problem.remedy.endswith("add `allow: [feature]` and a `reason:` to the fix")


# ------------------------------------------------------------------ types


def test_types() -> None:
    [problem] = found("types: [fix, perf]", change("fix: a"), change("chore(x): b"), change("words only"))
    assert problem.code == "type-not-allowed"
    assert problem.message == (
        "aaaaaaaaaaaa 'chore(x): b' is of type chore, and a release takes fix, perf (policy.types, release.yaml:5:10)"
    )


def test_conventional_commits() -> None:
    assert codes("conventional-commits: true", change("docs: a"), change("words only")) == ["not-conventional"]
    assert codes("conventional-commits: false", change("words only")) == []
    assert codes("conventional-commits: true", change('Revert "x"')) == []


# ------------------------------------------------------------------ approvals

OWNERS = """\
code-owners:
  - {path: "*", owners: [mia, "Ana A <ana@example.com>"]}
  - {path: /loader/, owners: [ben]}
  - {path: "*.md", owners: []}
"""


@pytest.mark.parametrize(
    ("paths", "approvals", "expected"),
    [
        (("a.py",), (), ["approvals-missing"]),
        (("a.py",), ("mia",), []),
        (("a.py",), ("@Mia",), []),
        (("a.py",), ("ANA@example.com",), []),
        (("a.py",), ("Ana A <other@example.com>",), []),
        (("a.py",), ("ben",), ["approvals-missing"]),
        (("a.py",), ("https://example.com/pull/1",), ["approvals-missing"]),
        (("loader/a.py",), ("mia",), ["approvals-missing"]),
        (("loader/a.py",), ("mia", "ben"), []),
        (("loader/a.py", "a.py"), ("mia",), ["owner-approval-missing"]),
        (("loader/a.py", "a.py"), ("ben", "mia"), []),
        (("x/a.md",), ("anybody",), []),
        (("x/a.md", "a.py"), ("anybody",), ["owner-approval-missing"]),
        ((), ("anybody",), []),
        ((), (), ["approvals-missing"]),
    ],
)
def test_owners_are_who_counts(paths: tuple[str, ...], approvals: tuple[str, ...], expected: list[str]) -> None:
    assert codes(OWNERS, change(paths=paths, approvals=approvals)) == expected


def test_an_owner_that_is_missing_is_named_with_the_place_of_the_entry() -> None:
    paths = tuple(f"loader/{n}.py" for n in range(5))
    [problem] = found(OWNERS, change(paths=(*paths, "a.py"), approvals=("mia",)))
    assert "loader/0.py, loader/1.py, loader/2.py and 2 more without an approval by ben" in problem.message
    assert "(policy.code-owners, release.yaml:7:7)" in problem.message


def test_nobody_counts_twice_and_the_author_not_at_all() -> None:
    rule = "required-approvals: 2"
    authors = ("Fay F <fay@example.com>", "Gus <12+gus@users.noreply.github.com>")
    assert codes(rule, change(authors=authors, approvals=("mia", "@mia"))) == ["approvals-missing"]
    assert codes(rule, change(authors=authors, approvals=("mia", "Mia <mia@x>"))) == ["approvals-missing"]
    assert codes(rule, change(authors=authors, approvals=("mia", "fay@example.com"))) == ["approvals-missing"]
    assert codes(rule, change(authors=authors, approvals=("mia", "Fay F"))) == ["approvals-missing"]
    for other in (
        "@fay",
        "Gus",
        "@gus",
        "\uff27\uff35\uff33",
        "gus+x@example.com",
        "mia@example.com",
        "MIA <m@example.com>",
    ):
        assert codes(rule, change(authors=authors, approvals=("mia", other))) == ["approvals-missing"], other
    assert codes(rule, change(authors=authors, approvals=("mia", "ben"))) == []


def test_an_owner_counts_as_one_by_whichever_name() -> None:
    assert codes(OWNERS, change(paths=("a.md", "a.py"), approvals=("mia@example.com", "mia"))) == []


def test_an_adapted_pick_needs_more() -> None:
    rule = "required-approvals: 1\nadapted-approvals: 2"
    assert codes(rule, change(approvals=("mia",))) == []
    [problem] = found(rule, change(approvals=("mia",), adapted=True))
    assert "is adapted and approved by mia: 1 of 2 (policy.adapted-approvals, release.yaml:6:22)" in problem.message
    assert codes(rule, change(approvals=("mia", "ben"), adapted=True)) == []


def test_a_fix_must_be_on_a_protected_source() -> None:
    rule = "protected-sources: [main, next]"
    [problem] = found(rule, change(on_protected_source=False), change())
    assert problem.code == "not-on-protected-source"
    assert "is not on main or next (policy.protected-sources, release.yaml:5:22)" in problem.message
    assert codes(NO_RULES, change(on_protected_source=False)) == []


NAMES = st.sampled_from(["mia", "ben", "@Mia", "Mia <mia@x>", "eve", "https://x/1", "Fay <fay@x>"])


@pytest.mark.wide
@settings(max_examples=examples(200), deadline=None)
@given(
    approvals=st.lists(NAMES, max_size=4, unique=True),
    more=NAMES,
    paths=st.lists(st.sampled_from(["a", "b.md", "loader/c"]), max_size=3, unique=True),
    adapted=st.booleans(),
)
def test_one_more_approval_never_refuses_what_was_let_through(
    approvals: list[str], more: str, paths: list[str], adapted: bool
) -> None:
    before = change(paths=tuple(paths), approvals=tuple(approvals), adapted=adapted, authors=("Fay <fay@x>",))
    after = change(paths=tuple(paths), approvals=(*approvals, more), adapted=adapted, authors=("Fay <fay@x>",))
    rule = OWNERS + "adapted-approvals: 2\n"
    if not codes(rule, before):
        assert not codes(rule, after)
        assert approvals


# ------------------------------------------------------------------ patterns, by git's own opinion


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*", "a/b/c", True),
        ("*.js", "a/b.js", True),
        ("/build/logs/", "build/logs/a/b", True),
        ("/build/logs/", "x/build/logs/a", False),
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/a/b.md", False),  # where CODEOWNERS and gitignore differ
        ("/*", "a", True),
        ("/*", "a/b", False),
        ("/**", "a/b", True),
        ("**", "a/b", True),
        ("/*/", "a", False),
        ("/*/", "a/b/c", True),
        ("apps/", "x/apps/y", True),
        ("apps/", "apps", False),
        ("/docs", "docs/a/b", True),
        ("/scripts", "a/scripts", False),
        ("**/logs", "a/b/logs/x", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**", "a", False),
        ("a/**", "a/x/y", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a.c", "abc", False),
    ],
)
def test_patterns_as_in_codeowners(pattern: str, path: str, expected: bool) -> None:
    assert owns(pattern, path) is expected


PATTERNS = st.text(alphabet="ab*/?.", min_size=1, max_size=7).filter(
    lambda text: text.strip("/.") and "//" not in text and not any(part in (".", "..") for part in text.split("/"))
    and not (text.rstrip("/").endswith("/*")) and not text.endswith("*/*")
)  # fmt: skip
PATHS = st.lists(st.text(alphabet="ab", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)


@pytest.fixture(scope="module")
def ignoring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repo(tmp_path_factory.mktemp("owners") / "repo").path


@pytest.mark.hostile
@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pattern=PATTERNS, paths=st.lists(PATHS, min_size=1, max_size=12, unique=True))
def test_any_pattern_matches_as_in_gitignore(ignoring: Path, pattern: str, paths: list[str]) -> None:
    (ignoring / ".git/info/exclude").write_text(f"{pattern}\n")
    asked = "".join(f"{path}\0" for path in paths)
    done = subprocess.run(
        ["git", "check-ignore", "--stdin", "-z", "--no-index"], cwd=ignoring, input=asked, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert {path for path in paths if owns(pattern, path)} == set(done.stdout.split("\0")[:-1])


# ------------------------------------------------------------------ freezes, signatures

FREEZE = """\
freeze:
  - {from: 2026-12-20T18:00+01:00, until: 2027-01-04T08:00+01:00, reason: nobody is there}
"""


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-12-20T16:59:59.999Z", False),
        ("2026-12-20T17:00:00.000Z", True),
        ("2026-12-20T13:00:00-05:00", True),
        ("2027-01-04T06:59:59.999Z", True),
        ("2027-01-04T07:00:00.000Z", False),
    ],
)
def test_a_freeze_holds_from_its_beginning_until_its_end(now: str, holds: bool) -> None:
    assert (frozen(policy(FREEZE), now) is not None) is holds


def test_a_freeze_says_how_long_why_and_how_to_break_it() -> None:
    freeze = frozen(policy(FREEZE), "2026-12-24T00:00:00Z")
    assert freeze is not None
    problem = freeze_problem(freeze, "release cut v2.7.1")
    assert (problem.exit_code, problem.where, problem.code) == (4, "release.yaml:6:7", "frozen")
    assert problem.message.startswith("nothing is released until 2027-01-04T08:00+01:00: nobody is there")
    assert problem.remedy.endswith('release cut v2.7.1 --break-freeze "..."')


def test_an_unsigned_tag_names_the_rule() -> None:
    problem = unsigned_problem(policy("signed-tags: true"), "tag v2.7.1 is not signed", "sign it")
    assert problem.message == "tag v2.7.1 is not signed (policy.signed-tags, release.yaml:5:16)"
    assert (problem.where, problem.exit_code) == ("release.yaml:5:16", 4)


def test_policies_are_equal_wherever_they_are_written() -> None:
    assert policy("types: [fix]") == policy("# moved\ntypes:\n  - fix")
    assert policy("types: [fix]") != policy("types: [feat]")
