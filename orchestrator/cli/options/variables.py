"""The variable of each option, by one rule: `RELEASE_CLI_` and the option's name.

Where a command means something of its own by an option's name, the command stands before it: `RELEASE_CLI_INIT_IMAGE`.
Earlier versions had `RELEASE_` alone, and CI sets variables of such names for itself: docs/adr/0025-variables.md.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.credentials import USERNAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "RELEASE_CLI_"

# A variable that stays set must not decide what becomes of a paused release, or show a version instead of working.
_NONE: Final = frozenset({"--continue", "--skip", "--abort", "--version", "--install-completion", "--show-completion"})
_OWN: Final[Mapping[str, str]] = {  # a login is these and RELEASE_REGISTRY_PASSWORD, which is no option
    "--registry-username": USERNAME,
    "--password-stdin": "RELEASE_PASSWORD_STDIN",
}
# Option -> the commands that mean something of their own by it.
_OTHERWISE: Final[Mapping[str, frozenset[str]]] = {
    "--all": frozenset({"report"}),
    "--check": frozenset({"protect", "smoke"}),
    "--comment": frozenset({"ci init"}),
    "--format": frozenset({"notes", "sbom"}),
    "--image": frozenset({"doctor", "init", "verify"}),
    "--reason": frozenset({"yank"}),
    "--source": frozenset({"init"}),
    "--write": frozenset({"candidates", "ci init", "declare", "plan", "prune"}),
}


def _earlier_names(words: str) -> frozenset[str]:
    return frozenset(f"RELEASE_{word}" for word in words.split())


# Names of earlier versions: those that are still read, and those that CI may well have for something else.
STILL_READ: Final = _earlier_names(
    "ALLOW_OLDER ALLOW_UNCHECKED APPLY APPROVALS BREAK_FREEZE CHAIN CI_CUT CI_WRITE CLOSING CONFIG DECLARED DEEP"
    " DOCTOR_CI DOCTOR_IMAGE DRY_RUN EFFORT FLOATING_TO FROM_BRANCH GIT_DIR GPUS GREP INIT_BRANCH INIT_DOCKERFILE"
    " INIT_IMAGE INIT_SOURCE INIT_VERSION_FILE INTERACTIVE JSON LANDED LIMIT MAINLINE MARKDOWN NO_BUILD NO_COLOR"
    " OFFLINE OPEN PATCHES PLAIN_HTTP PRUNE_DAYS PRUNE_WRITE PUSH_STALL QUARANTINE QUIET REMOTE_STALL REPORT_ALL"
    " REQUIRED_CHECK REQUIRE_SIGNED SARIF SBOM_DIFF SBOM_FORMAT SCAN_DATA SCAN_FAIL_ON SCAN_SAVE SCAN_SERVICE"
    " SHIPPED SINCE STRICT TOOL_IMAGE TRAILER UNINSTALL VERBOSE VERIFY_IMAGE VERIFY_KEY VERIFY_REMOTE"
    " WRITE_VERSION YES"
)
NOT_READ: Final = _earlier_names(
    "ACTOR ALL AUTHOR CACHE CHECK DIR ENVIRONMENT FILE FORCE FORMAT IMAGE INSTALL LOCK LOGIN OUT OUTPUTS PATH PLAN"
    " PLATFORM PROVIDER PULL_REQUEST REASON REPO REPORT REPOSITORY SERVER SOURCE SUMMARY TYPE URL VARIANT VERIFY"
    " WAIT WRITE"
)
# Variable -> its earlier name, where that is not the same without `CLI_`.
_RENAMED: Final[Mapping[str, str]] = {
    f"{PREFIX}{now}": f"RELEASE_{before}"
    for now, before in (
        ("BRANCH", "INIT_BRANCH"), ("CANDIDATES_WRITE", "WRITE_VERSION"), ("CI", "DOCTOR_CI"), ("CUT", "CI_CUT"),
        ("CI_INIT_WRITE", "CI_WRITE"), ("DATA", "SCAN_DATA"), ("DECLARE_WRITE", "WRITE"), ("DIFF", "SBOM_DIFF"),
        ("DOCKERFILE", "INIT_DOCKERFILE"), ("FAIL_ON", "SCAN_FAIL_ON"), ("KEY", "VERIFY_KEY"),
        ("NOTES_FORMAT", "FORMAT"), ("OLDER_THAN", "PRUNE_DAYS"), ("OUTPUT", "REPORT"), ("PLAN_WRITE", "WRITE"),
        ("PROTECT_CHECK", "REQUIRED_CHECK"), ("REMOTE", "VERIFY_REMOTE"), ("SAVE", "SCAN_SAVE"),
        ("SERVICE", "SCAN_SERVICE"), ("SMOKE_CHECK", "CHECK"), ("VERSION_FILE", "INIT_VERSION_FILE"),
        ("YANK_REASON", "REASON"),
    )
}  # fmt: skip


def earlier(variable: str) -> str:
    """What a variable would have been called by earlier versions, whether they had it or not."""
    return _RENAMED.get(variable) or variable.replace(PREFIX, "RELEASE_", 1)


def variable_of(command: str, parameter: Any) -> str | None:
    """The variable of an option of a command (`ci init`; "" for what stands before a command)."""
    if parameter.param_type_name != "option":
        return None
    name = spelling(parameter)
    if name in _NONE:
        return None
    word = name if name.startswith("--") else parameter.metavar  # `-C DIR` has no long name
    return _OWN.get(name) or _spelled(word, command if command in _OTHERWISE.get(name, ()) else "")


@cache
def _spelled(word: str, command: str) -> str:
    return PREFIX + f"{command} {word.lstrip('-')}".strip().upper().replace("-", "_").replace(" ", "_")


def spelling(parameter: Any) -> str:
    """An option's long name where it has one."""
    return str(max(parameter.opts, key=len))


def set_variables(program: Any) -> None:
    """Give each option of the program its variable."""
    for command, parameter in _options(program):
        parameter.envvar = variable_of(command, parameter)


def heed_earlier(program: Any, env: Mapping[str, str]) -> None:
    """Have the earlier name read where it is set, and the present one is not."""
    for _, parameter in _options(program) if any(env.get(name) for name in STILL_READ) else ():
        before = earlier(parameter.envvar or "")
        if before in STILL_READ and env.get(before) and not env.get(parameter.envvar):
            parameter.envvar = before


def unread(context: Any, env: Mapping[str, str]) -> Iterator[str]:
    """A note on each variable that is set and was read by earlier versions, for a command that has its option."""
    for parameter in context.command.params:
        before = earlier(parameter.envvar or "")
        if before in NOT_READ and env.get(before) and not env.get(parameter.envvar) and not _typed(context, parameter):
            yield f"note: {before} is not read; the variable of {spelling(parameter)} is {parameter.envvar}"


def _typed(context: Any, parameter: Any) -> bool:
    """Whether the option stands on the command line, before the command or after it."""
    contexts = [each for each in (context, context.parent) if each]
    sources = (each.get_parameter_source(parameter.name) for each in contexts)
    return any(source is not None and source.name == "COMMANDLINE" for source in sources)


def is_set(variable: str, env: Mapping[str, str]) -> bool:
    """Whether a flag is switched on by its variable, for who has to know it without the command line being parsed."""
    before = earlier(variable)
    value = env.get(variable) or (env.get(before, "") if before in STILL_READ else "")
    return value.strip().lower() in ("1", "true", "t", "yes", "y", "on")


def _options(program: Any) -> Iterator[tuple[str, Any]]:
    """Each option with its command, `ci init` for one of a group; "" for those before a command."""
    yield from (("", each) for each in program.params)
    for name, command in program.commands.items():
        below = getattr(command, "commands", {})
        parts = {f"{name} {each}": part for each, part in below.items()} or {name: command}
        yield from ((whole, each) for whole, part in parts.items() for each in part.params)
