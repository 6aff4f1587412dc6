"""The CI entry on a tag push: prove that tag, branch and release.yaml agree, then build ... promote."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.core.declaration import BY_CI
from orchestrator.core.errors import MismatchError, ProblemsError, ReleaseError, RemoteError, UsageError
from orchestrator.core.labels import REVISION
from orchestrator.core.plan import CANDIDATES, Judgement, candidate_ref, proposed_version
from orchestrator.core.record import PREFIX as RECORDS
from orchestrator.core.record import facts_of_plan, must_agree, record_ref
from orchestrator.core.tag_message import promotion, tagged_reason
from orchestrator.core.text import word
from orchestrator.core.versions import in_use, parse_tag
from orchestrator.git.tags import signature_fault
from orchestrator.guard.freeze import judge_freeze
from orchestrator.guard.policy_rules import unsigned_problem
from orchestrator.guard.policy_source import PolicyResolver
from orchestrator.image.builders import choose
from orchestrator.plan import document
from orchestrator.plan.planner import judged, seal
from orchestrator.release import steps
from orchestrator.release.cut import Cut, begin, carry_on
from orchestrator.release.modes import building, landing
from orchestrator.release.modes.proposed import plan_from_candidate, planned_again, proposed_elsewhere
from orchestrator.release.promotion import plan_promotion
from orchestrator.release.steps.offer import PartMissingError, offered
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history
from orchestrator.session.heal import heal
from orchestrator.session.journal import DamagedStateError, put_aside
from orchestrator.session.published import (
    PublishedReleases,
    config_at,
    must_be_on_branch,
    must_be_the_same,
    remote_name,
)
from orchestrator.session.state import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.core.plan import Plan
    from orchestrator.core.reference import Reference
    from orchestrator.session.journal import Journal
    from orchestrator.session.session import Session

# In this order: what each CI calls the tag that started the job.
_TAG_VARIABLES = ("CI_COMMIT_TAG", "TAG_NAME", "BUILD_SOURCEBRANCHNAME")


def tag_from_ci(env: Mapping[str, str]) -> str:
    """The tag that this CI job runs for, "" outside of one."""
    if env.get("GITHUB_REF_TYPE") == "tag":
        return env.get("GITHUB_REF_NAME", "")
    return next((env[name] for name in _TAG_VARIABLES if env.get(name)), "")


def _of_the_job(session: Session) -> str:
    """The version that the CI job is for.  Raises UsageError."""
    if version := tag_from_ci(session.env):
        return version
    raise UsageError(
        "no version given and no tag in the CI's environment",
        remedy=f"release publish {in_use().example}",
        code="no-version",
    )


def publish(session: Session, version: str, platform: str = "", *, build: bool = True, wait: float = 0) -> Cut:
    """Build, prove and publish the image of a tag that is public.  Doing it again is a no-op.

    Without `build` the image is the cut's to make: it is waited for so many seconds, else WaitingError.

    With a `platform` only the image of that one is built; it is offered to the jobs of the others, and the last of them
    joins all to the image that the version names.  Raises MismatchError when the tag is not what release.yaml at the
    tag declares.
    """
    version = version or _of_the_job(session)
    with session.lock():
        state = ReleaseState(session.repository, version)
        heal(state, session.terminal.note)
        if (landed := _proposed(session, version)) and (done := _take_landed(session, state, landed, platform)):
            return done
        plan = plan_from_tag(session, version)
        if plan.problems:
            raise ProblemsError(plan.problems)
        if not build:
            building.wait_for_cut(plan, partial(_is_whole, session, plan), wait)
        public = PublishedReleases(session, plan.remote)
        record, digests = public.record(version), _published(session, plan)
        if record:
            must_agree(record, facts_of_plan(plan, plan.tag_object, digests))
            must_agree(record, public.facts(version))
        plan = _shared(session, plan, platform, published=bool(digests))
        journal = _readable_journal(session, state)
        stored = journal.plan()
        if stored and _is_same(stored, plan):
            return _unless_others_lack(session, state, plan)
        if stored:
            journal.restart()
        if digests:
            if record is None and session.repository.keeps_records:
                _say_what_is_missing(session, plan)
            return Cut(plan=plan, digests=digests, tag_object=plan.tag_object, already=True)
        plan = judged(plan, *_under_policy(session, plan))
        if plan.problems:
            raise ProblemsError(plan.problems)
        begin(session, _with_builder(session, plan), journal, yes=True)
        return _unless_others_lack(session, state, plan)


def _is_whole(session: Session, plan: Plan) -> bool:
    """Whether a cut has named the images and written the record."""
    if not _published(session, plan):
        return False
    return not session.repository.keeps_records or bool(
        PublishedReleases(session, plan.remote).record_blob(plan.version)
    )


def _is_same(stored: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the journal's plan is of this tag, and leaves the same to other jobs."""
    of_tag = stored.get("head") == plan.head and stored.get("tag_object") in ("", plan.tag_object)
    return of_tag and not stored.get("built_by") and tuple(stored.get("elsewhere", ())) == plan.elsewhere


def _unless_others_lack(session: Session, state: ReleaseState, plan: Plan) -> Cut:
    """Obey the stored plan, as far as the images of all platforms are there."""
    try:
        return carry_on(session, state)
    except PartMissingError as error:
        again = f"release publish {plan.version}"
        note = f"{error.message}: its job joins all and names them; where all have ended: {again}"
        return Cut(plan=plan, digests={}, tag_object=plan.tag_object, notes=(note,), waits_for=error.message)


# ------------------------------------------------------------------ a platform to each job


def _shared(session: Session, plan: Plan, platform: str, *, published: bool) -> Plan:
    """The plan without what other jobs build, and without what was uploaded before: its id stays that of the whole."""
    platforms = _must_be_shared(plan, platform)
    if published or not platforms:
        return plan
    mine = tuple(each for each in platforms if platform in ("", each))
    done = tuple(each for each in mine if _is_offered(session, plan, each))
    elsewhere = tuple(each for each in platforms if each not in mine or each in done)
    shared = replace(plan, elsewhere=elsewhere)
    return replace(shared, tasks=steps.keys(shared))


def _is_offered(session: Session, plan: Plan, platform: str) -> bool:
    """Whether the images of a platform are in the registry, with their accounts."""
    parts = [part for image in plan.images for part in image.parts if part.platform == platform]
    try:
        for part in parts:
            offered(session.connections.registry(part.repository), part, plan.head)
    except PartMissingError:
        return False
    return True


def _must_be_shared(plan: Plan, platform: str) -> tuple[str, ...]:
    """The platforms of several images.  Raises UsageError where a job for that one alone makes no sense; "" is all."""
    platforms = tuple(dict.fromkeys(part.platform for image in plan.images for part in image.parts))
    single = next((image.short for image in plan.images if not image.parts), "")
    if platform and (platform not in platforms or single):
        known = " and ".join(platforms) or "one platform"
        what = f"{single} is one platform's, beside images of several" if platforms and single else ""
        raise UsageError(
            f"{plan.version} is not published platform by platform: {what}"
            if what
            else f"{plan.version} has no image for {platform}: release.yaml there declares {known}",
            where=plan.config_path,
            remedy=f"publish it by one job: release publish {plan.version}"
            if what or not platforms
            else f"release publish {plan.version} --platform {platforms[0]}",
            code="no-platform",
        )
    return platforms


def _with_builder(session: Session, plan: Plan) -> Plan:
    """The plan with the builder that is here."""
    plan, notes = choose(plan, session.connections)
    config = config_at(session, plan.version, plan.head, plan.config_path)
    for note in (*building.not_by_cut(plan, config), *notes):
        session.terminal.note(f"note: {note}")
    return plan


def publish_landed(session: Session, platform: str = "") -> Cut | None:
    """Tag and publish what landed by a pull request and has no record yet; None where there is no such release.

    The CI job of a push to a release branch; with a `platform` one of several, each of which finds or pushes the tag.
    """
    remote = remote_name(session)
    refs = session.repository.ls_remote(remote, f"{CANDIDATES}*", "refs/tags/*", f"{RECORDS}*").refs
    names = [proposed_version(ref) for ref in refs]
    wrong: list[ReleaseError] = []
    for version in (name for name in names if parse_tag(name) and record_ref(name) not in refs):
        try:
            found = _has_landed(session, version, refs, remote)
        except RemoteError:
            raise
        except landing.OvertakenError as error:  # what landed is another version, and right
            session.terminal.note(f"note: {error.message}: {error.remedy}")
            continue
        except ReleaseError as error:  # it holds up no other version
            session.terminal.note(f"note: {version} was passed over: {error.message}")
            wrong.append(error)
            continue
        if found:
            return publish(session, version, platform)
    if wrong:
        raise wrong[0]
    return None


def _has_landed(session: Session, version: str, refs: Mapping[str, str], remote: str) -> bool:
    """Whether a version that was proposed is on its branch; where it is tagged already, its tag is here then."""
    if f"refs/tags/{version}" in refs:
        session.repository.fetch_ref(remote, f"refs/tags/{version}")
        return True
    plan = plan_from_candidate(session, version, refs[candidate_ref(version)], remote)
    return landing.find_landed(session, plan) is not None


def _proposed(session: Session, version: str) -> Plan | None:
    """The plan of a version that has no tag yet and landed by a pull request; None where it was not proposed.

    Raises WaitingError while the request is not merged.
    """
    if session.repository.resolve(f"refs/tags/{version}"):
        return None
    plan = proposed_elsewhere(session, version)
    if plan is None:
        return None
    if plan.problems:
        raise ProblemsError(plan.problems)
    landed = landing.landed_plan(session, plan)
    if landed is None:
        raise landing.refuse_to_wait(session, plan, "")
    return landed


def _take_landed(session: Session, state: ReleaseState, plan: Plan, platform: str) -> Cut | None:
    """Release what landed; for a platform of several tag it, and no more: each job builds its image from the tag."""
    if not platform:
        return _tag_landed(session, state, plan)
    _must_be_shared(plan, platform)
    _tag_landed(session, state, replace(plan, built_by=BY_CI))
    return None


def _tag_landed(session: Session, state: ReleaseState, plan: Plan) -> Cut:
    """Go on with a release that was proposed, perhaps from another clone: it is judged again, by policy and freeze."""
    config = config_at(session, plan.version, plan.head, plan.config_path)
    by_policy, policy = PolicyResolver(session.repository, session.scratch, config.remote, {}).judge(plan, config)
    reason = session.options.break_freeze or plan.freeze_broken
    by_freeze = judge_freeze(policy, session.now(), reason, document.command(plan))
    plan = seal(plan, steps.keys(plan), by_policy, by_freeze)
    if plan.problems:
        raise ProblemsError(plan.problems)
    journal = _readable_journal(session, state)
    stored = journal.plan()
    if stored and stored.get("landed") and stored.get("head") == plan.head and not stored.get("built_by"):
        return carry_on(session, state)
    if stored:
        journal.restart()
    begin(session, _with_builder(session, plan), journal, yes=True)
    return carry_on(session, state)


def _readable_journal(session: Session, state: ReleaseState) -> Journal:
    """The journal; one that is damaged is put aside: what is public tells all that is needed to finish."""
    try:
        journal = session.journal(state)
        if stored := journal.plan():
            document.recall(stored, str(journal.path))
    except DamagedStateError as error:
        session.terminal.note(f"{error.message}, in {error.where}: put aside, the release is finished by its tag")
        put_aside(state.journal_path)
        return session.journal(state)
    return journal


def _under_policy(session: Session, plan: Plan) -> Iterator[Judgement]:
    """What the policy of the protected source branch says of a plan, of its tag, and of this moment.

    A freeze that the tag says was broken, with a reason, is broken for its image too.
    """
    repository = session.repository
    config = config_at(session, plan.version, plan.head, plan.config_path)
    by_policy, policy = PolicyResolver(repository, session.scratch, config.remote, {}).judge(plan, config)
    for note in (*plan.notes, *by_policy.notes):
        session.terminal.note(f"note: {note}")
    yield replace(by_policy, signed_tag="")  # what a cut must do; this tag is made
    if policy.signed_tags and (fault := signature_fault(repository, plan.tag_object)):
        remedy = (
            "a release whose tag is not believed is not published; who may sign: gpg.ssh.allowedSignersFile, or gpg"
        )
        yield Judgement(problems=(unsigned_problem(policy, f"tag {plan.version}: {fault}", remedy),))
    said = tagged_reason(repository.git.text("cat-file", "tag", plan.tag_object))
    yield judge_freeze(policy, session.now(), session.options.break_freeze or said, document.command(plan))


def _published(session: Session, plan: Plan) -> dict[Reference, str]:
    """Reference -> digest when every image of the tag is in the registry already and says that it is this commit's.

    A cut publishes its image itself; the CI job that its tag push starts has nothing left to do then.
    """
    digests = {}
    for image in plan.images:
        registry = session.connections.registry(image.repository)
        manifest = registry.manifest(image.reference.tag)
        if manifest is None or registry.labels(manifest).get(REVISION) != plan.head:
            return {}
        if any(registry.find_image(manifest, part.platform) is None for part in image.parts):
            return {}
        names = [registry.head(name.tag) for name in image.aliases]
        if any(name is None or name.digest != manifest.digest for name in names):
            return {}
        digests[image.reference] = manifest.digest
    return digests


def _say_what_is_missing(session: Session, plan: Plan) -> None:
    """Without a record the cut that published the image is still at work, or was broken off after its promotion."""
    session.terminal.note(
        f"{plan.version}: the image is public, its record is not yet; if nobody is at work on it,"
        f" finish it in the clone that began it: {document.begun_by(plan)}"
    )


def plan_from_tag(session: Session, version: str) -> Plan:
    """Plan the release again from what the tag says; the result must be the tag's own commit."""
    repository = session.repository
    remote = remote_name(session)
    have_history(repository, remote, offline=session.options.offline)
    tag_object, head = repository.resolve(f"refs/tags/{version}", "tag"), repository.resolve(f"refs/tags/{version}")
    if not head:
        raise UsageError(
            f"tag {version} is not in this clone", remedy=f"git fetch {word(remote)} tag {version}", code="no-tag"
        )
    have_contents(repository, session.scratch, (head,), offline=session.options.offline)
    if not tag_object:
        raise MismatchError(
            f"tag {version} is lightweight here: it says nothing of its picks",
            remedy=f"git fetch --force {word(remote)} refs/tags/{version}:refs/tags/{version}"
            "   (some CI checkouts peel tags)",
            code="lightweight-tag",
        )
    if origin := promotion(repository.git.text("cat-file", "tag", tag_object)):
        return _promoted(session, PublishedReleases(session, remote), version, tag_object, origin)
    try:
        config = config_at(session, version, head, session.config_path())
    except ReleaseError:
        must_be_the_same(session, remote, version, tag_object)  # of another tag nothing is to be said
        raise
    must_be_on_branch(session, config, version, tag_object, head)
    plan = planned_again(session, config, version, head, repository.git.text("cat-file", "tag", tag_object))
    plan = replace(plan, tag_object=tag_object, records=config.records)
    return seal(plan, steps.keys(plan))


def _promoted(
    session: Session, public: PublishedReleases, version: str, tag_object: str, origin: tuple[str, str]
) -> Plan:
    """A promoted tag: nothing is to be built, and the candidate that it names must be the one that is public."""
    public.must_be_promoted(version, tag_object, *origin)
    return plan_promotion(session, public, origin[0], version, allow_older=True)
