"""The command line: parse, call one function, show, exit code.  The only room that imports typer.

Importing a module of commands registers them, so the order of these imports is the order of `release --help`.
"""

# isort: off
from orchestrator.cli import plan as plan
from orchestrator.cli import release as release
from orchestrator.cli import scan as scan
from orchestrator.cli import config as config
from orchestrator.cli import status as status
from orchestrator.cli import image as image
from orchestrator.cli import audit as audit
from orchestrator.cli import forge as forge
from orchestrator.cli import hook as hook
from orchestrator.cli.app import app, run
# isort: on

__all__ = ["app", "run"]
