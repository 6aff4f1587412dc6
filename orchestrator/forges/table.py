"""The forges there are: a new one is a module beside this one, and one word here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from orchestrator.core.errors import UsageError
from orchestrator.forges import github, gitlab

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.forges import Address, Forge, Setting
    from orchestrator.forges.protection import Actor, ProtectionRules


class ForgeModule(Protocol):
    """What a module of a forge has.  Its library is imported when `open_repository` is called, not before."""

    @property
    def TOKENS(self) -> Sequence[str]:  # noqa: N802  # a constant of the module
        """Variables of the environment that may hold the token, best first."""

    @property
    def DEFAULT_ACTOR(self) -> str:  # noqa: N802  # a constant of the module
        """Who makes releases where nobody was named."""

    @property
    def HAS_SUBGROUPS(self) -> bool:  # noqa: N802  # a constant of the module
        """Whether a repository's name may have more than two parts."""

    def api_of(self, host: str) -> str:
        """The root of the API of the forge at `host`, "" for the public one."""

    def actor(self, text: str) -> Actor:
        """What `--actor TEXT` means.  Raises UsageError."""

    def settings(self, rules: ProtectionRules, api: str) -> list[Setting]:
        """What the forge should have."""

    def words(self, value: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
        """A setting's value as lines for people; as far as `wanted` speaks of it."""

    def open_repository(self, address: Address) -> Forge:
        """The way to a repository.  Raises UsageError where the library is not installed."""


FORGES: Final[Mapping[str, ForgeModule]] = {"github": github, "gitlab": gitlab}


def forge_module(provider: str) -> ForgeModule:
    """The module of a provider.  Raises UsageError for one that is not known, or none."""
    if provider not in FORGES:
        raise UsageError(
            f"--provider {provider!r} is not known" if provider else "no --provider was given",
            remedy=f"give --provider {'|'.join(FORGES)}",
            code="bad-provider",
        )
    return FORGES[provider]
