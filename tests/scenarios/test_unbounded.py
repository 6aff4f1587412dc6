"""What would take minutes: patterns, sizes and counts that a branch may bring have limits, looked at early."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.reader import parse
from orchestrator.core.errors import ConfigError, UsageError
from orchestrator.core.glob import owns
from orchestrator.core.results import MAX_SHOWN, Progress
from orchestrator.dockerfile.ignore import ignore_filter
from orchestrator.image.context import ContextEntry, IgnoreRules, write_context
from orchestrator.plan.line_ends import group_place
from orchestrator.report.console import Console
from tests.support.cli import release
from tests.support.story import fix_line
from tests.support.waiting import within

if TYPE_CHECKING:
    from tests.support.story import Story

pytestmark = pytest.mark.hostile
HEAD = "version: 1\nbranch: release/v2.7\nsource: main\n"


@pytest.mark.parametrize(
    "pattern", ["a*" * 40 + "b", "**/" * 40 + "b", "*/" * 40 + "b", "**/a*" * 40 + "b", "?*" * 40 + "b"]
)
def test_patterns_are_matched_in_linear_time(pattern: str) -> None:
    """Each took more than 40 s before, and takes milliseconds now."""
    path = "a" * 200 + "/a" * 100
    with within(30):
        owns(pattern, path)
    with within(30):
        ignore_filter(pattern)(path)


def test_a_dockerignore_of_a_thousand_rules_and_files() -> None:
    ignored = ignore_filter("\n".join(f"dir{n}/*.x" for n in range(1000)))
    with within(30):
        assert not any(ignored(f"src/{n % 9}/a/{n}.py") for n in range(2000))
    with pytest.raises(UsageError, match="1001 patterns"):
        ignore_filter("\n".join(f"a{n}" for n in range(1001)))
    for bad in ("[b-a]", "x" * 2000):
        with pytest.raises(UsageError) as refused:
            ignore_filter(f"ok\n{bad}")
        assert refused.value.where == ".dockerignore:2"


def test_a_version_pattern_that_never_ends_is_ended() -> None:
    assert group_place("^v = (.*)$", b"a\nv = 1\n") is not None
    with pytest.raises(UsageError) as ended:
        group_place("(a+)+$b", b"a" * 64)
    assert ended.value.code == "slow-pattern"
    assert group_place("^v = (.*)$", b"a\nv = 1\n") is not None


@pytest.mark.wide
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x: [" + "a," * 500_000 + "]", "config-too-big"),
        ("".join(f"k{n}: 1\n" for n in range(49_000)), "config-too-big"),
        ("x: " + "[" * 500_000, "config-too-deep"),
    ],
)
def test_a_large_release_yaml_is_refused_early(text: str, code: str) -> None:
    """24 s and 98,000 lines before."""
    with pytest.raises(ConfigError) as refused:
        parse((HEAD + text).encode(), "release.yaml")
    assert refused.value.problems[-1].code == code


def test_fifty_faults_are_shown_and_the_rest_is_counted() -> None:
    with pytest.raises(ConfigError) as refused:
        parse((HEAD + "".join(f"k{n}: 1\n" for n in range(3_000))).encode(), "release.yaml")
    *shown, rest = refused.value.problems
    assert [problem.where for problem in shown] == [f"release.yaml:{4 + n}:1" for n in range(MAX_SHOWN)]
    assert rest.message == f"and {3_000 - MAX_SHOWN} more faults"


def test_so_they_are_of_every_file_that_check_reads(tale: Story) -> None:
    many = 3 * MAX_SHOWN
    tale.clone.write("Dockerfile", "FROM scratch\n" + "".join(f"BAD{n} x\n" for n in range(many)))
    tale.clone.write("requirements.lock", "".join(f"package{n}\n" for n in range(many)))
    tale.release_yaml(
        fix_line(tale.fix),
        extra="image:\n  repository: registry.example.com/x\n  lock: requirements.lock\n",
    )
    ran = release("check", "--json", cwd=tale.clone.path)
    rows = [(each["where"], each["message"]) for each in ran.json["problems"]]
    more = f"and {many - MAX_SHOWN} more faults"
    counted = [where for where, message in rows if message == more]
    assert counted == ["Dockerfile", "requirements.lock"], rows
    for name in counted:
        assert sum(where.startswith(f"{name}:") for where, _ in rows) == MAX_SHOWN


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/x", "a//x", "./x", "a/..", ".."])
def test_an_entry_that_leaves_the_context_is_named(path: str) -> None:
    """git makes no such tree; by hand somebody may, and what unpacks the tar would follow it."""
    entries = [ContextEntry(path=name, mode="100644", sha="a" * 40) for name in ("Dockerfile", path)]
    with pytest.raises(UsageError) as refused:
        write_context(
            entries, lambda _: b"", io.BytesIO(), root=".", dockerfile="Dockerfile", mtime=0, rules=IgnoreRules()
        )
    assert (refused.value.code, refused.value.where) == ("bad-tree-entry", path)


def test_the_live_view_shows_no_control_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Window title, clipboard, alternate screen: a build log would drive the terminal."""
    shown: list[Progress] = []

    class Live:
        def __init__(self, title: str) -> None:
            shown.append(Progress(text=title))

        def show(self, progress: Progress) -> None:
            shown.append(progress)

        def stop(self) -> None:
            pass

    monkeypatch.setattr("orchestrator.report.screen.live.Live", Live)
    console = Console(as_json=False, quiet=False, verbose=False, color=True, env={}, interactive=True)
    evil = "\x1b]0;title\x07\x1b]52;c;Y2xpcA==\x07\x1b[?1049h\x9b2J"
    console._begin(f"build {evil}")
    console.progress(Progress(text=evil, item=evil, is_log=True))
    assert len(shown) == 2
    assert all(f"{each.text}{each.item}".isprintable() for each in shown)
    assert "\\x1b]0;title\\x07" in shown[1].text
