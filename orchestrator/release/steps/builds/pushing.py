"""A push by an engine or a builder, again where that may help; what a registry has refused for good is not repeated."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from orchestrator.core.errors import RemoteError
from orchestrator.core.results import Progress
from orchestrator.engines import PushBrokenError, PushRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.core.credentials import Credentials
    from orchestrator.registry.client import Registry
    from orchestrator.release.steps.runner import TaskContext

Done = TypeVar("Done")


def pushed(context: TaskContext, registry: Registry, attempt: Callable[[Credentials | None], Done]) -> Done:
    """What `attempt` gives, which pushes to the registry with a login, and is asked again where that broke off.

    A refused login is asked for anew, once.  One that is still good is used again where the registry's tokens end
    before the 60 s that engines take them to last: each try then begins with new ones, and moves only what is missing.
    """
    retry, host = registry.retry, registry.repository.host
    number, may_ask = 1, True
    while True:
        login = context.connections.credentials(host)
        try:
            return attempt(login)
        except PushRefusedError as error:
            if not error.about_login:
                raise
            if may_ask and context.connections.credentials(host) != login:
                may_ask = False
                continue
            if not _tokens_end_early(registry):
                raise
            failed: RemoteError = _too_short(error, host)
        except PushBrokenError as error:
            failed = error
        if number == retry.tries:
            raise failed
        number += 1
        context.report(Progress(text=f"{failed.message}; try {number} of {retry.tries} follows"))
        retry.sleep(retry.delay(number - 1, None))
        registry.can_push()  # waits as long as the registry asks for, and says where nothing can help


def _tokens_end_early(registry: Registry) -> bool:
    """Whether the login is good, and only what the token service gave for it has ended."""
    if registry.has_tokens:
        with suppress(RemoteError):
            registry.can_push()
            return registry.has_short_tokens
    return False


def _too_short(error: PushRefusedError, host: str) -> RemoteError:
    return RemoteError(
        f"{error.message} (the registry's tokens end sooner than engines take them to)",
        where=error.where,
        remedy=f"let the token service of {host} give tokens that last 60 s at least, as docker's token specification "
        "has it; what was uploaded is kept, and the same command again moves the rest",
        code="registry-unauthorized",
    )
