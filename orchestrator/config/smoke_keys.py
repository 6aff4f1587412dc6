"""Smoke commands in release.yaml, as text, list or mapping."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.config import validators as rules
from orchestrator.config.schema import Either, Got, Key, ListOf, Mapped, Table, Text
from orchestrator.core.declaration import SmokeCommand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.results import Place

_SHELL = ("/bin/sh", "-c")
_MAX_NAME = 60  # characters of a command that serve as its name

LINE = Text(convert=rules.plain, what="a line of text")
COMMAND_TEXT = Text(convert=rules.plain, what="a command", one_line=False)
FILE = Text(convert=rules.file_path, what="a path", json={"pattern": r"^[^/~-]"})

# ------------------------------------------------------------------ smoke commands

NAME = Key(name="name", shape=LINE, help="What reports call it. Unique.", default="the command's first line")
RUN: Key[tuple[str, ...]] = Key(
    name="run",
    shape=Either(
        what="a command (text or list)",
        text=Mapped(shape=COMMAND_TEXT, into=lambda text, _: (*_SHELL, text)),
        items=ListOf(
            item=Text(convert=rules.plain, one_line=False, exact=True),
            empty_code="config-no-command",
            empty_remedy='write it as ["python", "-c", "import torch"]',
        ),
    ),
    help="The command: a text is run by `/bin/sh -c`, a list is run as it is.",
    required=True,
)
TIMEOUT = Key(
    name="timeout",
    shape=Text(
        convert=rules.timeout,
        what="a time",
        json={"type": ["string", "number"], "pattern": f"^{rules.TIMEOUT_GRAMMAR}$", "exclusiveMinimum": 0},
    ),
    help="Seconds, or with a unit: `90s`, `5m`, `1h`.",
    default="300",
)
SMOKE_NETWORK = Key(
    name="network",
    shape=Text(convert=rules.one_of("none", "bridge", "host"), json={"enum": ["none", "bridge", "host"]}),
    help="The container's network: `none`, `bridge` or `host`.",
    default="none",
)


def _smoke_command(got: Got) -> SmokeCommand:
    return SmokeCommand(
        name=got(NAME, ""),
        command=got(RUN, ()),
        timeout=got(TIMEOUT, SmokeCommand.timeout),
        network=got(SMOKE_NETWORK, SmokeCommand.network),
    )


def bare_command(command: tuple[str, ...], _: Place) -> SmokeCommand:
    return SmokeCommand(name="", command=command)


SMOKE_COMMAND = Table(title="a smoke command", keys=(NAME, RUN, TIMEOUT, SMOKE_NETWORK), build=_smoke_command)


def named(commands: Sequence[SmokeCommand]) -> tuple[SmokeCommand, ...]:
    """Name the nameless after their command, with a number where that is taken."""
    taken = Counter(command.name for command in commands)
    named: list[SmokeCommand] = []
    for command in commands:
        name = command.name or _short(command.command)
        while not command.name and taken[name]:
            taken[name] += 1
            name = f"{name} ({taken[name]})"
        taken[name] += 1
        named.append(replace(command, name=name))
    return tuple(named)


def _short(command: tuple[str, ...]) -> str:
    words = command[len(_SHELL) :] if command[: len(_SHELL)] == _SHELL else command
    first = " ".join(words).strip().partition("\n")[0] or "command"
    return first if len(first) <= _MAX_NAME else f"{first[: _MAX_NAME - 1]}…"
