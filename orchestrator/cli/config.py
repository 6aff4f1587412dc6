"""Commands about release.yaml: init, check, schema."""

from __future__ import annotations

import json

from orchestrator.cli.app import command
from orchestrator.cli.invocation import Invocation
from orchestrator.core.errors import ProblemsError, UsageError


@command("init")
def init(call: Invocation) -> None:
    """Write a commented release.yaml from what is found in the repository; never over an existing one."""
    from orchestrator.config.template import starter
    from orchestrator.git.repository import Repository
    from orchestrator.release.init import branch_to_make, starter_facts

    repository = Repository.discover(call.directory)
    try:
        target = call.directory / call.common.config if call.common.config else repository.top / "release.yaml"
        facts = starter_facts(repository, offline=bool(call.common.offline))
        text = starter(facts)
    finally:
        repository.close()
    try:
        with target.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{target.name} is there already", where=str(target), remedy="edit it, or: release check", code="exists"
        ) from error
    call.console.lines([str(target)])
    if make := branch_to_make(facts):
        call.console.note(f"the release branch that it names is not there yet: {make}")
    call.console.note("next: declare the fixes in it, then release check, and release plan")
    call.console.document({"schema_version": 1, "file": str(target)})


@command("check")
def check(call: Invocation) -> None:
    """Check release.yaml, the locks and patches that it names, the builds it speaks of: every fault, with its place."""
    from orchestrator.image.inputs import lock_problems_here, patch_problems_here

    with call.desk() as desk:
        config = desk.config()
        if config.image:
            place = (config.image, desk.repository.top, desk.job.config or desk.config_file.name)
            problems = (*lock_problems_here(*place), *patch_problems_here(*place))
            if problems:
                raise ProblemsError(problems)
        call.console.lines([f"{desk.config_file.name} is valid: {len(config.releases)} release(s) declared"])
        call.console.document(
            {"schema_version": 1, "valid": True, "releases": [entry.version for entry in config.releases]}
        )


@command("schema")
def schema(call: Invocation) -> None:
    """Print the JSON Schema of release.yaml, for editors."""
    from orchestrator.config.reader import schema as make

    text = json.dumps(make(), indent=2)
    call.console.lines(text.splitlines())
    call.console.document(make())
