"""`python tools/clidoc.py`: write docs/cli.md, the tables of docs/environment.md and the man page
(orchestrator/release.1) from the command line itself, and the schema of release.yaml for editors
(docs/release.schema.json).

tests/test_docs.py compares all of them.  Rendered here and not by the help formatter, so that another version of typer
does not change the pages.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from orchestrator.cli.app import program
from orchestrator.cli.help import EXAMPLES, GROUPS
from orchestrator.cli.options.variables import NOT_READ, STILL_READ, earlier
from orchestrator.config.reader import schema
from orchestrator.core.errors import EXIT_MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DOCS = Path(__file__).parents[1] / "docs"
MAN_PAGE = DOCS.parent / "orchestrator" / "release.1"  # in the package, which is all that is copied to build it
_HEAD = """\
# The commands

<!-- made by tools/clidoc.py, compared by tests/test_docs.py -->

What `release COMMAND --help` says, on one page. `release` alone says where this repository stands and what is
likely next. Options can stand in any order; those that every command takes may stand before it too
(`release -C DIR plan`). The variables are those of [environment.md](environment.md).
"""


def schema_text() -> str:
    """docs/release.schema.json."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def group() -> Any:
    """The command line as typer builds it; `Any`, because its classes differ between versions of typer."""
    return program()


def every_command() -> Iterator[tuple[str, Any]]:
    """Name as typed and command, those of groups (`patch import`) too."""
    for name, command in group().commands.items():
        below = getattr(command, "commands", {})
        yield from ((f"{name} {each}", part) for each, part in below.items()) if below else [(name, command)]


def cli_page() -> str:
    """docs/cli.md."""
    root = group()
    common = [parameter for parameter in root.params if parameter.envvar]
    parts = [_HEAD, "## Every command", _options(root.params)]
    shared = {tuple(parameter.opts) for parameter in common}
    for name, command in every_command():
        own = [parameter for parameter in command.params if tuple(parameter.opts) not in shared]
        arguments = [parameter for parameter in own if parameter.param_type_name == "argument"]
        options = [parameter for parameter in own if parameter.param_type_name == "option"]
        parts += [f"## release {name}", _usage(name, arguments, options), command.help.strip()]
        parts += [_options(options)] if options else []
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _usage(name: str, arguments: Iterable[Any], options: Iterable[Any]) -> str:
    words = [f"release {name}", *(_metavar(argument) for argument in arguments), "[OPTIONS]" if options else ""]
    return f"    {' '.join(words).strip()}"


def _metavar(argument: Any) -> str:
    name = (argument.metavar or argument.name).strip("[]").upper()
    return name if argument.required else f"[{name}]"


def _options(parameters: Iterable[Any]) -> str:
    rows = [f"| {_spelling(each)} | {_variable(each)} | {_text(each)} |" for each in parameters]
    return "\n".join(["| option | variable | meaning |", "|---|---|---|", *rows])


def _spelling(parameter: Any) -> str:
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.rpartition('_')[2].upper()}"
    return ", ".join(f"`{name}{value}`" for name in parameter.opts).replace("|", "\\|")  # it would end the cell


def _variable(parameter: Any) -> str:
    return f"`{parameter.envvar}`" if parameter.envvar else "—"


def _text(parameter: Any) -> str:
    default = f" Default: {parameter.default:g}." if isinstance(parameter.default, float) else ""
    return f"{parameter.help}{default}"


def environment_table() -> str:
    """One row a variable and meaning, with the commands that read it so."""
    common = {parameter.envvar: parameter for parameter in group().params if parameter.envvar}
    meanings: dict[str, dict[tuple[str, str], list[str]]] = {
        variable: {(_spelling(parameter), _text(parameter)): ["every command"]}
        for variable, parameter in common.items()
    }
    for name, command in every_command():
        for parameter in command.params:
            if parameter.envvar and parameter.envvar not in common:
                meaning = (_spelling(parameter), _text(parameter))
                meanings.setdefault(parameter.envvar, {}).setdefault(meaning, []).append(f"`{name}`")
    rows = [
        f"| `{variable}` | {spelling} | {', '.join(commands)} | {text} |"
        for variable, rows in meanings.items()
        for (spelling, text), commands in rows.items()
    ]
    return "\n".join(["| variable | option | read by | meaning |", "|---|---|---|---|", *rows])


def earlier_table() -> str:
    """The names that earlier versions had: what is read in their place, and whether they are read still."""
    commands = [group(), *(command for _, command in every_command())]
    present: dict[str, dict[str, None]] = {}
    for variable in sorted({each.envvar for command in commands for each in command.params if each.envvar}):
        present.setdefault(earlier(variable), {})[f"`{variable}`"] = None
    rows = [
        f"| `{before}` | {', '.join(present[before])} | {read} |"
        for names, read in ((NOT_READ, "no, and it is said"), (STILL_READ, "yes"))
        for before in sorted(names)
    ]
    return "\n".join(["| earlier | now | still read |", "|---|---|---|", *rows])


# ------------------------------------------------------------------ the man page


def man_page() -> str:
    """orchestrator/release.1, in man(7): without a date and a version, so that it changes with the commands alone."""
    root = group()
    sections = {name: title for title, names in GROUPS.items() for name in names}
    lines = [
        '.TH RELEASE 1 "" "release" "User Commands"',
        ".nh",  # a variable or option with a hyphen in it cannot be copied
        ".ad l",
        ".SH NAME",
        f"release \\- {_roff(root.help.strip().rstrip('.'))}",
    ]
    lines += [".SH SYNOPSIS", ".B release", "[OPTIONS] COMMAND [ARGUMENTS]", ".SH OPTIONS OF EVERY COMMAND"]
    common = [parameter for parameter in root.params if parameter.envvar]
    shared = {tuple(parameter.opts) for parameter in common}
    lines += _man_options(root.params)
    title = ""
    for name, command in sorted(every_command(), key=lambda row: [*sections].index(row[0].split()[0])):
        if sections[name.split()[0]] != title:
            title = sections[name.split()[0]]
            lines.append(f".SH {title.upper()}")
        own = [parameter for parameter in command.params if tuple(parameter.opts) not in shared]
        lines += _man_command(name, command, own)
    lines.append(".SH EXIT STATUS")
    for code, meaning in EXIT_MEANINGS.items():
        lines += [".TP", f".B {int(code)}", _roff(meaning)]
    lines += [".SH FILES", ".TP", ".I release.yaml", "What is to be released, at the top of the repository."]
    lines += [".SH SEE ALSO", ".BR git\\-cherry\\-pick (1),", ".BR docker (1)"]
    return "\n".join(lines) + "\n"


def _man_command(name: str, command: Any, own: list[Any]) -> list[str]:
    arguments = [parameter for parameter in own if parameter.param_type_name == "argument"]
    options = [parameter for parameter in own if parameter.param_type_name == "option"]
    lines = [f'.SS "{_roff(_usage(name, arguments, options).strip())}"', _roff(" ".join(command.help.split()))]
    lines += _man_options(options)
    for example in EXAMPLES[name]:
        lines += [".PP", ".RS 4", f"\\fB{_roff(example)}\\fR", ".RE"]
    return lines


def _man_options(parameters: Iterable[Any]) -> list[str]:
    lines = []
    for each in parameters:
        value = "" if each.is_flag else f" \\fI{_roff(each.metavar or each.name.rpartition('_')[2].upper())}\\fR"
        spelled = ", ".join(f"\\fB{_roff(name)}\\fR{value}" for name in (*each.opts, *each.secondary_opts))
        variable = f" ({each.envvar})" if each.envvar else ""
        lines += [".TP", spelled, _roff(f"{_text(each)}{variable}")]
    return lines


def _roff(text: str) -> str:
    """Text in which nothing is an escape or a request."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def between(text: str, name: str, new: str | None = None) -> str:
    """What stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`; with `new`, the text with that replaced."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    head, _, rest = text.partition(begin)
    old, _, tail = rest.partition(end)
    return old if new is None else f"{head}{begin}{new}\n{end}{tail}"


def main() -> None:
    """Write all of them."""
    (DOCS / "cli.md").write_text(cli_page())
    page = DOCS / "environment.md"
    page.write_text(between(page.read_text(), "variables", environment_table()))
    page.write_text(between(page.read_text(), "earlier", earlier_table()))
    (DOCS / "release.schema.json").write_text(schema_text())
    MAN_PAGE.write_text(man_page())
    print("docs/cli.md, docs/environment.md, docs/release.schema.json, orchestrator/release.1")


if __name__ == "__main__":
    main()
