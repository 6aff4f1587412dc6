"""A login for a registry, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Registry login.  repr hides the secret."""

    username: str
    password: str = field(repr=False)
