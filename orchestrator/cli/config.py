"""Commands about release.yaml: init, check, schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.app import command
from orchestrator.cli.options import Yes
from orchestrator.core.errors import ProblemsError, UsageError
from orchestrator.core.text import word, words
from orchestrator.report.console import Console
from orchestrator.session.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.declaration import Config
    from orchestrator.core.results import Problem


@command("init")
def init(
    session: Session,
    console: Console,
    branch: Annotated[str, typer.Option(metavar="BRANCH", help="The release branch; else as found.")] = "",
    source: Annotated[str, typer.Option(metavar="REF", help="Where fixes come from; else as found.")] = "",
    image: Annotated[
        str,
        typer.Option(
            metavar="REPOSITORY",
            help="The image that is built and pushed; `none` for none. Else as the remote's URL tells.",
        ),
    ] = "",
    dockerfile: Annotated[str, typer.Option(metavar="PATH", help="Its Dockerfile; else as found.")] = "",
    version_file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="A file that the version is written into; may be repeated, `none` for none. Else as found.",
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Write a release.yaml from what is found in the repository, and from answers on a terminal; never over one."""
    from orchestrator.config.template import other_lines, release_branch, starter
    from orchestrator.plan.document import public
    from orchestrator.release.setup.dialogue import NONE, Choices, asked, chosen
    from orchestrator.release.setup.init import branch_to_make, dockerfile_problems, starter_facts, untold

    target, top = session.config_file, session.repository.top
    if target.exists():
        raise _is_there(target)
    choices = Choices(
        branch=branch, source=source, image=image, dockerfile=dockerfile, version_files=tuple(version_file or ())
    )
    facts = chosen(starter_facts(session.repository, offline=session.options.offline), choices, top)
    chosen_none = image == NONE
    if session.terminal.interactive and not yes:
        chosen_none = True  # asked for below
        if others := other_lines(facts):
            console.note(f"there are several release branches: {words((release_branch(facts), *others), ', ')}")
        facts = asked(facts, choices, top, session.terminal)
    try:
        with target.open("x", encoding="utf-8") as out:
            out.write(starter(facts))
    except FileExistsError as error:
        raise _is_there(target) from error
    console.lines([str(target)])
    if others := other_lines(facts):
        again = f"rm {word(str(target))} && release init --branch {word(others[0])}"
        console.note(f"note: it is for {release_branch(facts)}, the newest line; there are also {words(others, ', ')}")
        console.note(f"  do: {again}")
    if make := branch_to_make(facts):
        console.note("the release branch that it names is not there yet")
        console.note(f"  do: {make}")
    for unread in (*facts.unread, *(untold(facts) if facts.image or not chosen_none else [])):
        console.note(f"note: {unread}")
    problems = dockerfile_problems(session, facts)
    for each in problems:
        console.note(f"note: {each.where}: {each.message}; {each.remedy}".removesuffix("; "))
    console.note("next: declare the fixes in it, then release check, and release plan")
    console.document({"schema_version": 1, "file": str(target), "problems": [public(each) for each in problems]})


def _is_there(target: Path) -> UsageError:
    return UsageError(
        f"{target.name} is there already", where=str(target), remedy="edit it, or: release check", code="exists"
    )


@command("check")
def check(session: Session, console: Console) -> None:
    """Check release.yaml, the Dockerfile, locks and patches that it names: every fault, with its place."""
    from orchestrator.config.keys import written_twice
    from orchestrator.core.versions import not_understood
    from orchestrator.image.builders import ZSTD_CLIENTS, likely, option_problems_here
    from orchestrator.image.inputs import judge_dockerfile_here, lock_problems_here, patch_problems_here
    from orchestrator.picks.undeclared import undeclared_here
    from orchestrator.plan.declared_names import wrong_prefixes
    from orchestrator.plan.requests import naming_problems

    config, notes = session.config(), list[str]()
    if twice := written_twice(config, session.config_path()):
        raise ProblemsError(twice)
    if config.image:
        place = (config.image, session.repository.top, session.config_name)
        engine = likely(config.image.options.builder, session.connections)
        of_file = judge_dockerfile_here(*place, engine, session.connections)
        notes += of_file.notes
        problems = (
            *option_problems_here(config.image, engine),
            *of_file.problems,
            *lock_problems_here(*place),
            *patch_problems_here(*place),
            *_vex_problems(session),
        )
        if problems:
            raise ProblemsError(problems)
    prefixes = wrong_prefixes(session.repository, session.scratch, config)
    if named_wrongly := [*prefixes, *naming_problems(session, config)]:
        raise ProblemsError(named_wrongly)
    notes += [*undeclared_here(session), *not_understood(session.repository.local_tags())]
    notes += [ZSTD_CLIENTS] if config.image and config.image.options.compression else []
    notes += _who_builds(session, config)
    for note in notes:
        console.note(f"note: {note}")
    console.lines([f"{session.config_file.name} is valid: {len(config.releases)} release(s) declared"])
    names = [entry.version for entry in config.releases]
    console.document({"schema_version": 1, "valid": True, "releases": names, "notes": notes})


def _vex_problems(session: Session) -> tuple[Problem, ...]:
    """What is wrong in the VEX documents of the work tree."""
    from orchestrator.session.committed import VEX_FOLDER

    top = session.repository.top
    if not (top / VEX_FOLDER).is_dir():
        return ()
    from orchestrator.attest.scan import vex
    from orchestrator.image.inputs import patch_files_here

    return vex.problems(patch_files_here(top, top / VEX_FOLDER))


def _who_builds(session: Session, config: Config) -> list[str]:
    """What pipelines here say otherwise than `image.built-by`."""
    if not (config.image and config.image.built_by):
        return []
    from orchestrator.core.errors import MismatchError
    from orchestrator.release.checks import SkipCheck
    from orchestrator.release.setup.who_builds import who_builds

    try:
        who_builds(session, config)
    except MismatchError as error:
        return [f"{error.message}; {error.remedy}"]
    except SkipCheck as skipped:
        return [str(skipped)]
    return []


@command("schema")
def schema(console: Console) -> None:
    """Print the JSON Schema of release.yaml, for editors."""
    from orchestrator.config.reader import schema as make

    text = json.dumps(make(), indent=2)
    console.verbatim(text)
    console.document(make())
