"""Tasks in the background of others of their group: an upload goes on while the main thread smoke-tests.

The main thread has what must be put away in order when a person interrupts it, such as a container; what is in the
background is only let go: an engine whose client is gone gives the work up.
"""

from __future__ import annotations

from threading import Condition, Thread
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from orchestrator.core.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.core.results import Progress

    Report = Callable[[Progress], None]
    Allow = Callable[[str], None]


class Job(Protocol):
    """What is run: a task, by its key."""

    @property
    def key(self) -> str: ...

    @property
    def background(self) -> bool: ...

    @property
    def after(self) -> str: ...


Kind = TypeVar("Kind", bound=Job)
Result = TypeVar("Result")

_LAST_WORDS = 5.0  # seconds that the background has to hear that it must stop


class _StoppedError(ReleaseError):
    """This task has not failed: another one has."""

    default_code = "stopped"


class _Group(Generic[Result]):
    """What both threads know of each other: what is done, and whether it is all over."""

    def __init__(self, tasks: Sequence[Job]) -> None:
        self._changed = Condition()
        self._pending = {task.key for task in tasks if not task.background}
        self.made: dict[str, Result] = {}
        self.over = False
        self.error: BaseException | None = None  # of the background

    def allow(self, key: str) -> None:
        """What waits for that task may begin."""
        with self._changed:
            self._pending.discard(key)
            self._changed.notify_all()

    def wait_for(self, key: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.over or key not in self._pending)

    def end(self) -> None:
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def report(self, own: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """Progress for as long as nobody has failed."""

        def said(progress: Progress) -> None:
            if self.over or self.error:
                raise _StoppedError("stopped, because another task failed")
            own(progress)

        return said

    def run_all(self, tasks: Sequence[Kind], run: Callable[[Kind], Result]) -> None:
        """The background's tasks, in order."""
        try:
            for task in tasks:
                self.wait_for(task.after)
                if self.over:
                    return
                self.made[task.key] = run(task)
        except BaseException as error:  # it is raised again in the main thread
            self.error = error


def beside(
    tasks: Sequence[Kind], report: Report, runner: Callable[[Report, Allow], Callable[[Kind], Result]]
) -> Mapping[str, Result]:
    """Key -> result of all tasks; those in the `background` run in one thread beside the others, each in their order.

    One in the background begins when the task that it is `after` has ended, or says by `allow` that it may.  `runner`
    gives what runs a task with the progress and the `allow` of this group.
    """
    group = _Group[Result](tasks)
    run = runner(group.report(report), group.allow)
    behind = [task for task in tasks if task.background]
    thread = Thread(target=group.run_all, args=(behind, run), daemon=True)
    thread.start()
    try:
        for task in (each for each in tasks if not each.background):
            group.made[task.key] = run(task)
            group.allow(task.key)
        thread.join()
    except BaseException as error:
        group.end()
        thread.join(_LAST_WORDS)
        if group.error and isinstance(error, _StoppedError):
            raise group.error from None
        raise
    if group.error:
        raise group.error
    return group.made
