"""The forges there are: a new one is a module beside this one, and one word here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.errors import UsageError
from orchestrator.forges import github, gitlab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.forges import ForgeModule

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
