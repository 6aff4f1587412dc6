"""Run tasks in order, each with a line in the journal.  Whether one is done is asked of git, engine and registry."""

from __future__ import annotations

from collections import deque
from dataclasses import field, replace
from itertools import groupby
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from orchestrator.core.dataclass import dataclass
from orchestrator.core.documents import DocumentError
from orchestrator.core.errors import ReleaseError
from orchestrator.release.steps import outcomes
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.session.beside import beside
from orchestrator.session.journal import of_another_tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.core.plan import Plan, PlannedImage
    from orchestrator.core.results import Progress
    from orchestrator.git.repository import Repository
    from orchestrator.session.connections import Connections
    from orchestrator.session.journal import Journal
    from orchestrator.session.session import Session
    from orchestrator.session.state import ReleaseState


Kind = TypeVar("Kind", bound=Outcome)


@dataclass(frozen=True, kw_only=True)
class TaskContext:
    """What a task gets: the plan, the run that it is part of, and the outcomes of the tasks before it."""

    plan: Plan
    session: Session
    state: ReleaseState
    report: Callable[[Progress], None]
    finished: Callable[[str], bool]  # whether the journal has an outcome for a task key
    allow: Callable[[str], None] = lambda _: None  # says of a task that is at work: what is `after` it may begin
    durations: dict[str, float] = field(default_factory=dict)
    # Ref -> what the remote had when the push had ended, "" for nothing.  Who believes it pushes with a lease, and asks
    # anew when that is refused.
    seen: dict[str, str] = field(default_factory=dict)
    _outcomes: list[Outcome] = field(default_factory=list)

    @property
    def repository(self) -> Repository:
        return self.session.repository

    @property
    def connections(self) -> Connections:
        return self.session.connections

    @property
    def is_public(self) -> bool:
        """Whether branch and tag are: by the plan, or by what was done so far."""
        return bool(self.plan.tag_object) or any(outcome.is_public for outcome in self._outcomes)

    def keep(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)

    def find(self, kind: type[Kind], image: PlannedImage | None = None) -> Kind | None:
        """The outcome of that type (for that image), None when its task is not in this order of tasks."""
        reference = image.reference if image else None
        for outcome in reversed(self._outcomes):
            if isinstance(outcome, kind) and outcome.image == reference:
                return outcome
        return None

    def outcome(self, kind: type[Kind], image: PlannedImage | None = None) -> Kind:
        """As `find`, for an outcome that the order of tasks guarantees."""
        found = self.find(kind, image)
        if found is None:
            raise ReleaseError(f"the order of tasks gives no {kind.__name__} here", code="task-order")
        return found

    def parts(self, image: PlannedImage | None = None) -> dict[str, Any]:
        """What the outcomes (of that image) add to the record; of two that tell the same, the later counts."""
        reference = image.reference if image else None
        found: dict[str, Any] = {}
        for outcome in self._outcomes:
            found |= outcome.part() if outcome.image == reference else {}
        return found

    @property
    def notes(self) -> list[str]:
        """What tasks have left undone in this clone, and the way to it."""
        return [outcome.note for outcome in self._outcomes if outcome.note]

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [outcome for outcome in self._outcomes if isinstance(outcome, kind)]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to do.  `key` is stable over versions of this tool.

    `probe` is asked after an interruption: given the outcome in the journal (None when it never finished there), it
    looks at the world and returns the outcome when the task is done, None when it must run.
    """

    key: str
    title: str
    run: Callable[[TaskContext], Outcome]
    probe: Callable[[TaskContext, Outcome | None], Outcome | None]
    once: bool = False  # a finished release, asked again, leaves it alone
    group: str = ""  # neighbours of one group do not need each other's outcomes, and touch no shared state
    background: bool = False  # beside those of its group that are not
    after: str = ""  # in the background: the key of the task that lets it begin


class Step(Protocol):
    """A module under steps/."""

    def tasks(self, plan: Plan) -> Sequence[Task]:
        """The tasks of this step for a plan, none when it has nothing to do."""


def execute(tasks: Sequence[Task], context: TaskContext, journal: Journal) -> None:
    """Run what is not done yet.  Raises what a task raises, after journaling it.

    Neighbours of one `group` run together: some in the background of the others, or as many at a time as the plan
    allows.
    """
    try:
        _execute(tasks, context, journal)
    except ReleaseError as error:
        if context.is_public:
            _say_what_is_left(error, [task for task in tasks if journal.outcome(task.key) is None], context)
        raise


def _say_what_is_left(error: ReleaseError, left: Sequence[Task], context: TaskContext) -> None:
    """Who reads that a release failed must know that it is public all the same, and how it ends."""
    titles = ", ".join(task.title for task in left) or "nothing"
    error.state = error.state or f"{context.plan.version} is public; what is left: {titles}"
    error.remedy = error.remedy or "repair that, then run the same command again: it goes on where it stopped"


def _execute(tasks: Sequence[Task], context: TaskContext, journal: Journal) -> None:
    for _, group in groupby(tasks, key=lambda task: task.group or task.key):
        batch = list(group)
        todo = [task for task in batch if not _done_already(task, context, journal)]
        if {task.background for task in todo} == {True, False}:
            _beside(todo, context, journal)
        elif len(todo) > 1 and (limit := max(image.parallel for image in context.plan.images)) > 1:
            _together(todo, context, journal, limit)
        else:
            for task in todo:
                context.keep(_run(task, context, journal))


def _done_already(task: Task, context: TaskContext, journal: Journal) -> bool:
    before = _decoded(journal.outcome(task.key), journal)
    found = task.probe(context, before) if journal.touched(task.key) else None
    if found is None:
        return False
    if found != before and not journal.closed:
        journal.append("finished", task.key, outcome=outcomes.encode(found), seconds=0.0)
    context.keep(found)
    context.durations[task.key] = journal.seconds(task.key)
    return True


def _run(task: Task, context: TaskContext, journal: Journal) -> Outcome:
    _look_at_the_flag(context)
    journal.append("started", task.key, title=task.title)
    begun = context.session.monotonic()
    try:
        outcome = task.run(context)
    except (ReleaseError, KeyboardInterrupt) as error:
        _journal_failure(task, error, journal)
        raise
    _journal_success(task, outcome, context.session.monotonic() - begun, context, journal)
    return outcome


def _look_at_the_flag(context: TaskContext) -> None:
    """Nothing is begun any more once the run was asked to end: the exception itself may have been lost on its way."""
    if context.session.interrupted():
        raise KeyboardInterrupt


def _journal_failure(task: Task, error: BaseException, journal: Journal) -> None:
    if isinstance(error, ReleaseError):
        journal.append("failed", task.key, code=error.code, message=error.message)
    elif isinstance(error, KeyboardInterrupt):
        journal.append("failed", task.key, code="interrupted", message="interrupted")


def _journal_success(task: Task, outcome: Outcome, seconds: float, context: TaskContext, journal: Journal) -> None:
    seconds = round(seconds, 3)
    journal.append("finished", task.key, outcome=outcomes.encode(outcome), seconds=seconds)
    context.durations[task.key] = seconds


def _beside(tasks: Sequence[Task], context: TaskContext, journal: Journal) -> None:
    """Some tasks in the background of the others."""

    def runner(report: Callable[[Progress], None], allow: Callable[[str], None]) -> Callable[[Task], Outcome]:
        theirs = replace(context, report=report, allow=allow)
        return lambda task: _run(task, theirs, journal)

    made = beside(tasks, context.report, runner)
    for task in tasks:
        context.keep(made[task.key])


def _together(tasks: Sequence[Task], context: TaskContext, journal: Journal, limit: int) -> None:
    """Run the tasks in threads, and journal them here, where the journal is.

    When one fails the others are told to stop: they hear it at their next word of progress.  The threads do not
    keep the process alive, so an engine that says nothing loses its connection then, and gives up the work.
    """
    waiting, ended = deque(tasks), SimpleQueue[_Ended]()
    begun: dict[str, float] = {}
    made: dict[str, Outcome] = {}
    error: BaseException | None = None
    stop = Event()
    theirs = replace(context, report=_one_at_a_time(context.report, stop))
    try:
        while begun.keys() - made.keys() or (waiting and error is None):
            while waiting and error is None and len(begun) - len(made) < limit:
                _look_at_the_flag(context)
                task = waiting.popleft()
                journal.append("started", task.key, title=task.title)
                begun[task.key] = context.session.monotonic()
                Thread(target=_into, args=(task, theirs, ended), daemon=True).start()
            end = ended.get()
            if isinstance(end.result, Outcome):
                made[end.task.key] = end.result
                _journal_success(
                    end.task, end.result, context.session.monotonic() - begun[end.task.key], context, journal
                )
                continue
            stop.set()
            del begun[end.task.key]
            _journal_failure(end.task, end.result, journal)
            error = error or end.result
    except KeyboardInterrupt as interrupted:
        stop.set()
        for task in tasks:
            if task.key in begun and task.key not in made:
                _journal_failure(task, interrupted, journal)
        raise
    if error:
        raise error
    for task in tasks:
        context.keep(made[task.key])


@dataclass(frozen=True)
class _Ended:
    task: Task
    result: Outcome | BaseException


def _into(task: Task, context: TaskContext, ended: SimpleQueue[_Ended]) -> None:
    try:
        ended.put(_Ended(task, task.run(context)))
    except BaseException as error:  # it is raised again in the main thread
        ended.put(_Ended(task, error))


def _one_at_a_time(report: Callable[[Progress], None], stop: Event) -> Callable[[Progress], None]:
    """Progress from several threads for a terminal that has one."""
    lock = Lock()

    def said(progress: Progress) -> None:
        if stop.is_set():
            raise ReleaseError("stopped, because another task failed", code="stopped")
        with lock:
            report(progress)

    return said


def _decoded(data: Mapping[str, Any] | None, journal: Journal) -> Outcome | None:
    if data is None:
        return None
    try:
        return outcomes.decode(data, "outcome")
    except DocumentError as error:
        raise of_another_tool(
            f"the journal holds something that this version does not know: {error}", str(journal.path)
        ) from error


def never(_context: TaskContext, before: Outcome | None) -> Outcome | None:
    """A probe for tasks whose outcome lives in the journal alone: what finished there is done."""
    return before
