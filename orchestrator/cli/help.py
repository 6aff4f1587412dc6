"""What `--help` shows beside the options: the commands by what they are for, and an example of each."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.errors import Exit

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Make a release": ("declare", "plan", "cut", "continue", "skip", "abort", "publish", "promote", "announce", "yank"),
    "Look": ("status", "show", "report", "notes", "sbom", "scan", "log", "duplicates", "candidates"),
    "Prove": ("audit", "verify", "rebuild", "smoke"),
    "Guard": ("protect", "hook"),
    "Set up": ("init", "check", "doctor", "ci", "patch", "schema", "prune"),
}
OTHER: Final = "Other commands"

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "declare": ("release declare v2.7.1 --from-branch", "release declare v2.7.1 --from-branch --write"),
    "plan": ("release plan v2.7.1", "release plan v2.7.1 --json > plan.json"),
    "cut": ("release cut v2.7.1", "release cut v2.7.1 --yes --plan plan.json"),
    "continue": ("release continue",),
    "skip": ("release skip --reason 'the code it corrects is not on this branch'",),
    "abort": ("release abort v2.7.1",),
    "publish": ("release publish v2.7.1",),
    "promote": ("release promote v2.7.1-rc1 v2.7.1",),
    "announce": ("release announce v2.7.1",),
    "yank": ("release yank v2.7.1 --reason 'loses gradients on two nodes'",),
    "status": ("release status", "release status v2.7.1 --json"),
    "show": ("release show v2.7.1",),
    "report": ("release report v2.7.1 --open", "release report --all"),
    "notes": ("release notes v2.7.1 --format md > notes.md",),
    "sbom": ("release sbom v2.7.1", "release sbom v2.7.1 --diff v2.7.0"),
    "scan": ("release scan v2.7.1", "release scan v2.7.1 --data osv.zip --fail-on high"),
    "log": ("release log 3f1c2d4",),
    "duplicates": ("release duplicates",),
    "candidates": ("release candidates",),
    "audit": ("release audit", "release audit release/v2.7 --json"),
    "verify": ("release verify v2.7.1",),
    "rebuild": ("release rebuild v2.7.1",),
    "smoke": ("release smoke IMAGE",),
    "prune": ("release prune", "release prune --older-than 30 --write"),
    "protect": ("release protect --provider github",),
    "hook": ("release hook install",),
    "init": ("release init", "release init --yes --image ghcr.io/acme/image"),
    "check": ("release check",),
    "doctor": ("release doctor", "release doctor --ci"),
    "ci init": ("release ci init --provider github --write",),
    "patch import": ("release patch import COMMIT --repo ../pytorch",),
    "patch list": ("release patch list",),
    "schema": ("release schema > release.schema.json",),
}

_WIDEST: Final = 110  # columns; longer lines are hard to read
SETTINGS: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": min(shutil.get_terminal_size().columns, _WIDEST),
}


def epilog_of(name: str) -> str:
    """The examples of a command as the help shows them, "" where it has none; \\b keeps the lines as they are."""
    lines = EXAMPLES.get(name, ())
    head = "Examples:" if len(lines) > 1 else "Example:"
    return "\n".join(["\b", head, *(f"  {line}" for line in lines)]) if lines else ""


def _whole_sentence(command: Any) -> str:
    """The first sentence of a command's help; the formatter wraps it."""
    text = " ".join((command.help or "").split())
    return text.partition(". ")[0].rstrip(".")


def exit_codes(meanings: Mapping[Exit, str]) -> str:
    """The table of exit codes, a line or more each."""
    rows = (f"{int(code):>5}  {meaning}" for code, meaning in meanings.items())
    width = SETTINGS["max_content_width"] - 2
    lines = [line for row in rows for line in textwrap.wrap(row, min(width, 78), subsequent_indent=" " * 7)]
    return "\n".join(["\b", "Exit codes:", *lines])


class Grouped(TyperGroup):
    """The commands of the program in sections."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # as click calls it
        there = {name: command for name, command in self.commands.items() if not command.hidden}
        grouped = {name for names in GROUPS.values() for name in names}
        sections = {**GROUPS, OTHER: tuple(name for name in there if name not in grouped)}
        width = max(map(len, there), default=0)
        for title, names in sections.items():
            rows = [(name.ljust(width), _whole_sentence(there[name])) for name in names if name in there]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
