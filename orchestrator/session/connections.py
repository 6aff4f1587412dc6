"""Opens engine and registries when they are first needed, and only then loads their libraries."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from orchestrator.core.reference import parse_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.core.credentials import Credentials
    from orchestrator.engines import Builder, Engine, Runtime
    from orchestrator.registry.client import Registry


class Connections:
    """The engine and the registries of one run; each is opened at most once.

    `owner` names this clone's containers, `tell` hears of a registry that has to be asked again, and of an engine that
    takes long.
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
        self._engine = cache(self._open_engine)
        self.registry = cache(self._registry)

    def builder(self) -> Builder:
        """What builds images and publishes them."""
        return self._engine()

    def runtime(self) -> Runtime:
        """What runs containers of images."""
        return self._engine()

    def credentials(self, host: str, *, released_to: bool = True) -> Credentials | None:
        """The login for a registry, looked up anew each time: some live for minutes.

        `released_to`: it is the one that this release goes to, which a given login is for.
        """
        from orchestrator.registry.credentials import find

        return find(host, self._env, released_to=released_to)

    def _open_engine(self) -> Engine:
        from orchestrator.engines import engine_module

        return engine_module().connect(self._env, owner=self._owner(), tell=self._tell)

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
