"""The command line: parse, call one function, show, exit code.  The only package that imports typer."""

from orchestrator.cli.app import app, run
from orchestrator.cli.asking import __name__ as _asking
from orchestrator.cli.audit import __name__ as _auditing
from orchestrator.cli.forge import __name__ as _guarding
from orchestrator.cli.hook import __name__ as _hooking
from orchestrator.cli.patch import __name__ as _patch
from orchestrator.cli.plan import __name__ as _reading
from orchestrator.cli.release import __name__ as _releasing
from orchestrator.cli.rollback import __name__ as _rollback

__all__ = ["app", "run"]
COMMAND_MODULES = (
    _reading,
    _releasing,
    _asking,
    _auditing,
    _rollback,
    _patch,
    _guarding,
    _hooking,
)  # importing them registers their commands
