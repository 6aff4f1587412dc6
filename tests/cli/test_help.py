"""`--help`: every command is in a section and has an example that its own options take."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer

from orchestrator.cli import app
from orchestrator.cli.app import program, program_of
from orchestrator.cli.help import EXAMPLES, GROUPS
from tests.support.cli import clean_env, release, started

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Any = typer.main.get_command(app)
BELOW = {name: tuple(getattr(command, "commands", {})) for name, command in PROGRAM.commands.items()}


def test_every_command_is_in_one_section() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(PROGRAM.commands)


def test_every_command_has_an_example() -> None:
    named = [name for name, parts in BELOW.items() if not parts]
    assert sorted(EXAMPLES) == sorted([*named, *(f"{name} {part}" for name, parts in BELOW.items() for part in parts)])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_taken(name: str) -> None:
    """Parsed as typed, without what a shell does with the output."""
    for line in EXAMPLES[name]:
        words = shlex.split(line.partition(" > ")[0])
        parts = name.split()
        assert words[: 1 + len(parts)] == ["release", *parts]
        command, rest = PROGRAM, words[1:]
        for part in parts:
            command, rest = command.commands[part], rest[1:]
        command.make_context(name, rest)  # raises for what it does not take


def test_it_is_shown(tmp_path: Path) -> None:
    for asked in ("-h", "--help"):
        shown = release(asked, cwd=tmp_path)
        assert shown.code == 0
        assert [title for title in GROUPS if f"\n{title}:\n" in shown.out] == list(GROUPS)
        assert "\n      8  another release holds the lock\n" in shown.out
    shown = release("cut", "-h", cwd=tmp_path)
    assert f"\n    {EXAMPLES['cut'][0]}\n" in shown.out


def test_the_list_of_commands_is_made_of_names_and_help_alone() -> None:
    program.cache_clear()
    listed: Any = program_of(["--help"])
    assert not any(each.params for each in listed.commands.values() if not hasattr(each, "commands"))
    whole: Any = program()
    assert shown(listed) == shown(whole)
    assert "  cut " in shown(listed)
    assert program_of(["--help", "cut"]) is whole


def shown(made: Any) -> str:
    return str(made.get_help(made.make_context("release", [], resilient_parsing=True)))


@pytest.mark.parametrize("line", ["cut v2.7.1", "-C ci --json plan", "ci init --write", "hook run update"])
def test_only_what_a_command_line_names_is_made(line: str) -> None:
    """To make all commands takes longer than all else that `--help` of one does."""
    program.cache_clear()
    words = line.split()
    made: Any = program_of(words)
    assert sorted(made.commands) == sorted(set(words) & set(PROGRAM.commands))


@pytest.mark.parametrize("line", ["", "--help", "ctu"])
def test_all_commands_are_made_where_none_is_named(line: str) -> None:
    made: Any = program_of(line.split())
    assert sorted(made.commands) == sorted(PROGRAM.commands)


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o default -F _release_completion release"),
        ("zsh", "compdef _release_completion release"),
        ("fish", "complete --command release --no-files"),
    ],
)
def test_completion_of_the_shell_that_is_named(tmp_path: Path, shell: str, line: str) -> None:
    """Whatever shell is running: a package or an image puts the scripts of all of them in their places."""
    shown = started("--show-completion", shell, cwd=tmp_path, env=clean_env())
    assert shown.code == 0
    assert [each[: len(line)] for each in shown.out.splitlines()].count(line) == 1


def test_completion_of_no_shell(tmp_path: Path) -> None:
    assert "takes one of bash, zsh, fish" in started("--show-completion", "tcsh", cwd=tmp_path, env=clean_env()).err
    refused = started("--install-completion", "fish", cwd=tmp_path, env=clean_env())
    assert (refused.code, "release --show-completion fish" in refused.err) == (2, True)
