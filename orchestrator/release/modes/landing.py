"""What was proposed is merged, or not yet: which release goes on, as which plan.

A proposed release is a plan of two parts.  The first ends with the request; the second begins when what was proposed is
found on the branch, proved there, and is a plan of its own, with the commits that landed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.commit_message.release import released_versions
from orchestrator.core.declaration import LandSpec
from orchestrator.core.errors import MismatchError, RefusedError, ReleaseError, WaitingError
from orchestrator.core.plan import PROPOSE, Judgement, LandingForm
from orchestrator.core.text import word
from orchestrator.core.versions import parse_tag
from orchestrator.git.tags import made_by
from orchestrator.landing import candidate, forms, request
from orchestrator.plan import document
from orchestrator.plan.landed import as_landed
from orchestrator.plan.planner import seal
from orchestrator.release import steps
from orchestrator.session.journal import Journal
from orchestrator.session.published import config_at
from orchestrator.session.state import ReleaseState, in_progress

if TYPE_CHECKING:
    from orchestrator.core.plan import Landing, Plan
    from orchestrator.session.session import Session


STAYS = "what landed stays"


class OvertakenError(forms.LandedOtherwiseError):
    """Another version landed first: what is proposed stands on the branch as it was, and is planned again."""

    default_code = "overtaken"


class OutdatedError(OvertakenError):
    """That was a later version, so this one cannot be released any more."""


def waiting(session: Session, version: str) -> tuple[ReleaseState, Plan] | None:
    """The release that this clone proposed and that has not landed as far as it knows; "" means the only one."""
    found = []
    for name in [version] if version else in_progress(session.repository):
        state = ReleaseState(session.repository, name)
        journal = Journal(state.journal_path, session.now)
        data = journal.plan()
        if data and data.get("request") and not data.get("landed") and journal.touched(PROPOSE):
            found.append((state, document.recall(data, str(journal.path))))
    return found[0] if len(found) == 1 else None


def begun(session: Session, version: str) -> ReleaseState | None:
    """The release whose second part was begun here and not ended; "" means the only one."""
    found = []
    for name in [version] if version else in_progress(session.repository):
        state = ReleaseState(session.repository, name)
        journal = Journal(state.journal_path, session.now)
        if (journal.plan() or {}).get("landed") and not journal.closed:
            found.append(state)
    return found[0] if len(found) == 1 else None


def find_landed(session: Session, plan: Plan) -> Landing | None:
    """How what a plan proposes came onto its branch, None where it has not.

    Raises LandedOtherwiseError where something of it did, and it is not what was planned; OvertakenError where it is
    another version that did.
    """
    ref = f"refs/heads/{plan.branch}"
    tip = session.repository.ls_remote(plan.remote, ref).branch(plan.branch)
    if tip in ("", plan.base):
        return None
    if not session.scratch.has(tip):
        session.repository.bring(session.scratch, plan.remote, [ref])
    try:
        return forms.find(session.scratch, forms.proposed(plan), tip)
    except forms.LandedOtherwiseError:
        _refuse_overtaken(session, plan, tip)
        raise


def _refuse_overtaken(session: Session, plan: Plan, tip: str) -> None:
    """Raises OvertakenError where the first version that landed since the branch was as planned is another one."""
    other = _first_since(session, plan, plan.base, tip)
    mine, first = parse_tag(plan.version), parse_tag(other)
    if not first or not mine or other == plan.version:
        return
    later = first.order > mine.order
    give_up = f"release abort {plan.version}"
    raise (OutdatedError if later else OvertakenError)(
        f"{other} landed on {plan.branch} first, and {plan.version} was proposed on what was there before",
        where=plan.branch,
        remedy=give_up if later else f"plan it on what is there now: release cut {plan.version}   | {give_up}",
        state=candidate.PRIVATE,
    )


def _first_since(session: Session, plan: Plan, base: str, tip: str) -> str:
    """The oldest version on a branch since `base`, by its tag or its release commit; "" where none is told."""
    tags = session.repository.ls_remote(plan.remote, "refs/tags/*").tags()
    tagged = {commit: version for version, commit in tags.items() if parse_tag(version)}
    config = config_at(session, plan.version, plan.head, plan.config_path)
    for sha in session.scratch.rev_list("--reverse", "--topo-order", tip, f"^{base}", "--"):
        told = [tagged[sha]] if sha in tagged else released_versions(config, session.scratch.commit(sha).subject)
        if told:
            return plan.version if plan.version in told else told[0]
    return ""


def landed_plan(session: Session, plan: Plan) -> Plan | None:
    """The plan of the second part, None while nothing landed."""
    landing = find_landed(session, plan)
    if landing is None:
        return None
    said = Judgement(signed_tag=plan.signed_tag, freeze_broken=plan.freeze_broken)
    made = as_landed(session.scratch, plan, landing)
    return seal(made, steps.keys(made), said)


def landed_here(
    session: Session, version: str, proposed: tuple[ReleaseState, Plan] | None
) -> tuple[ReleaseState, Plan] | None:
    """The second part of what this clone proposed, or made and could not push, where that has landed."""
    if proposed is None:
        return _by_hand(session, version)
    try:
        landed = landed_plan(session, proposed[1])
    except OutdatedError:
        raise
    except OvertakenError as error:
        session.terminal.note(f"note: {error.message}: it is planned again")
        return None
    return (proposed[0], landed) if landed else None


def _by_hand(session: Session, version: str) -> tuple[ReleaseState, Plan] | None:
    """A release that this clone made and could not push, whose commits a forge squashed or rebased onto the branch.

    Somebody opened a request for them, and no plan proposed it.  What they were is kept on the remote, as of a release
    that was proposed: it is proved by them.  "" means the only release that is open here.
    """
    open_ = [
        ReleaseState(session.repository, name) for name in ([version] if version else in_progress(session.repository))
    ]
    for state in open_:
        journal = Journal(state.journal_path, session.now)
        data, tag_object = journal.plan(), state.ref("tag")
        if (
            journal.closed
            or not data
            or not tag_object
            or any(data.get(key) for key in ("landed", "request", "tag_object"))
        ):
            continue
        plan = document.recall(data, str(journal.path))
        if session.scratch.resolve(tag_object) != plan.head:
            continue
        config = config_at(session, plan.version, plan.head, plan.config_path)
        spec = config.land or LandSpec(place=config.place)
        try:
            landed = landed_plan(session, replace(plan, request=spec.branch_of(plan.version)))
        except forms.LandedOtherwiseError:
            continue  # it is planned again, on what is there
        if landed and landed.landed and landed.landed.form in (LandingForm.SQUASH, LandingForm.REBASE):
            candidate.keep(session.repository, plan.remote, plan.version, tag_object)
            return state, landed
    return None


def take_up(session: Session, state: ReleaseState, journal: Journal, plan: Plan) -> None:
    """Begin the second part, in the same journal: what was verified stays so."""
    if plan.landed and plan.landed.commit != plan.landed.planned:
        state.forget_candidate()
    journal.append("opened", plan=document.encode(plan))
    session.terminal.note(f"{plan.version} has landed on {plan.branch} by {_how(plan)}: every tree is as planned")


def _how(plan: Plan) -> str:
    return f"{plan.landed.form} as {plan.head[:12]}" if plan.landed else plan.head[:12]


def refuse_to_wait(session: Session, plan: Plan, url: str) -> WaitingError:
    """The error of a release that waits for its request; raises where the request cannot bring it any more."""
    refuse_dead(session, plan)
    return WaitingError(
        f"{plan.version} waits for its request to be merged into {plan.branch}",
        where=url if "://" in url else plan.request,
        remedy=f"merge it in any way, then: {_again(session, plan)}   | release abort {plan.version}",
        state=candidate.PRIVATE,
    )


def _again(session: Session, plan: Plan) -> str:
    """What goes on with it: a clone that did not propose it has no cut of it."""
    proposed_here = ReleaseState(session.repository, plan.version).directory.exists()
    return f"release {'cut' if proposed_here else 'publish'} {plan.version}"


def refuse_dead(session: Session, plan: Plan) -> None:
    """Raises where a request can bring nothing any more, as far as the forge tells, or its branch."""
    forge, _ = request.connect(session, plan.remote)
    if forge:
        try:
            found = forge.requests(plan.request)
        except ReleaseError as error:
            session.terminal.note(f"note: what became of the request is not known: {error.message}")
        else:
            request.refuse_gone(found, plan)
    there = candidate.candidate(session.repository, plan.remote, plan.version, plan.request)
    if there.branch_head not in ("", plan.head):
        raise request.changed(plan, there.branch_head)
    if not there.branch_head and there.tag_object:
        back = f"git push {word(plan.remote)} {plan.head}:refs/heads/{word(plan.request)}"
        raise MismatchError(
            f"branch {plan.request} is gone from {plan.remote}, and {plan.version} was not merged into {plan.branch}",
            where=plan.request,
            remedy=f"where it was merged this moment, run the same command again; else put it back: {back}"
            f"   | release abort {plan.version}",
            code="request-branch-gone",
            state=candidate.PRIVATE,
        )


def refuse_open_proposal(session: Session, plan: Plan) -> None:
    """Raises where it was proposed elsewhere: RefusedError where that has landed, WaitingError where it is somebody
    else's, which may be approved, and is not pushed over.
    """
    if not plan.request or plan.landed or plan.tag_object:
        return
    found = candidate.candidate(session.repository, plan.remote, plan.version, plan.request)
    if not found.tag_object or found.branch_head == plan.head:
        return
    candidate.bring(session.repository, session.scratch, plan.remote, [plan.version])
    kind, data = session.scratch.read(found.tag_object)
    message = data.decode("utf-8", "replace").partition("\n\n")[2]
    who = made_by(data)
    made = session.scratch.resolve(found.tag_object) if kind == "tag" else ""
    _refuse_landed(session, plan, forms.chain(session.scratch, made, message), who.name if who else "somebody")
    if made != found.branch_head or str(who) == plan.committer:
        return
    raise WaitingError(
        f"{plan.version} is proposed already, by {who.name if who else 'somebody'},"
        f" and waits to be merged into {plan.branch}",
        where=plan.request,
        remedy=f"go on with that, now or once it is merged: release publish {plan.version}   | take it back, then"
        f" propose again: git push {word(plan.remote)} :refs/heads/{word(plan.request)}",
        code="proposed-already",
        state=candidate.PRIVATE,
    )


def _refuse_landed(session: Session, plan: Plan, commits: list[str], who: str) -> None:
    """Raises RefusedError where these commits, which somebody proposed, are on the branch that is planned on."""
    below = session.scratch.commit(commits[0]).parents if commits else ()
    if not below:
        return
    wanted = forms.Proposed(
        version=plan.version, branch=plan.branch, base=below[0], commits=tuple(commits), config_path=plan.config_path
    )
    try:
        if forms.find(session.scratch, wanted, plan.base) is None:
            return
    except forms.LandedOtherwiseError:
        if _first_since(session, plan, wanted.base, plan.base) in ("", plan.version):
            raise
        return  # what landed is another version
    raise RefusedError(
        f"{plan.version} was proposed by {who}, and has landed on {plan.branch}",
        where=plan.branch,
        remedy=f"go on with that: release publish {plan.version}",
        code="landed-already",
        state=candidate.PRIVATE,
    )


def withdraw(session: Session, plan: Plan) -> list[str]:
    """Take back what was proposed; returns what is left elsewhere.  What landed stays on its branch, untagged."""
    left = [*stays(session, plan), *request.close(session, plan)]
    found = candidate.candidate(session.repository, plan.remote, plan.version, plan.request)
    mine = found.branch_head in ("", plan.landed.planned if plan.landed else plan.head)
    candidate.withdraw(session.repository, plan.remote, found, branch=mine)
    if not mine:
        left.append(
            f"branch {plan.request} holds {found.branch_head[:12]}, which somebody pushed; to remove it:"
            f" git push {plan.remote} :refs/heads/{plan.request}"
        )
    return left


def stays(session: Session, plan: Plan) -> list[str]:
    """A line about what is on the branch of a version that is given up, without a tag; none where nothing is."""
    try:
        landed = plan.landed or find_landed(session, plan)
    except forms.LandedOtherwiseError as error:
        return [f"{STAYS} on {plan.branch}: {error.message}"]
    if landed is None:
        return []
    again = f"`release check` names the entries to add, `release cut {plan.version}` what to allow"
    return [f"{STAYS} on {plan.branch}, as {landed.commit[:12]}; to release it: {again}"]
