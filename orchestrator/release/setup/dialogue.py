"""What a person decides of a first release.yaml: by options, or asked for on a terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orchestrator.config import validators
from orchestrator.config.template import dockerfile_of, release_branch
from orchestrator.config.validators import BadTextError
from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import RefusedError, UsageError
from orchestrator.core.reference import parse_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from orchestrator.config.template import StarterFacts
    from orchestrator.session.terminal import Terminal

_LONGEST: Final = 200  # characters of a file that is nothing but a version
NONE: Final = "none"  # of --image and --version-file


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What was given by options; "" and () mean: as found, or as answered."""

    branch: str = ""
    source: str = ""
    image: str = ""
    dockerfile: str = ""
    version_files: tuple[str, ...] = ()


def chosen(facts: StarterFacts, choices: Choices, top: Path) -> StarterFacts:
    """The facts as the options have them.  Raises UsageError for what release.yaml would not take."""
    changed = facts
    if choices.branch:
        changed = replace(changed, chosen_branch=_checked("--branch", validators.branch, choices.branch))
    if choices.source:
        changed = replace(changed, default_branch=_checked("--source", validators.ref, choices.source))
    if choices.dockerfile:
        changed = replace(changed, chosen_dockerfile=_file("--dockerfile", choices.dockerfile, top))
    if choices.image:
        changed = replace(changed, image="" if choices.image == NONE else _repository(choices.image))
    if choices.version_files:
        changed = replace(changed, version_files=_version_files(facts, choices.version_files, top))
    return changed


def asked(facts: StarterFacts, choices: Choices, top: Path, terminal: Terminal) -> StarterFacts:
    """The facts as the person at the terminal has them; what an option gave is not asked for.

    Raises RefusedError where the person leaves.
    """
    found = facts
    if not choices.branch:
        branch = _ask(terminal, "release branch", release_branch(facts), validators.branch)
        found = replace(found, chosen_branch=branch)
    if not choices.source:
        found = replace(found, default_branch=_ask(terminal, "fixes come from", found.default_branch, validators.ref))
    if not choices.version_files and found.version_files:
        names = ", ".join(path for path, _ in found.version_files)
        if not _yes(terminal, f"write the version into {names}?"):
            found = replace(found, version_files=())
    if not choices.image and (found.dockerfiles or found.chosen_dockerfile):
        found = _asked_image(found, choices, top, terminal)
    return found


def _asked_image(facts: StarterFacts, choices: Choices, top: Path, terminal: Terminal) -> StarterFacts:
    image = _ask(terminal, f"image ({NONE} for none)", facts.image or NONE, _repository_or_none)
    found = replace(facts, image="" if image == NONE else image)
    if found.image and not choices.dockerfile and len(found.dockerfiles) > 1:
        path = _ask(terminal, "its Dockerfile", dockerfile_of(found), lambda text: _file("--dockerfile", text, top))
        found = replace(found, chosen_dockerfile=path)
    return found


def _ask(terminal: Terminal, question: str, usual: str, rule: Callable[[str], str]) -> str:
    """The answer, asked for until it is one; the usual one for an empty line."""
    while True:
        said = terminal.ask(f"{question} [{usual}]: ")
        if said is None:
            raise RefusedError(
                "the questions were not answered", remedy="release init --yes takes what is found",
                code="not-confirmed", state="nothing was written",
            )  # fmt: skip
        try:
            return rule(said or usual)
        except BadTextError as error:
            terminal.note(f"{said!r} {error}")
        except UsageError as error:
            terminal.note(error.message)


def _yes(terminal: Terminal, question: str) -> bool:
    def rule(text: str) -> str:
        if text.lower() not in ("y", "yes", "n", "no"):
            raise UsageError("answer y or n", code="bad-answer")
        return text.lower()[0]

    return _ask(terminal, question, "y", rule) == "y"


def _checked(option: str, rule: Callable[[str], str], text: str) -> str:
    try:
        return rule(text)
    except BadTextError as error:
        raise UsageError(f"{option} {text!r} {error}", remedy=error.remedy, code=error.code) from None


def _repository(text: str) -> str:
    return str(parse_repository(text))


def _repository_or_none(text: str) -> str:
    return NONE if text == NONE else _repository(text)


def _version_files(facts: StarterFacts, named: Sequence[str], top: Path) -> tuple[tuple[str, str], ...]:
    """Those that were named, with the pattern that their kind has."""
    if NONE in named:
        return ()
    return tuple(each for path in dict.fromkeys(named) for each in _version_file(facts, path, top))


def _version_file(facts: StarterFacts, path: str, top: Path) -> list[tuple[str, str]]:
    """Raises UsageError for a file where nobody knows which line says the version."""
    file = _file("--version-file", path, top)
    known = [each for each in facts.seen_version_files if each[0] == file]
    if known:
        return known
    if not re.fullmatch(r"v?\d+\.\d\S*", (top / file).read_text("utf-8", "replace")[:_LONGEST].strip()):
        raise UsageError(
            f"--version-file {path!r}: which line says the version is not known",
            remedy="leave it out, and write it into release.yaml with a `pattern:` (docs/release-yaml.md)",
            code="bad-file",
        )
    return [(file, "")]


def _file(option: str, text: str, top: Path) -> str:
    """A path in the repository, of a file that is there."""
    path = _checked(option, validators.file_path, text)
    if not (top / path).is_file():
        raise UsageError(f"{option} {text!r}: there is no such file", remedy="a path from the top", code="bad-file")
    return path
