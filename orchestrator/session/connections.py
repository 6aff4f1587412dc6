"""Opens engine and registries when they are first needed, and only then loads their libraries."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module
from threading import Lock, Thread, get_ident
from typing import TYPE_CHECKING

from orchestrator.core.errors import ReleaseError, UsageError
from orchestrator.core.reference import parse_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from orchestrator.core.credentials import Credentials
    from orchestrator.engines import Builder, DirectBuilder, Engine, Runtime
    from orchestrator.registry.client import Registry
    from orchestrator.registry.documents import Documents
    from orchestrator.registry.manifest import Promotion


class Connections:
    """The engine and the registries of one run; the engine is opened at most once.

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
        self.env = env
        self._owner = owner
        self._tell = tell
        self._plain_http = plain_http
        self._engine = cache(self._open_engine)
        self._registry = cache(self._open_registry)
        self._direct = cache(self._open_direct)
        self._documents: Documents | None = None
        self._first: dict[str, Registry] = {}  # of each repository
        self._sweeping, self._swept = Lock(), False
        self.unsettled: list[tuple[Registry, Promotion]] = []  # version tags to look at once more

    def builder(self) -> Builder:
        """What builds images and publishes them."""
        return self._engine()

    def runtime(self) -> Runtime:
        """What runs containers of images."""
        return self._engine()

    def swept_runtime(self) -> Runtime:
        """The same, without the containers that a killed run of this clone has left.

        Only under the lock of the clone.  It is looked for them once: what is there later is at work.
        """
        with self._sweeping:
            if not self._swept:
                self._engine().sweep(self._owner())
            self._swept = True
        return self._engine()

    def registry(self, repository: str) -> Registry:
        """The registry of a repository, for the thread that asks: each has a conversation of its own."""
        return self._registry(repository, get_ident())

    def settle(self) -> None:
        """Look once more at version tags that were put.  Raises MismatchError where one stands for another image."""
        while self.unsettled:
            registry, promotion = self.unsettled.pop()
            registry.settle(promotion)

    def warm(self, builders: Iterable[str] = ()) -> None:
        """Load the libraries of engine and registries and what TLS trusts, and try these builders of buildx, beside
        what is done until they are used.
        """
        Thread(target=_load, daemon=True).start()
        for name in builders:
            with suppress(UsageError):  # there is no such program: who needs it says so
                Thread(target=_try, args=(self.direct(name),), daemon=True).start()

    def base_registry(self, repository: str, *, released_to: bool) -> Registry:
        """The registry of an image that is only built on; `released_to` as for `credentials`."""
        return self.registry(repository) if released_to else self._opened(repository, released_to=False)

    def direct(self, builder: str = "") -> DirectBuilder:
        """What builds straight into a registry: the builder of that name, "" for the current one.

        Raises UsageError where there is no such program.
        """
        return self._direct(builder)

    def credentials(self, host: str, *, released_to: bool = True) -> Credentials | None:
        """The login for a registry, looked up anew each time: some live for minutes.

        `released_to`: it is the one that this release goes to, which a given login is for.
        """
        from orchestrator.registry.credentials import find

        return find(host, self.env, released_to=released_to)

    def _open_engine(self) -> Engine:
        from orchestrator.engines import engine_module

        return engine_module().connect(self.env, owner=self._owner(), tell=self._tell)

    def _open_direct(self, builder: str) -> DirectBuilder:
        from orchestrator.engines import direct_module

        return direct_module().connect(self.env, builder=builder, tell=self._tell)

    def _open_registry(self, repository: str, _thread: int) -> Registry:
        registry = self._opened(repository, released_to=True)
        registry.follow(self._first.setdefault(repository, registry))
        return registry

    def _opened(self, repository: str, *, released_to: bool) -> Registry:
        from orchestrator.registry.client import Registry
        from orchestrator.registry.documents import Documents
        from orchestrator.registry.retry import RetryPolicy

        self._documents = self._documents or Documents()
        parsed = parse_repository(repository)
        return Registry(
            parsed,
            credentials=lambda: self.credentials(parsed.host, released_to=released_to),
            plain_http=self._plain_http and released_to,
            patience=RetryPolicy(tell=self._tell),
            documents=self._documents if released_to else None,
        )


def _try(builder: DirectBuilder) -> None:
    with suppress(ReleaseError):  # whoever asks it next is told the same
        _ = builder.incapable


def _load() -> None:
    for name in ("orchestrator.registry.client", "orchestrator.engines.client", "orchestrator.engines.docker_engine"):
        import_module(name)
    from orchestrator.registry.transport import read_usual_trust

    read_usual_trust()
