"""What the pages quote from the program is what the program says, and what they point at is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.config.reader import parse
from orchestrator.core.errors import EXIT_MEANINGS
from tools.clidoc import (
    DOCS,
    MAN_PAGE,
    between,
    cli_page,
    earlier_table,
    environment_table,
    every_command,
    group,
    man_page,
    schema_text,
)
from tools.tool_lock import LOCK, exported

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def _section(name: str) -> str:
    return README.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_exit_codes_of_the_documentation() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), meaning) for code, meaning in EXIT_MEANINGS.items()]


def test_commands_of_the_readme() -> None:
    rows = re.findall(r"^\| [a-z ]+ \| (.*) \|$", _section("Commands"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(group().commands)


def test_the_readme_fits_three_screens() -> None:
    assert len(README.splitlines()) <= 150


def test_release_yaml_of_the_readme_is_valid() -> None:
    text = _section("release.yaml").partition("```yaml\n")[2].partition("```")[0]
    config = parse(text.encode(), "README.md")
    assert [entry.version for entry in config.releases] == ["v2.7.1"]
    assert len(text.splitlines()) <= 24


def test_the_lock_of_action_and_image_is_that_of_the_project() -> None:
    """Repair with `make tool-lock`."""
    assert exported() == LOCK.read_text()


def test_the_pages_made_from_the_command_line_are_fresh() -> None:
    """Repair with: python tools/clidoc.py"""
    assert (DOCS / "cli.md").read_text() == cli_page()
    assert between((DOCS / "environment.md").read_text(), "variables") == environment_table() + "\n"
    assert between((DOCS / "environment.md").read_text(), "earlier") == earlier_table() + "\n"
    assert (DOCS / "release.schema.json").read_text() == schema_text()
    assert MAN_PAGE.read_text() == man_page()


def test_the_man_page_is_what_man_reads() -> None:
    """Its requests are few, and each line that begins as one is one; groff, where it is there, warns of nothing."""
    lines = man_page().splitlines()
    requests = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert requests == {".TH", ".nh", ".ad", ".SH", ".SS", ".TP", ".B", ".BR", ".I", ".PP", ".RS", ".RE"}
    assert [
        name for name, _ in every_command() if not any(line.startswith(f'.SS "release {name}') for line in lines)
    ] == []
    if groff := shutil.which("groff"):
        done = subprocess.run(
            [groff, "-man", "-ww", "-Tutf8", "-P-cbou", str(MAN_PAGE)], capture_output=True, text=True, check=True
        )
        shown = ("release announce v2.7.1", "--no-image", "RELEASE_CLI_CANDIDATES_WRITE")  # none broken at a hyphen
        assert (done.stderr, [each for each in shown if each not in done.stdout]) == ("", [])


def test_every_command_has_its_document_described() -> None:
    page = (DOCS / "json.md").read_text()
    headings = " ".join(re.findall(r"^## (.*)$", page, re.MULTILINE))
    described = re.findall(r"\w+", headings) + re.findall(r"^\| `(\w+(?: \w+)?)`", page, re.MULTILINE)
    assert [name for name, _ in every_command() if name not in described and name != "hook"] == []


def test_every_flag_has_a_variable_but_those_that_say_why_not() -> None:
    without = {"--version", "--help", "--install-completion", "--show-completion", "--continue", "--skip", "--abort"}
    commands = [group(), *(command for _, command in every_command())]
    bare = {name for command in commands for each in command.params if not each.envvar for name in each.opts}
    assert {name for name in bare if name.startswith("-")} <= without


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_named_tests_exist(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"
    for path in re.findall(r"`((?:orchestrator|tests|tools|docs)/[\w./]+\.(?:py|md))`", text):
        assert (ROOT / path).exists(), path
