"""Opens engine and registries when they are first needed, and only then loads their libraries."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from orchestrator.core.reference import parse_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.core.credentials import Credentials
    from orchestrator.engines import Engine
    from orchestrator.registry.client import Registry


class Connections:
    """The engine and the registries of one run; each is opened at most once.

    `owner` names this clone's containers, `tell` hears of a registry that has to be asked again.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        owner: Callable[[], str],
        tell: Callable[[str], object],
        plain_http: bool,
    ) -> None:
        self._env = env
        self._owner = owner
        self._tell = tell
        self._plain_http = plain_http
        self.engine = cache(self._engine)
        self.registry = cache(self._registry)
        self.credentials = cache(self._credentials)

    def _engine(self) -> Engine:
        from orchestrator.engines.docker import connect

        return connect(self._env, owner=self._owner())

    def _credentials(self, host: str) -> Credentials | None:
        from orchestrator.registry.credentials import find

        return find(host, self._env)

    def _registry(self, repository: str) -> Registry:
        from orchestrator.registry.client import Registry
        from orchestrator.registry.retry import RetryPolicy

        parsed = parse_repository(repository)
        return Registry(
            parsed,
            credentials=lambda: self.credentials(parsed.host),
            plain_http=self._plain_http,
            patience=RetryPolicy(tell=self._tell),
        )
