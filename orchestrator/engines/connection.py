"""The connection to a Docker Engine: what docker-py and all below it raise becomes one clear line."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Any, Final

from orchestrator.core.errors import ReleaseError
from orchestrator.engines.failures import is_timeout, refused, stalled, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from docker.errors import APIError

    from orchestrator.engines.client import ApiClient

# Seconds without a byte.  An engine that answers at all may take minutes for one call: a container of a large image on
# a busy disk.
FIRST_TIMEOUT: Final = 60.0
CALL_TIMEOUT: Final = 900.0
_QUIET: Final = 20.0  # after so many seconds it is said what is waited for


class Connection:
    """`api` answers calls; what streams gets a connection of its own.  Raises RemoteError where nothing answers."""

    def __init__(
        self,
        open_api: Callable[[float | None, str], ApiClient],
        place: str,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._open_api = open_api
        self._tell = tell
        self.place = place
        with self.reaching("reach the engine"):
            self.api = open_api(FIRST_TIMEOUT, "")
        self.api.timeout = CALL_TIMEOUT  # type: ignore[assignment]  # the stubs want an int; requests takes any number

    @contextmanager
    def streaming(self, timeout: float | None) -> Iterator[ApiClient]:
        """A connection of its own whose answer is closed in the end, which makes the engine stop the work.

        docker-py hands out generators only and leaves closing to the garbage collector.
        """
        api = self._open_api(timeout, self.api.api_version)
        answers: list[Any] = []
        api.hooks["response"].append(lambda answer, **_: answers.append(answer))
        try:
            yield api
        finally:
            for answer in answers:
                answer.close()
            api.close()

    @contextmanager
    def calling(self, doing: str, code: str = "engine-error", remedy: str = "") -> Iterator[None]:
        """As `reaching`, for a call that is silent until its end: who waits long is told what for."""
        text = f"the engine takes its time to {doing}; it is waited for, up to {CALL_TIMEOUT / 60:g} minutes"
        timer = Timer(_QUIET, self._tell, (text,))
        timer.daemon = True
        timer.start()
        try:
            with self.reaching(doing, code, remedy):
                yield
        finally:
            timer.cancel()

    @contextmanager
    def reaching(self, doing: str, code: str = "engine-error", remedy: str = "", *, stall: float = 0) -> Iterator[None]:
        """Turns everything that docker-py and what is below it raise into RemoteError."""
        import docker.errors
        import requests
        import urllib3

        try:
            yield
        except ReleaseError:
            raise
        except docker.errors.APIError as error:
            raise refused(explanation(error), doing, code, remedy) from error
        except (docker.errors.DockerException, docker.errors.StreamParseError) as error:
            raise unreachable(error, self.place, doing) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if stall and is_timeout(error):
                raise stalled(doing, stall) from error
            raise unreachable(error, self.place, doing) from error


def explanation(error: APIError) -> str:
    """The engine's own words; never the URL, which holds build arguments."""
    return error.explanation or f"HTTP {error.status_code}"
