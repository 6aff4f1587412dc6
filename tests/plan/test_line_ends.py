"""The files that a release commit edits keep the ends of their lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.declaration import VersionFile
from orchestrator.core.results import Place
from orchestrator.plan.changelog import insert
from orchestrator.plan.line_ends import line_end
from orchestrator.plan.version_files import rewrite


def section(heading: str) -> str:
    return f"{heading}\n\n- one\n"


def new(changelog: bytes) -> bytes:
    return insert(changelog, "v2.7.1", "2026-11-28", section)


def rewritten(text: bytes, pattern: str = "") -> bytes | None:
    file = VersionFile(place=Place(file="release.yaml"), path="VERSION", pattern=pattern)
    done, problems = rewrite([file], "v2.7.1", lambda _: text)
    assert bool(problems) != bool(done)
    return done.get("VERSION")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [(b"2.7.0\n", b"2.7.1\n"), (b"2.7.0\r\n", b"2.7.1\r\n"), (b"2.7.0", b"2.7.1"), (b"", b"2.7.1\n")],
)
def test_a_file_of_the_version_alone_keeps_its_end(text: bytes, wanted: bytes) -> None:
    assert rewritten(text) == wanted


@pytest.mark.parametrize(
    ("text", "pattern", "wanted"),
    [
        (b'x\r\nv = "2.7.0"\r\ny\r\n', r'^v = "(.*)"$', b'x\r\nv = "2.7.1"\r\ny\r\n'),
        (b'x\nv = "2.7.0"\ny\n', r'^v = "(.*)"$', b'x\nv = "2.7.1"\ny\n'),
        (b"x\r\nv = 2.7.0\r\n", r"^v = (.*)$", b"x\r\nv = 2.7.1\r\n"),
        (b"a\r\n\r\nb\nv = 2.7.0\r\nz", r"^v = ([0-9.]+)\s", b"a\r\n\r\nb\nv = 2.7.1\r\nz"),
        (b"v = 2.7.0\r\n", "^v = (.*)\\r$", b"v = 2.7.1\r\n"),
        (b"v = 2.7.0\r\n", "^w = (.*)$", None),
        (b"v = none\r\n", "^v = (?:none|(.+))$", None),
    ],
)
def test_a_pattern_sees_lines_whatever_ends_them(text: bytes, pattern: str, wanted: bytes | None) -> None:
    assert rewritten(text, pattern) == wanted


@given(st.lists(st.sampled_from([b"a", b"", b"\r", b"v = 2.7.0", b"\xff"]), max_size=6), st.booleans())
def test_all_but_the_version_stays(parts: list[bytes], crlf: bool) -> None:
    text = (b"\r\n" if crlf else b"\n").join([*parts, b"v = 2.7.0", b""])
    found = rewritten(text, "^v = (2.7.0)$")
    assert found is not None
    assert found.replace(b"2.7.1", b"2.7.0") == text
    assert found.count(b"2.7.1") == 1


@pytest.mark.parametrize(
    "old",
    [
        b"# Changelog\n\n## v2.7.0\n\n- start\n",
        b"# Changelog\n\n## [Unreleased]\n\n## v2.7.0\n\n- start\n",
        b"# Changelog\n",
        b"# Changelog",
        b"## v2.7.0\n",
        b"# Changelog\n\ntext\n\n\n",
        b"# Changelog\n\n## [2.7.0] - 2026-01-02\n\n- start\n\n[2.7.0]: https://x/compare/v2.6.9..v2.7.0\n",
    ],
)
def test_a_changelog_with_crlf_gets_what_one_with_lf_gets(old: bytes) -> None:
    assert new(old.replace(b"\n", b"\r\n") + b"\r\n") == new(old + b"\n").replace(b"\n", b"\r\n")


def test_a_mixed_changelog_keeps_each_line_and_gets_the_commoner_end() -> None:
    old = b"# Changelog\n\r\n## v2.7.0\r\n\r\n- start\r\n"
    made = new(old)
    assert line_end(old) == b"\r\n"
    assert b"## v2.7.1\r\n\r\n- one\r\n" in made
    assert made.endswith(b"## v2.7.0\r\n\r\n- start\r\n")
    assert made.startswith(b"# Changelog")


def test_a_file_that_says_the_version_in_two_lines_gets_both() -> None:
    chart = b'version: 2.3.0\nappVersion: "2.3.0"\n'
    files = [
        VersionFile(place=Place(file="release.yaml"), path="Chart.yaml", pattern=pattern)
        for pattern in ("^version: (.+)", '^appVersion: "(.+)"')
    ]
    assert rewrite(files, "v2.3.1", lambda _: chart) == ({"Chart.yaml": b'version: 2.3.1\nappVersion: "2.3.1"\n'}, [])
