"""What the tool asks of a forge: read the settings that guard a repository, and write those that differ.

A setting's value is in the forge's own words, as its API takes it.  Which settings there should be is
decided by `protection`; which library speaks to which forge is each module's own business.  A forge is one module with
the shape of `ForgeModule`, and one word in `forges.table.FORGES`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.forges.protection import Actor, ProtectionRules


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that a forge keeps under a name: a ruleset, a protected branch, a project's merge settings."""

    kind: str
    name: str
    value: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return (self.kind, self.name)


@dataclass(frozen=True, kw_only=True)
class Current:
    """What a forge has: the wanted settings that are there, by key, and the names of others of their kinds."""

    found: Mapping[tuple[str, str], Setting]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a repository lives.  `api` is the root of the forge's API; `token` never reaches a message."""

    provider: str
    api: str
    repository: str  # `owner/name`; on GitLab with all its groups
    token: str = field(repr=False)
    is_job_token: bool = False  # GitLab's CI_JOB_TOKEN, sent in a header of its own


class Forge(Protocol):
    """A repository on a forge.  Everything raises RemoteError or RefusedError with one line and a remedy."""

    def read(self, wanted: Sequence[Setting]) -> Current:
        """What is there now.  Changes nothing."""

    def write(self, setting: Setting, before: Setting | None) -> None:
        """Make one setting so; `before` is what `read` found of it."""


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
