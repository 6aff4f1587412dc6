"""A login for a registry, as a value."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from orchestrator.core.dataclass import dataclass

# The variables of the environment that hold a login for the registry.
USERNAME: Final = "RELEASE_REGISTRY_USERNAME"
PASSWORD: Final = "RELEASE_REGISTRY_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A login for a registry: user name and password, or an identity token, which only token services take.

    repr hides the secrets.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def secret(self) -> str:
        return self.identity_token or self.password
