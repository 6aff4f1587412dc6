"""Opens engine and registry when they are first needed, and only then loads their libraries."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from orchestrator.core.reference import parse_repository
from orchestrator.release.steps.runner import Doors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.engines import Credentials, Engine
    from orchestrator.git.scratch import Scratch
    from orchestrator.registry.client import Registry


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
) -> Doors:
    """Doors that open at most once each; `tell` hears of a registry that has to be asked again."""

    @cache
    def engine() -> Engine:
        from orchestrator.engines.docker import connect

        return connect(env, owner=owner)

    @cache
    def credentials(host: str) -> Credentials | None:
        from orchestrator.registry.credentials import find

        return find(host, env)

    @cache
    def registry(repository: str) -> Registry:
        from orchestrator.registry.client import Registry
        from orchestrator.registry.retry import Patience

        parsed = parse_repository(repository)
        patience = Patience(tell=tell)
        return Registry(parsed, credentials=lambda: credentials(parsed.host), plain_http=plain_http, patience=patience)

    return Doors(
        engine=engine,
        registry=registry,
        credentials=credentials,
        scratch=scratch,
        now=now,
        monotonic=monotonic,
        push_stall=push_stall,
        owner=owner,
    )
