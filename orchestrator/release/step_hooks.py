"""`hooks:` of release.yaml: commands before and after the steps of a release.

A hook runs where release.yaml of the release has it, and the protected branch, as the remote has it, has the same: what
a checkout or a pull request brings along runs nothing.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.core.dataclass import dataclass
from orchestrator.core.errors import ProblemsError, ReleaseError, UnprovedError
from orchestrator.core.results import Progress
from orchestrator.core.text import code
from orchestrator.guard.policy_source import PolicyResolver
from orchestrator.plan import document
from orchestrator.release import steps
from orchestrator.release.steps.outcomes import Outcome
from orchestrator.release.steps.promote import Promoted
from orchestrator.release.steps.record import Recorded
from orchestrator.release.steps.runner import Task, never
from orchestrator.release.steps.upload import Uploaded
from orchestrator.release.steps.verify import execute_shell, how_it_failed, tail_of, without_secrets
from orchestrator.session.committed import CommittedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.declaration.announcement import StepHook
    from orchestrator.core.plan import Plan
    from orchestrator.release.steps.runner import Step, TaskContext
    from orchestrator.session.session import Session


@dataclass(frozen=True, kw_only=True)
class Hooked(Outcome):
    """A hook that ran; `failed` says how one after a step failed."""

    hook: str
    failed: str = ""

    @property
    def note(self) -> str:
        return f"{self.hook} {self.failed}" if self.failed else ""


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """The hooks of a release that the protected branch has too, its tree, and a line for each that it has not."""

    hooks: tuple[StepHook, ...] = ()
    tree: str = ""
    notes: tuple[str, ...] = ()


def trusted(guards: PolicyResolver, config: Config, config_path: str, base: str) -> Trusted:
    """Raises ProblemsError where the protected branch cannot be read."""
    guard = guards.guard(config, config_path, base)
    if guard.problems:
        raise ProblemsError(guard.problems)
    theirs = guard.declared.hooks if guard.declared else ()
    hooks = tuple(theirs[theirs.index(each)] for each in config.hooks if each in theirs)
    there = guard.source or f"{config.remote}/{config.source[0]}"
    notes = tuple(
        f"{each.name} ({each.place}) is not run: release.yaml on {there} does not have it"
        for each in config.hooks
        if each not in theirs
    )
    return Trusted(hooks=hooks, tree=guards.scratch.tree_of(guard.tip) if guard.tip else "", notes=notes)


def plan_notes(guards: PolicyResolver, plan: Plan, config: Config) -> tuple[str, ...]:
    """What a plan says of them; of a protected branch that cannot be read its policy tells."""
    try:
        found = trusted(guards, config, plan.config_path, plan.base)
    except ProblemsError:
        return ()
    return (*(f"{each.name}: {code(_first_line(each))}" for each in found.hooks), *found.notes)


def _first_line(hook: StepHook) -> str:
    return hook.run.strip().splitlines()[0]


def tasks(session: Session, plan: Plan, *, is_public: bool) -> tuple[Task, ...]:
    """The tasks of a plan, with its hooks among them.

    Raises ProblemsError where it cannot be told which may run; of what `is_public` that is said, and none is run.
    """
    try:
        found = _of_release(session, plan)
    except ProblemsError as error:
        if not is_public:
            raise
        found = Trusted(notes=(f"no hook is run: {error.problems[0].message}",))
    for note in found.notes:
        session.terminal.note(f"note: {note}")
    if not found.hooks:
        return steps.tasks(plan)
    return tuple(task for step in steps.order(plan) for task in _around(step, plan, found))


def _of_release(session: Session, plan: Plan) -> Trusted:
    if plan.landed and not session.scratch.has(plan.head):  # a forge made it, and a killed run looked at it there
        session.repository.bring(session.scratch, plan.remote, [f"refs/heads/{plan.branch}"])
    tree = session.scratch.tree_of(plan.head)
    if b"hooks" not in (session.scratch.file(tree, plan.config_path) or b""):
        return Trusted()
    config = CommittedFiles(session.scratch, tree).config(plan.config_path, plan.version)
    if config is None or not config.hooks:
        return Trusted()
    guards = PolicyResolver(session.repository, session.scratch, plan.remote, {})
    return trusted(guards, config, plan.config_path, plan.base or plan.head)


def _around(step: Step, plan: Plan, found: Trusted) -> Iterator[Task]:
    own = step.tasks(plan)
    if not own:
        return
    name = getattr(step, "__name__", "").rpartition(".")[2]
    mine = [each for each in found.hooks if each.step == name]
    yield from _hook_tasks([each for each in mine if each.when == "before"], found.tree)
    yield from own
    yield from _hook_tasks([each for each in mine if each.when == "after"], found.tree)


def _hook_tasks(hooks: Sequence[StepHook], tree: str) -> Iterator[Task]:
    for number, hook in enumerate(hooks, 1):
        key = f"hook:{hook.when}:{hook.step}:{number}"
        run = partial(_run, hook=hook, tree=tree, name=f"hook-{hook.when}-{hook.step}-{number}")
        yield Task(key=key, title=f"run the {hook.name}", run=run, probe=never, once=True)


def _run(context: TaskContext, *, hook: StepHook, tree: str, name: str) -> Hooked:
    """Raises UnprovedError where one before a step fails; of one after a step nothing stops the release."""
    try:
        done = _execute(context, hook, tree, name)
    except (ReleaseError, OSError) as error:
        if hook.when == "before":
            raise
        done = Hooked(hook=hook.name, failed=f"could not be run: {error}")
    if done.note:
        context.session.terminal.note(f"note: {done.note}")
    return done


def _execute(context: TaskContext, hook: StepHook, tree: str, name: str) -> Hooked:
    from orchestrator.git.worktree import checkout

    directory, log = context.session.scratch.path / "hooks", context.state.logs / f"{name}.log"
    checkout(context.session.scratch, tree, directory)
    log.parent.mkdir(parents=True, exist_ok=True)
    context.report(Progress(text=f"{hook.name}: {_first_line(hook)}", item="hook"))
    env = without_secrets(context.plan) | _facts(context, hook)
    status = execute_shell(hook.run, hook.timeout, directory, log, env, append=False, stdin=_told(context, hook))
    failed = how_it_failed(status, hook.timeout)
    if failed and hook.when == "before":
        raise UnprovedError(
            f"{hook.name}: {code(_first_line(hook))} {failed}", where=str(hook.place),
            remedy=f"see {log}; then run the same command again, or take the hook out of release.yaml there",
            detail=tail_of(log, hook.run), code="hook-failed", state=f"{hook.step} was not begun",
        )  # fmt: skip
    return Hooked(hook=hook.name, failed=f"{failed}: see {log}" if failed else "")


def _facts(context: TaskContext, hook: StepHook) -> dict[str, str]:
    plan = context.plan
    image = plan.images[0] if plan.images else None
    made = (context.find(Promoted, image) or context.find(Uploaded, image)) if image else None
    return {
        "RELEASE_HOOK": hook.when, "RELEASE_STEP": hook.step, "RELEASE_VERSION": plan.version,
        "RELEASE_PREVIOUS": plan.previous, "RELEASE_BRANCH": plan.branch, "RELEASE_COMMIT": plan.head,
        "RELEASE_IMAGE_REFERENCE": str(image.reference) if image else "",
        "RELEASE_IMAGE_DIGEST": made.digest if made else "",
    }  # fmt: skip


def _told(context: TaskContext, hook: StepHook) -> bytes:
    """What it reads: the plan, and once it is written the record."""
    recorded = context.find(Recorded)
    blob = recorded.blob if recorded else ""  # "" too where none is kept
    record = json.loads(context.repository.git.run("cat-file", "blob", blob).text) if blob else None
    said = {"schema_version": 1, "hook": hook.when, "step": hook.step, "version": context.plan.version}
    return json.dumps({**said, "plan": document.encode(context.plan), "record": record}).encode()
