"""From release.yaml to a plan that may be executed, or to every problem at once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import ProblemsError, ReleaseError
from orchestrator.core.plan import NO_DECISIONS, Judgement, PlannedImage
from orchestrator.git.content import as_added
from orchestrator.guard.freeze import judge_freeze
from orchestrator.guard.policy_source import PolicyResolver
from orchestrator.image.builders import choose, option_problems, sure_to_be_tried
from orchestrator.image.inputs import (
    image_notes,
    image_problems,
    judge_frontend,
    pointer_problems,
    with_base_builders,
)
from orchestrator.plan import document
from orchestrator.plan.images import planned_images
from orchestrator.plan.planner import draft, seal
from orchestrator.plan.release_commit import PlanRequest
from orchestrator.plan.version_rule import default_version
from orchestrator.release import steps
from orchestrator.release.modes import building
from orchestrator.release.steps.builds.cache import recorded_before
from orchestrator.release.steps.builds.proving import on_builder
from orchestrator.session.branch_state import gather
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history
from orchestrator.session.committed import VEX_FOLDER, CommittedFiles
from orchestrator.session.state import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.core.declaration import Config
    from orchestrator.core.plan import Plan
    from orchestrator.core.results import Problem
    from orchestrator.session.session import Session


_OF_THE_FILE = (
    "fix-twice", "fix-and-its-revert", "duplicate-pick", "empty-pick", "unknown-revision", "empty-range",
    "moving-name", "range-has-merges", "merge-needs-mainline", "bad-mainline", "cannot-edit",
    "request-unknown", "request-is-issue", "request-open", "request-closed", "request-elsewhere", "request-changed",
    "request-twice", "request-rewritten", "release-commit-empty",
)  # fmt: skip
_ONE_BY_ONE = "`land.atomic` is false: the branch is pushed first, then the tag, by the same command if need be"


def check_declared(session: Session) -> None:
    """Raises ProblemsError where a release that is not out yet declares what is there already, or twice, or nowhere.

    A conflict is no fault of the file: a person resolves it at the cut.
    """

    done = session.repository.local_tags()
    open_ = [entry.version for entry in session.config().releases if entry.version not in done]
    problems = [each for version in open_ for each in prepare(session, version).problems if each.code in _OF_THE_FILE]
    if problems:
        raise ProblemsError(problems)


def prepare(
    session: Session,
    version: str,
    left_out: Mapping[str, str] | None = None,
    *,
    looking: bool = False,
    proposed_on: str = "",
) -> Plan:
    """The sealed plan of a version ("" for the next patch), with every problem in it.

    `left_out` (source -> reason) adds to the decisions that this release remembers; it goes with a version.  `looking`
    is for who will not cut: a freeze is a note then.  `proposed_on` is the branch that it is proposed on already.
    """
    config = session.config()
    if config.image and not (looking or session.options.offline):
        session.connections.warm(sure_to_be_tried(config.image))
    have_history(session.repository, config.remote, offline=session.options.offline)
    if (session.repository.top / session.config_path()).resolve() == session.config_file.resolve():
        config = replace(config, text=as_added(session.repository, session.scratch, session.config_path()))
    facts = gather(session.repository, session.scratch, config, offline=session.options.offline, now=session.now())
    wanted = version or default_version(config.branch, facts.reachable)
    by_request, entry = Judgement(), config.release(wanted)
    if entry and not all(fix.is_frozen for fix in entry.fixes):
        from orchestrator.plan.requests import freeze

        config, by_request = freeze(session, config, wanted, facts.source_tips)
    by_branch, entry = Judgement(), config.release(wanted)
    if entry and entry.from_branch:
        from orchestrator.plan.from_branch import entries

        tips = (facts.base, *facts.source_tips.values())
        have_contents(session.repository, session.scratch, tips, offline=session.options.offline)
        config, by_branch = entries.freeze(config, wanted, facts, session.repository, session.scratch)
    request = PlanRequest(
        version=version,
        config=config,
        config_path=session.config_path(),
        identity=session.repository.identity(),
        offline=session.options.offline,
        effort=session.options.effort,
    )
    decisions = ReleaseState(session.repository, version).decisions() if version else NO_DECISIONS
    decisions = replace(decisions, skipped={**decisions.skipped, **(left_out or {})})
    plan = draft(request, decisions, session.repository, session.scratch, facts)
    if not version:
        decisions = ReleaseState(session.repository, plan.version).decisions()
        if decisions != NO_DECISIONS:
            plan = draft(replace(request, version=plan.version), decisions, session.repository, session.scratch, facts)
    on = proposed_on or config.request_branch(plan.version, always=session.options.pull_request)
    plan = replace(plan, request=on, one_by_one=not on and config.land is not None and not config.land.atomic,
                   sign_commits=signing(session, config), records=config.records)  # fmt: skip
    plan = replace(plan, built_by=building.built_by(session, config, plan))
    guards = PolicyResolver(session.repository, session.scratch, config.remote, facts.heads)
    by_policy, policy = guards.judge(plan, config)
    by_freeze = judge_freeze(
        policy, session.now(), session.options.break_freeze, document.command(plan), looking=looking
    )
    connections = session.connections if _asks(session, plan) else None
    plan, engine_notes = choose(plan, connections) if connections else (plan, ())
    plan = with_base_builders(plan, session.scratch, config.image, connections)
    by_frontend = _by_frontend(plan, session)
    of_images = Judgement(
        problems=(
            *option_problems(plan, config.image),
            *image_problems(
                plan, session.scratch, session.config_name, config.image.lock_command if config.image else ""
            ),
            *(_vex_problems(plan, session) if plan.images else ()),
            *by_frontend.problems,
            *pointer_problems(plan, session.repository, session.scratch),
            *_heavy_problems(plan, session),
        ),
        notes=(
            *([_ONE_BY_ONE] if plan.one_by_one else []),
            *(_hook_notes(guards, plan, config) if config.hooks else ()),
            *_signing_notes(plan),
            *engine_notes,
            *by_frontend.notes,
            *(building.told(plan) if plan.built_by else _proving_notes(plan, session)),
            *image_notes(plan, session.scratch),
            *_heavy_notes(plan, session),
        ),
    )
    return seal(plan, steps.keys(plan), by_request, by_branch, by_policy, by_freeze, of_images)


def _by_frontend(plan: Plan, session: Session) -> Judgement:
    """What the builder itself says of flags in Dockerfiles; nobody is asked offline."""
    return judge_frontend(plan, session.scratch, session.connections) if _asks(session, plan) else Judgement()


def _vex_problems(plan: Plan, session: Session) -> tuple[Problem, ...]:
    """What is wrong in the VEX documents that are to be attested."""
    if not session.scratch.has_folder(plan.tree, VEX_FOLDER):
        return ()
    from orchestrator.attest.scan import vex

    return vex.problems(CommittedFiles(session.scratch, plan.tree).below(VEX_FOLDER))


def _hook_notes(guards: PolicyResolver, plan: Plan, config: Config) -> tuple[str, ...]:
    from orchestrator.release.step_hooks import plan_notes

    return plan_notes(guards, plan, config)


def signing(session: Session, config: Config) -> str:
    """How the commits of a release are signed: by release.yaml, else as git is set."""
    if config.sign_commits is False:
        return ""
    if not (config.sign_commits or session.repository.is_on("commit.gpgSign")):
        return ""
    from orchestrator.git.signing import Signing

    return Signing(repository=session.repository).format


def _signing_notes(plan: Plan) -> tuple[str, ...]:
    """What is said of commits that will be signed."""
    said = (
        f"its commits are signed ({plan.sign_commits}) when they are made, which gives them other ids: promised are"
        " their trees, and these ids without the signatures"
    )
    return (said,) if plan.sign_commits else ()


def _asks(session: Session, plan: Plan) -> bool:
    """Whether who builds may be asked: online, and where this release builds."""
    return not (session.options.offline or plan.built_by)


def _proving_notes(plan: Plan, session: Session) -> tuple[str, ...]:
    """That images will be proved without an engine; nobody is asked offline."""
    said = on_builder(plan, session.connections) if _asks(session, plan) else ""
    return (said,) if said else ()


def _heavy_problems(plan: Plan, session: Session) -> tuple[Problem, ...]:
    if not any(image.heavy for image in plan.images):
        return ()
    from orchestrator.thin.planned import heavy_problems

    def weight(image: PlannedImage) -> int:
        with suppress(ReleaseError):  # it is only told with what is wrong
            before, _ = recorded_before(session, plan, image)
            return before.compressed_size if before else 0
        return 0

    return tuple(heavy_problems(plan, session.scratch, session.config_name, weight))


def _heavy_notes(plan: Plan, session: Session) -> tuple[str, ...]:
    """What is said of the heavy bases, compared with those of the version before as its own release.yaml has them."""
    if not any(image.heavy for image in plan.builds):
        return ()
    from orchestrator.thin.planned import heavy_notes, with_heavy

    scratch, before, tree = session.scratch, dict[tuple[str, str], PlannedImage](), ""
    if plan.previous and (commit := scratch.resolve(f"refs/tags/{plan.previous}")):
        tree = scratch.tree_of(commit)
        with suppress(ReleaseError):  # an old release.yaml that this version cannot read
            config = CommittedFiles(scratch, tree).config(plan.config_path, plan.previous)
            images = planned_images(config, plan.previous, commit) if config else ()
            read = with_heavy(images, config.image if config else None, scratch, tree)
            before = {(each.variant, each.platform): each for image in read for each in image.builds}
    return tuple(dict.fromkeys(heavy_notes(plan, scratch, before, tree)))
