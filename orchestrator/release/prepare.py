"""From release.yaml to a plan that may be executed, or to every problem at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import ProblemsError
from orchestrator.core.plan import NO_DECISIONS
from orchestrator.core.versions import parse_tag
from orchestrator.guard.freeze import apply_freeze
from orchestrator.guard.policy_source import PolicyResolver
from orchestrator.image.inputs import image_problems
from orchestrator.plan.planner import draft, seal
from orchestrator.plan.release_commit import PlanRequest
from orchestrator.release import steps
from orchestrator.session.branch_state import gather, refuse_incomplete
from orchestrator.session.state import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.plan import Plan
    from orchestrator.session.session import Session


_OF_THE_FILE = ("fix-twice", "fix-and-its-revert", "duplicate-pick", "empty-pick", "unknown-revision", "empty-range")


def check_declared(desk: Session) -> None:
    """Raises ProblemsError where a release that is not out yet declares what is there already, or twice, or nowhere.

    A conflict is no fault of the file: a person resolves it at the cut.
    """

    done = desk.repository.local_tags()
    open_ = [entry.version for entry in desk.config().releases if entry.version not in done]
    problems = [each for version in open_ for each in prepare(desk, version).problems if each.code in _OF_THE_FILE]
    if problems:
        raise ProblemsError(problems)


def next_declared(desk: Session) -> str:
    """The lowest version of release.yaml that has no tag in this clone, "" where every one has."""
    tags = desk.repository.local_tags()
    versions = [parse_tag(entry.version) for entry in desk.config().releases if entry.version not in tags]
    return str(min((each for each in versions if each), key=lambda each: each.version, default=""))


def prepare(desk: Session, version: str, left_out: Mapping[str, str] | None = None) -> Plan:
    """The sealed plan of a version ("" for the next patch), with every problem in it.

    `left_out` (source -> reason) adds to the decisions that this release remembers; it goes with a version.
    """
    config = desk.config()
    refuse_incomplete(desk.repository, config.remote)
    request = PlanRequest(
        version=version,
        config=config,
        config_path=desk.config_path(),
        identity=desk.repository.identity(),
        offline=desk.job.offline,
        effort=desk.job.effort,
    )
    decisions = ReleaseState(desk.repository, version).decisions() if version else NO_DECISIONS
    decisions = replace(decisions, skipped={**decisions.skipped, **(left_out or {})})
    facts = gather(desk.repository, desk.scratch, config, offline=desk.job.offline, now=desk.job.now())
    plan = draft(request, decisions, desk.repository, desk.scratch, facts)
    if not version:
        decisions = ReleaseState(desk.repository, plan.version).decisions()
        if decisions != NO_DECISIONS:
            plan = draft(replace(request, version=plan.version), decisions, desk.repository, desk.scratch, facts)
    guards = PolicyResolver(desk.repository, desk.scratch, config.remote, facts.heads)
    plan, policy = guards.judge(plan, config)
    plan = apply_freeze(plan, policy, desk.job.now(), desk.job.break_freeze)
    shown_as = desk.job.config or desk.config_file.name
    plan = replace(plan, problems=(*plan.problems, *image_problems(plan, desk.scratch, shown_as)))
    return seal(plan, tuple(task.key for task in steps.tasks(plan)))
