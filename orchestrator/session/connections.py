"""Opens engine and registry when they are first needed, and only then loads their libraries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from orchestrator.core.reference import parse_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.core.credentials import Credentials
    from orchestrator.engines import Builder, Engine, Runtime
    from orchestrator.git.scratch import Scratch
    from orchestrator.registry.client import Registry


class FindLogin(Protocol):
    """The login for a registry; `released_to`: it is the one that this release goes to, whose login may be given."""

    def __call__(self, host: str, *, released_to: bool = True) -> Credentials | None: ...


def open_doors(
    *,
    env: Mapping[str, str],
    scratch: Callable[[], Scratch],
    now: Callable[[], str],
    monotonic: Callable[[], float],
    plain_http: bool,
    push_stall: float,
    owner: str,
    tell: Callable[[str], object],
) -> Connections:
    """Connections that open at most once each; `tell` hears of a registry that has to be asked again."""

    @cache
    def engine() -> Engine:
        from orchestrator.engines import engine_module

        return engine_module().connect(env, owner=owner, tell=tell)

    def credentials(host: str, *, released_to: bool = True) -> Credentials | None:
        from orchestrator.registry.credentials import find

        return find(host, env, released_to=released_to)

    @cache
    def registry(repository: str) -> Registry:
        from orchestrator.registry.client import Registry
        from orchestrator.registry.retry import RetryPolicy

        parsed = parse_repository(repository)
        patience = RetryPolicy(tell=tell)
        return Registry(parsed, credentials=lambda: credentials(parsed.host), plain_http=plain_http, patience=patience)

    return Connections(
        builder=engine,
        runtime=engine,
        registry=registry,
        credentials=credentials,
        scratch=scratch,
        now=now,
        monotonic=monotonic,
        push_stall=push_stall,
        owner=owner,
    )


@dataclass(frozen=True, kw_only=True)
class Connections:
    """How to reach what is outside.  Each is opened when first needed; `scratch` holds the planned commits.

    `credentials` looks a login up anew each time: some live for minutes.
    """

    builder: Callable[[], Builder]
    runtime: Callable[[], Runtime]
    registry: Callable[[str], Registry]
    credentials: FindLogin
    scratch: Callable[[], Scratch]
    monotonic: Callable[[], float]
    now: Callable[[], str]
    owner: str = "release"  # marks the containers of this repository's releases
    push_stall: float = 300.0  # seconds without progress after which a push is given up
