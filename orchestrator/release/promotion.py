"""Give a tested candidate its final name: v2.7.1-rc.2 becomes v2.7.1 without a build.

The tag is a new annotated one on the candidate's very commit, and each image tag a new name of the candidate's very
digest.  So commit and bytes go on saying `v2.7.1-rc.2` of themselves: they are what was tested.  Tag message and record
say where they come from, and anybody can compare commit and digest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator import tool_version
from orchestrator.core.errors import Exit, MismatchError, ProblemsError, RefusedError, UsageError, as_problem
from orchestrator.core.plan import Judgement, Plan, PromotedFrom
from orchestrator.core.record import record_ref
from orchestrator.core.results import Problem
from orchestrator.core.tag_message import promotion
from orchestrator.core.text import word
from orchestrator.core.versions import final_of, not_a_version, parse_tag
from orchestrator.git.tags import made_by
from orchestrator.guard.freeze import judge_freeze
from orchestrator.guard.policy_source import PolicyResolver
from orchestrator.plan import document
from orchestrator.plan.images import planned_images
from orchestrator.plan.planner import seal
from orchestrator.plan.remake import account_at, made_again
from orchestrator.plan.version_rule import check_version
from orchestrator.release import steps
from orchestrator.release.cut import Cut, begin, carry_on, set_aside
from orchestrator.release.steps.take import tested
from orchestrator.session.branch_state import reachable_tags
from orchestrator.session.clone.history import have_history
from orchestrator.session.heal import heal
from orchestrator.session.published import PublishedReleases, config_at, must_be_on_branch, remote_name
from orchestrator.session.state import ReleaseState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.plan import PlannedImage
    from orchestrator.core.record import Record, RecordedImage
    from orchestrator.core.reference import Reference
    from orchestrator.session.session import Session


def promote(session: Session, candidate: str, version: str, *, yes: bool, allow_older: bool = False) -> Cut:
    """Give the candidate its final name, or go on with that.  Doing it again is a no-op.

    Raises ProblemsError with every reason against it, UsageError and RefusedError where nothing can be planned.
    """
    with session.lock():
        state = ReleaseState(session.repository, version)
        heal(state, session.terminal.note)
        if state.paused():
            raise RefusedError(
                f"a cut of {version} waits for you here, on a conflict",
                where=str(state.worktree.path),
                remedy=f"release abort {version}, then promote; or finish the cut: release status {version}",
                code="cut-in-progress",
                state="nothing was changed",
            )
        plan = prepare(session, candidate, version, allow_older=allow_older)
        if plan.problems:
            raise ProblemsError(plan.problems)
        journal = session.journal(state)
        stored = journal.plan()
        if stored and _same(stored, plan):
            return carry_on(session, state)
        if stored:
            set_aside(session, state, journal)
        if plan.tag_object and (digests := _complete(session, plan)) is not None:
            return Cut(plan=plan, digests=digests, tag_object=plan.tag_object, already=True)
        for note in plan.notes if yes else ():  # else they stand in the plan that is asked about
            session.terminal.note(f"note: {note}")
        begin(session, plan, journal, yes=yes)
        return carry_on(session, state)


def _same(stored: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the journal's plan is this one.  Once the tag is public, the plan itself has changed the remote."""
    if stored.get("plan_id") == plan.plan_id:
        return True
    origin = stored.get("promoted_from") or {}
    public = plan.promoted_from and origin.get("tag_object") == plan.promoted_from.tag_object
    return bool(plan.tag_object and public and stored.get("head") == plan.head)


def _complete(session: Session, plan: Plan) -> dict[Reference, str] | None:
    """Reference -> digest when every name and the record are public, None else."""
    ref = record_ref(plan.version)
    if not session.repository.ls_remote(plan.remote, ref).refs.get(ref):
        return None
    digests = {}
    for image in plan.images:
        registry = session.connections.registry(image.repository)
        found = [registry.head(name.tag) for name in image.names]
        if not all(found):
            return None
        digests[image.reference] = next(each.digest for each in found if each)
    return digests


# ------------------------------------------------------------------ the plan


def prepare(session: Session, candidate: str, version: str, *, allow_older: bool = False) -> Plan:
    """The sealed plan of a promotion, with every problem in it; nothing in the clone changes."""
    if session.options.offline:
        raise UsageError("a promotion needs the remote", remedy="leave --offline out", code="offline-promotion")
    _must_fit(candidate, version)
    public = PublishedReleases(session, remote_name(session))
    have_history(session.repository, public.remote)
    tag_object = public.tag(version)
    if tag_object and origin_of(session, public, version) != (candidate, public.tag(candidate)):
        raise RefusedError(
            f"{version} exists already, and it was not promoted from {candidate}",
            where=f"refs/tags/{version}",
            remedy="a version is never made twice: cut the next one",
            code="version-exists",
            state="nothing was changed",
        )
    plan = draft_promotion(session, public, candidate, version, allow_older=allow_older or bool(tag_object))
    return seal(plan, steps.keys(plan), *(() if plan.tag_object else _under_policy(session, plan)))


def _under_policy(session: Session, plan: Plan) -> tuple[Judgement, ...]:
    """Freezes and signatures; the fixes were judged when the candidate was cut."""
    config = config_at(session, plan.version, plan.head, plan.config_path)
    by_policy, policy = PolicyResolver(session.repository, session.scratch, plan.remote, {}).judge(plan, config)
    by_freeze = judge_freeze(policy, session.now(), session.options.break_freeze, document.command(plan))
    return by_policy, by_freeze


def _must_fit(candidate: str, version: str) -> None:
    """A pre-release and the very version that it is a pre-release of.  Raises UsageError."""
    old, new = parse_tag(candidate), parse_tag(version)
    for text, parsed in ((candidate, old), (version, new)):
        if parsed is None:
            raise not_a_version(text)
    if old is None or new is None or not old.is_candidate or str(new) != final_of(candidate):
        wanted = final_of(candidate)
        raise UsageError(
            f"{candidate} cannot become {version}",
            remedy=f"release promote {candidate} {wanted}" if wanted else "the first argument is a pre-release",
            code="not-its-candidate",
        )


def origin_of(session: Session, public: PublishedReleases, version: str) -> tuple[str, str] | None:
    """(candidate, its tag object) by the message of a version's public tag; None for one that was cut."""
    public.bring(f"refs/tags/{version}")
    kind, data = session.scratch.read(public.tag(version))
    return promotion(data.decode("utf-8", "replace")) if kind == "tag" else None


def plan_promotion(
    session: Session, public: PublishedReleases, candidate: str, version: str, *, allow_older: bool
) -> Plan:
    """As `prepare`, for a version whose tag is public: no policy is asked."""
    plan = draft_promotion(session, public, candidate, version, allow_older=allow_older)
    return seal(plan, steps.keys(plan))


def _record_of(public: PublishedReleases, candidate: str, version: str) -> Record:
    """The candidate's record.  Raises RefusedError where there is none; `records: none` has another way."""
    try:
        return public.proved(candidate)
    except RefusedError as error:
        if not public.session.repository.keeps_records:
            error.remedy += (
                f"   | for this one: declare its fixes under {version} with `allow: [duplicate]`, then:"
                f" release cut {version}"
            )
        raise


def draft_promotion(
    session: Session, public: PublishedReleases, candidate: str, version: str, *, allow_older: bool
) -> Plan:
    """As `prepare`, not sealed, for versions that fit; a public tag of `version` must be on the candidate's commit."""
    record = _record_of(public, candidate, version)
    head, tag_object = record.commit, public.tag(candidate)
    _must_be_on(public, head, candidate, version)
    config = replace(config_at(session, candidate, head, record.config.path), remote=public.remote)
    tip = must_be_on_branch(session, config, candidate, tag_object, head)
    chain = _chain(public, record)
    by_hand = final_of(str(chain[0].previous or "")) == version
    previous = str(chain[0].previous or "")
    images, problems = _images(session, config, record, version, previous)
    landed = public.tag(version)
    if not landed:
        problems += _not_proved(session, public, config, record)
        problems += _against(session, public, config, candidate, version, tip=tip, allow_older=allow_older)
    return Plan(
        plan_id="",
        version=version,
        previous=previous,
        remote=public.remote,
        branch=config.branch,
        base=chain[0].base,
        head=head,
        picked_tree=record.picked_tree,
        tree=record.tree,
        picks=tuple(pick for each in chain for pick in each.picks),
        skipped=tuple(skipped for each in chain for skipped in each.skipped),
        images=images,
        tasks=(),
        summary=record.summary,
        committer=_promoter(session, landed),
        when=str(session.scratch.commit(head).when),
        tag_object=landed,
        promoted_from=PromotedFrom(
            version=candidate,
            tag_object=tag_object,
            record=public.record_blob(candidate),
            tip="" if landed else tip,
        ),
        config_path=record.config.path,
        config_sha256=record.config.sha256,
        git_version=session.repository.git_version(),
        sources=tuple(kept for each in chain if (kept := public.kept_sources(str(each.version)))),
        problems=tuple(problems),
        notes=tuple(_notes(session, candidate, head, tip, str(chain[0].previous) if by_hand else "")),
    )


def _promoter(session: Session, landed: str) -> str:
    """Who promotes.  Of a tag that is public, who made it: then nothing is written that needs a name of one's own."""
    kind, data = session.scratch.read(landed) if landed else ("", b"")
    return str((made_by(data) if kind == "tag" else None) or session.repository.identity())


def _not_proved(session: Session, public: PublishedReleases, config: Config, record: Record) -> Sequence[Problem]:
    """What is wrong with a candidate that is made again, as `publish` makes it.

    Not asked of what another version of this tool made, or whose sources are nowhere: it may make them otherwise.
    """
    if record.tool.version != tool_version():
        return ()
    candidate = str(record.version)
    tag_object = public.tag(candidate)
    message = session.scratch.read(tag_object)[1].decode("utf-8", "replace").partition("\n\n")[2]
    account = account_at(session, candidate, message, config)
    if account is None or account.lacking:
        return ()
    tags = {tag: sha for tag, sha in public.refs.tags().items() if tag != candidate}
    return made_again(
        session, account, version=candidate, config=config, config_path=record.config.path, tag_object=tag_object,
        head=record.commit, tags=tags,
    ).problems  # fmt: skip


def _must_be_on(public: PublishedReleases, commit: str, candidate: str, version: str) -> None:
    """A public tag of the version is on the candidate's commit."""
    if public.tag(version) and public.refs.tag_commit(version) != commit:
        raise MismatchError(
            f"tag {version} says that it was promoted from {candidate}, and is on another commit",
            where=f"refs/tags/{version}",
            remedy=f"git fetch {word(public.remote)} refs/tags/{version} && git show FETCH_HEAD: find out who made it",
            code="tag-differs",
        )


def _chain(public: PublishedReleases, record: Record) -> list[Record]:
    """The records of all candidates up to this one, the first one first: together they have the picks.

    A tag that no release made says nothing of what it brought: the account begins after it.
    """
    chain = [record]
    seen = {record.version}
    final = final_of(str(record.version))
    while (before := chain[0].previous) and final_of(str(before)) == final and public.is_made(str(before)):
        if before in seen:
            raise UsageError(
                f"the record of {chain[0].version} says that it came after {before}, which came after it",
                where=record_ref(chain[0].version),
                remedy="a record is never changed: find out who put this one there",
                code="bad-record",
            )
        seen.add(before)
        chain.insert(0, public.proved(str(before)))
    return chain


def _notes(session: Session, candidate: str, head: str, tip: str, by_hand: str) -> list[str]:
    notes = [f"the commit and the bytes go on saying {candidate} of themselves: they are what was tested"]
    if by_hand:
        what = f"{by_hand} was tagged by hand: nobody answers for what it brought, and this account begins after it"
        notes.append(f"{what}; judge its commits with: release audit")
    if behind := len(session.scratch.rev_list(tip, "--not", head, "--")):
        notes.append(f"the branch is {behind} commit{'s' if behind > 1 else ''} ahead: they come with the next release")
    return notes


# ------------------------------------------------------------------ what stands against it


def _against(
    session: Session,
    public: PublishedReleases,
    config: Config,
    candidate: str,
    version: str,
    *,
    tip: str,
    allow_older: bool,
) -> list[Problem]:
    tags = public.refs.tags()
    verdict = check_version(
        version,
        branch=config.branch,
        reachable=reachable_tags(session.scratch, tip, tags),
        existing={**session.repository.local_tags(), **tags},
        where=f"refs/tags/{candidate}",
    )
    problems = [
        *verdict.problems,
        *(
            _no("version-yanked", f"{name} was {public.yanks[name].said}", "cut the next version")
            for name in (candidate, version)
            if name in public.yanks
        ),
    ]
    newer = _newer(public, candidate)
    if newer and not allow_older:
        problems.append(
            _no(
                "older-candidate",
                f"{candidate} is not the newest candidate: {' and '.join(newer)} came after it",
                f"promote {newer[-1]}, or say that you mean the older one: --allow-older",
            )
        )
    return problems


def _newer(public: PublishedReleases, candidate: str) -> list[str]:
    """Later candidates of the same version that nobody yanked, in order."""
    this = parse_tag(candidate)
    known = [each for tag in public.versions if tag not in public.yanks and (each := parse_tag(tag))]
    newer = [each for each in known if this and final_of(str(each)) == final_of(candidate) and each.order > this.order]
    return [str(each) for each in sorted(newer, key=lambda each: each.order)]


def _no(code: str, message: str, remedy: str) -> Problem:
    return Problem(code=code, message=message, remedy=remedy, exit_code=int(Exit.REFUSED))


def _images(
    session: Session, config: Config, record: Record, version: str, previous: str
) -> tuple[tuple[PlannedImage, ...], list[Problem]]:
    """The images under their final names, `candidate` being the name they were tested under; and what is wrong."""
    head = record.commit
    before = planned_images(config, str(record.version), head)
    after = planned_images(config, version, head, previous)
    images = tuple(replace(new, candidate=old.reference) for old, new in zip(before, after, strict=True))
    problems: list[Problem] = []
    for image in images:
        try:
            problems += _in_the_way(session, image, record.image(image.candidate))
        except MismatchError as error:
            problems.append(as_problem(error))
    return images, problems


def _in_the_way(session: Session, image: PlannedImage, recorded: RecordedImage) -> Sequence[Problem]:
    """Final names that stand for something else.  Raises MismatchError when the tested image is not there."""
    registry = session.connections.registry(image.repository)
    digest = tested(registry, recorded).digest
    found = {name: registry.head(name.tag) for name in image.names}
    return [
        _no(
            "image-tag-exists",
            f"{name} exists already as {there.digest}",
            "a version tag is never overwritten: release the next version",
        )
        for name, there in found.items()
        if there and there.digest != digest
    ]
