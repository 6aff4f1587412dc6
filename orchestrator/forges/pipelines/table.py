"""Which CI has which module.  A new one is its module and a word here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.forges.pipelines import github, gitlab, jenkins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges.pipelines.values import Need, Pipeline


class PipelineModule(Protocol):
    """The texts of one CI."""

    @property
    def FILE(self) -> str:  # noqa: N802  # a constant of a module
        """Where the CI looks for its pipeline, from the repository's top."""

    @property
    def COMMENT(self) -> str:  # noqa: N802
        """What begins a comment."""

    @property
    def WAYS_IN(self) -> tuple[str, ...]:  # noqa: N802
        """Those of LOGINS that there are."""

    @property
    def ENVIRONMENT(self) -> str:  # noqa: N802
        """The environment of the jobs with a secret, where nothing else is said."""

    @property
    def TAKES_IMAGE(self) -> bool:  # noqa: N802
        """Whether jobs can run in an image of the tool."""

    @property
    def EXTRAS(self) -> tuple[str, ...]:  # noqa: N802
        """Those of this tool's extras that bring the client library of the forge."""

    @property
    def INSTEAD_OF_COMMENT(self) -> str:  # noqa: N802
        """What a person does where there is no job that comments, "" where there is one."""

    @property
    def WHERE(self) -> str:  # noqa: N802
        """Where a person finds the settings."""

    def text(self, pipeline: Pipeline) -> str:
        """The file without the lines that tell how it was made, with empty places for people's own."""

    def needs(self, pipeline: Pipeline) -> tuple[Need, ...]:
        """What a person must set once."""


PIPELINES: Final[Mapping[str, PipelineModule]] = {"github": github, "gitlab": gitlab, "jenkins": jenkins}
