"""The Dockerfile of a build: its text, what it asks of the builder, and whether all that it takes is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors import UsageError
from orchestrator.image.inputs import not_at_hand

if TYPE_CHECKING:
    from orchestrator.core.plan import PlannedImage
    from orchestrator.dockerfile.facts import DockerfileFacts
    from orchestrator.git.scratch import Scratch
    from orchestrator.image.context import BuildContext
    from orchestrator.release.steps.runner import TaskContext


def dockerfile_text(scratch: Scratch, tree: str, path: str) -> bytes:
    """The Dockerfile in a tree.  Raises UsageError when there is none."""
    text = scratch.file(tree, path)
    if text is None:
        raise UsageError(
            f"{path} is not in the released tree",
            where=path,
            remedy="correct `image.dockerfile`, or add the file to the release branch by a fix",
            code="no-dockerfile",
        )
    return text


def examined(context: TaskContext, image: PlannedImage, text: bytes) -> tuple[DockerfileFacts, dict[str, str]]:
    """What the Dockerfile asks for, and the build arguments of the platform that it wants and its builder lacks."""
    from orchestrator.dockerfile.facts import examine, platform_values
    from orchestrator.engines import dialect_of

    dialect, arguments, target = dialect_of(image.engine), dict(image.build_args), image.options.target
    facts = examine(text, image.dockerfile, arguments, dialect, platform=image.platform, target=target)
    if not facts.platform_args or dialect.fills_in_platform:
        return facts, {}
    health = context.connections.builder().health()
    native = f"{health.os}/{health.architecture}"
    facts = examine(text, image.dockerfile, arguments, dialect, platform=image.platform, native=native, target=target)
    values = platform_values(image.platform or native, native)
    return facts, {name: values[name] for name in facts.platform_args}


def refuse_missing(sent: BuildContext, image: PlannedImage, facts: DockerfileFacts) -> None:
    """No image gets an empty folder or the text of a pointer where its Dockerfile asks for the content."""
    from orchestrator.dockerfile.stages import takes

    for path, is_submodule in (
        *((path, True) for path in sent.submodules),
        *((path, False) for path in sent.lfs_pointers),
    ):
        if takes(facts.sources, path):
            root = "" if image.context in (".", "") else image.context.rstrip("/") + "/"
            problem = not_at_hand(f"{root}{path}", submodule=is_submodule)
            raise UsageError(problem.message, where=problem.where, remedy=problem.remedy, code=problem.code)
