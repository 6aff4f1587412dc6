"""BuildKit, through the program `docker buildx`: images are built straight into a registry, and no store has them.

The program is run as it is, with no library between: its progress is read line by line, its errors keep their place in
the Dockerfile, and it ends when this program does.  This room knows no release and no plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.engines.buildx.dialect import BUILDKIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.engines.buildx.builder import BuildxBuilder

DIALECT = BUILDKIT


def connect(
    env: Mapping[str, str], *, builder: str = "", tell: Callable[[str], object] = lambda _: None
) -> BuildxBuilder:
    """The builder of that name, "" for the one that `docker buildx` would use with this environment.

    Nothing is asked of it yet: `BuildxBuilder.incapable` does.  Raises UsageError where there is no such program.
    """
    from orchestrator.engines.buildx.place import program

    found = program(env)
    from orchestrator.engines.buildx.builder import BuildxBuilder

    return BuildxBuilder(found, env, name=builder, tell=tell)
