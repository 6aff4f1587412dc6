"""A new section looks as those that the changelog has: heading, date, link."""

from __future__ import annotations

import re

import pytest

from orchestrator.core.versions import Scheme, use
from orchestrator.plan.changelog import insert
from orchestrator.plan.changelog_style import day_of, format_of, heading
from tests.support.waiting import within

KEEP = """\
# Changelog

All notable changes.

## [Unreleased]

### Added

- something for 2.8

## [2.7.0] - 2026-01-02

### Fixed

- one thing ([2.7.0])

## [2.6.9] - 2025-12-01

- old

[unreleased]: https://github.com/o/r/compare/v2.7.0...HEAD
[2.7.0]: https://github.com/o/r/compare/v2.6.9...v2.7.0
[2.6.9]: https://github.com/o/r/releases/tag/v2.6.9
"""


MOVED = "[Unreleased]: https://x/compare/v2.7.1...main\n[2.7.1]: https://x/compare/v2.7.0...v2.7.1\n"


def made(text: str, version: str = "v2.7.1") -> str:
    return insert(text.encode(), version, "2026-11-28", "{}\n\n- new\n".format).decode()


def test_keep_a_changelog_is_kept() -> None:
    wanted = KEEP.replace("## [2.7.0]", "## [2.7.1] - 2026-11-28\n\n- new\n\n## [2.7.0]").replace(
        "[unreleased]: https://github.com/o/r/compare/v2.7.0...HEAD\n",
        "[unreleased]: https://github.com/o/r/compare/v2.7.1...HEAD\n"
        "[2.7.1]: https://github.com/o/r/compare/v2.7.0...v2.7.1\n",
    )
    assert made(KEEP) == wanted
    assert day_of(wanted, "v2.7.1") == "2026-11-28"
    again = made(wanted, "v2.7.2")
    assert "[2.7.2]: https://github.com/o/r/compare/v2.7.1...v2.7.2\n[2.7.1]: " in again
    assert "[unreleased]: https://github.com/o/r/compare/v2.7.2...HEAD\n" in again


@pytest.mark.parametrize(
    ("newest", "wanted"),
    [
        ("## v2.7.0", "## v2.7.1"),
        ("## 2.7.0", "## 2.7.1"),
        ("## [v2.7.0] - 2026-01-02", "## [v2.7.1] - 2026-11-28"),
        ("## [2.7.0] - 2026-01-02 [YANKED]", "## [2.7.1] - 2026-11-28"),
        ("## [2.7.0] \u2013 2026-01-02 ##", "## [2.7.1] \u2013 2026-11-28"),
        ("## 2.7.0 (2026-01-02)", "## 2.7.1 (2026-11-28)"),
        ("## 2.7.0, 2026-01-02", "## 2.7.1, 2026-11-28"),
        ("# 2.7.0 2026-01-02", "# 2.7.1 2026-11-28"),
        ("## Version 2.7.0", "## Version 2.7.1"),
        ("## 2.7.0 \u2013 January 2026", "## 2.7.1"),  # a date that nobody can write for sure
        ("### [2.7.0](https://x/compare/v2.6.9...v2.7.0) (2026-01-02)",
         "### [2.7.1](https://x/compare/v2.7.0...v2.7.1) (2026-11-28)"),
        ("## [2.7.0](https://x/releases/v2.7.0)", "## [2.7.1](https://x/releases/v2.7.1)"),
        ("2.7.0 (2026-01-02)\n------------------", "2.7.1 (2026-11-28)\n------------------"),
        ("2.7.0\n=====", "2.7.1\n====="),
    ],
)  # fmt: skip
def test_the_heading_is_written_as_the_newest(newest: str, wanted: str) -> None:
    text = f"# Changelog\n\n## Unreleased\n\n### 2.6 users\n\n- look\n\n{newest}\n\n- old\n"
    assert made(text) == text.replace(newest, f"{wanted}\n\n- new\n\n{newest}", 1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# Changelog\n", "# Changelog\n\n## v2.7.1\n\n- new\n"),
        ("# Changelog\n\n## Unreleased\n\n- x\n", "# Changelog\n\n## Unreleased\n\n- x\n\n## v2.7.1\n\n- new\n"),
        ("## [Unreleased]\n\n- x\n", "## [Unreleased]\n\n- x\n\n## [2.7.1] - 2026-11-28\n\n- new\n"),
        (
            "## [Unreleased]\n\n- x\n\n[Unreleased]: https://x/compare/v2.7.0...main\n",
            "## [Unreleased]\n\n- x\n\n## [2.7.1] - 2026-11-28\n\n- new\n\n" + MOVED,
        ),
        ("## The past\n\n- x\n", "## v2.7.1\n\n- new\n\n## The past\n\n- x\n"),
        (
            "## [2.7.0]\n\n- x\n\n[other]: https://x\n",
            "## [2.7.1]\n\n- new\n\n## [2.7.0]\n\n- x\n\n[other]: https://x\n",
        ),
    ],
)
def test_where_there_is_no_version_or_no_link(text: str, wanted: str) -> None:
    assert made(text) == wanted


def test_the_version_is_written_as_the_project_does() -> None:
    use(Scheme.of("image-", "semver"))
    for newest, wanted in (
        ("## [image-2.7.0]", "## [image-2.7.1]"),
        ("## 2.7.0", "## 2.7.1"),
        ("## x", "## image-2.7.1"),
    ):
        assert heading(newest, "image-2.7.1", "2026-11-28") == wanted


@pytest.mark.parametrize(
    ("path", "text", "what"),
    [
        ("CHANGELOG.md", "2.7.0\n-----\n", ""),
        ("docs/CHANGES.rst", "", "reStructuredText"),
        ("CHANGES", "2.7.0\n-----\n\n* x\n", "reStructuredText"),
        ("CHANGES.txt", "# Changes\n\n2.7.0\n-----\n", ""),
        ("NEWS", "nothing yet\n", ""),
        ("news.adoc", "", "AsciiDoc"),
    ],
)
def test_what_is_no_markdown_is_named(path: str, text: str, what: str) -> None:
    assert format_of(path, text.encode()) == what


@pytest.mark.parametrize(
    "line", ["# " + " " * 200_000, "[a]: " + "x" * 200_000, "9.9" * 70_000, "## " + "1." * 100_000, "[x]: y\n" * 30_000]
)
def test_no_changelog_takes_long(line: str) -> None:
    with within():
        text = made(f"# Changelog\n\n{line}\n\nx\n{line}")
    assert re.search(r"^## v2\.7\.1$", text, re.MULTILINE)
