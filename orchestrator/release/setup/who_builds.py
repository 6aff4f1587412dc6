"""Whether the pipelines of this repository build the image where release.yaml says that it is built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.core.declaration import BY_CI, BY_CUT
from orchestrator.core.errors import MismatchError
from orchestrator.release.checks import SkipCheck

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from orchestrator.session.session import Session

_FILES: Final = (":(glob)**/*.yml", ":(glob)**/*.yaml", ":(glob)**/Jenkinsfile*")
_PUBLISHES: Final = re.compile(r"\brelease publish\b|\bcommand: *[\"']?publish\b")
_INIT: Final = "release ci init --provider {} --write"


def who_builds(session: Session, config: Config) -> str:
    """The image is built in one place: where release.yaml says, and no pipeline says otherwise.

    Raises MismatchError for a pipeline that builds what the cut builds, SkipCheck where none is seen that would.
    """
    said = config.image.built_by if config.image else ""
    if not said:
        return "the cut; `publish` where the image is not there"
    found = builds_from_tags(session)
    if said == BY_CUT and found:
        raise MismatchError(
            f"`image.built-by` is cut, and a pipeline builds from the tag: {found[0]}", where=found[0],
            remedy=f"make it again: {_init(found[0])}; in one of your own: `release publish --no-build`",
            code="built-twice",
        )  # fmt: skip
    if said == BY_CI and not found:
        raise SkipCheck(
            "`image.built-by` is ci, and no pipeline in this repository runs `release publish`: is it elsewhere?"
            f" else: {_init('')}"
        )
    return f"{said}, by {', '.join(found)}" if found else said


def builds_from_tags(session: Session) -> list[str]:
    """The pipeline files that run `release publish`, where it builds."""
    search = ("grep", "--untracked", "-I", "-n", "-E", "-e", "release publish|command: *[\"']?publish", "--", *_FILES)
    rows = (row.split(":", 2) for row in session.repository.git.attempt(*search).text.splitlines())
    lines = [(row[0], row[2].strip()) for row in rows if len(row) == 3]
    return sorted({
        path for path, line in lines
        if _PUBLISHES.search(line) and "--no-build" not in line and not line.startswith(("#", "//"))
    })  # fmt: skip


def _init(path: str) -> str:
    """The command that makes such a pipeline file."""
    provider = "gitlab" if "gitlab" in path else "jenkins" if "Jenkinsfile" in path else "github"
    return _INIT.format(provider)
