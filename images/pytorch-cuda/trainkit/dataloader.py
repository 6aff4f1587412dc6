"""Prepare the next batches on a thread while the device works on this one."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

DEPTH = 4  # batches prepared ahead
POLL = 0.05  # seconds between two looks at `stopped` while the queue is full


@dataclass(frozen=True)
class _End:
    """Last in the queue: the source is done, or failed with `error`."""

    error: BaseException | None = None


class Prefetcher(Generic[T]):
    """Iterate over `batches` with up to `depth` of them made ahead, in order.

    An exception of the source is raised in the loop that consumes it.  Each iteration has one thread.
    """

    def __init__(self, batches: Iterable[T], depth: int = DEPTH) -> None:
        self._batches = batches
        self._depth = depth

    def __iter__(self) -> Iterator[T]:
        ready: queue.Queue[T | _End] = queue.Queue(self._depth)
        stopped = threading.Event()
        worker = threading.Thread(target=self._fill, args=(ready, stopped), name="prefetch", daemon=True)
        worker.start()
        try:
            yield from _drain(ready)
        finally:
            stopped.set()
            worker.join()

    def _fill(self, ready: queue.Queue[T | _End], stopped: threading.Event) -> None:
        """Runs on the thread."""
        end = _End()
        try:
            for batch in self._batches:
                if not _put(ready, batch, stopped):
                    return
        except Exception as error:  # whatever the source raises belongs to the consumer
            end = _End(error)
        _put(ready, end, stopped)


def _drain(ready: queue.Queue[T | _End]) -> Iterator[T]:
    while True:
        item = ready.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item


def _put(ready: queue.Queue[T | _End], item: T | _End, stopped: threading.Event) -> bool:
    """Wait for room, but not longer than somebody listens; False when nobody does."""
    while not stopped.is_set():
        try:
            ready.put(item, timeout=POLL)
        except queue.Full:
            continue
        return True
    return False
