"""The command line: parse, call one function, show, exit code.  The only room that imports typer.

Importing a module of commands registers them; the order here is the order of `release --help`.
"""

from orchestrator.cli import audit, config, forge, hook, image, plan, release, status
from orchestrator.cli.app import app, run

__all__ = ["app", "run"]
COMMANDS = (plan, release, config, status, image, audit, forge, hook)
