"""A release made again from what its tag says: the result must be the very commit that the tag names.

`publish` asks it of the tag that it is to publish, `promote` of the candidate that it is to give its final name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError
from orchestrator.core.plan import NO_DECISIONS, candidate_ref
from orchestrator.core.tag_message import terms_fault, told_twice
from orchestrator.git.batch import outside
from orchestrator.landing import candidate, forms
from orchestrator.landing.signed import signing_fault, unsigned
from orchestrator.picks.sources import named, unknown
from orchestrator.picks.undeclared import Since, older
from orchestrator.plan.account import account_of
from orchestrator.plan.from_branch.proof import faults
from orchestrator.plan.landed import as_landed, as_signed
from orchestrator.plan.picker import mark_own
from orchestrator.plan.planner import draft
from orchestrator.plan.release_commit import PlanRequest
from orchestrator.session import kept_sources
from orchestrator.session.branch_state import Facts, reachable_tags
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.published import config_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.declaration import Config
    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.plan.account import Account
    from orchestrator.session.session import Session


def account_at(session: Session, version: str, message: str, config: Config) -> Account | None:
    """What the tag of a version says, with its sources at hand.  Raises MismatchError where it says two things of one.

    A fix may be on no branch any more: it is kept beside the record, and until that is written the remote has it.
    """
    if twice := told_twice(message):
        raise MismatchError(
            f"tag {version} says two things of {twice[:12]}",
            where=f"refs/tags/{version}",
            remedy="`release cut` writes one line for each fix: release the next version",
            code="tag-differs",
        )
    entry = config.release(version)
    if lacking := unknown(entry.fixes if entry else (), config.remote, session.repository, session.scratch):
        kept_sources.bring_for(session.repository, session.scratch, config.remote, version, lacking)
    account = account_of(session.scratch, session.repository, version, message, config)
    if account and account.landing and not account.proposed:
        return _with_proposed(session, config, version, message, account.landing.planned)
    return account


def _with_proposed(session: Session, config: Config, version: str, message: str, planned: str) -> Account | None:
    """The account with the commits that were proposed, which the remote keeps."""
    candidate.bring(session.repository, session.scratch, config.remote, [version])
    account = account_of(session.scratch, session.repository, version, message, config)
    if account is None or not account.proposed:
        raise MismatchError(
            f"tag {version} says that {planned[:12]} was proposed, which is neither here nor on {config.remote}",
            where=candidate_ref(version),
            remedy="without it nobody can prove the release: push it there again from the clone that proposed it",
            code="no-candidate",
        )
    return account


def made_again(
    session: Session,
    account: Account | None,
    *,
    version: str,
    config: Config,
    config_path: str,
    tag_object: str,
    head: str,
    tags: Mapping[str, str],
) -> Plan:
    """The release planned again, not sealed; `tags` are the other version tags.

    Where a forge made other commits of what was proposed, that is made again, and the others are held to it.

    Raises MismatchError where that is not the commit `head`, and no problem of the plan says why.
    """
    landing = account.landing if account else None
    made = landing.planned if landing else head
    base = _base(session, made, account.made if account else (), version)
    _have_contents(session, account, (base, made), tags)
    commit = session.scratch.commit(made)
    request = PlanRequest(
        version=version, config=config, config_path=config_path, identity=commit.committer,
        tag_object=tag_object, offline=True,
    )  # fmt: skip
    facts = Facts(
        base=base,
        tags=tags,
        reachable=reachable_tags(session.scratch, base, tags),
        source_tips={},
        problems=(),
        notes=(),
    )
    decisions = account.decisions if account else NO_DECISIONS
    plan = draft(request, decisions, session.repository, session.scratch, facts)
    chain = forms.line(session.scratch, base, made)
    plain = unsigned(session.scratch, chain)
    was = plain[-1] if plain else made  # a merge among them, and there is no line
    if plan.problems:
        return plan
    if plan.head != was:
        raise _differs(session, plan, made, version)
    _refuse_other_signatures(session, account, made, version)
    if made != was:
        plan = as_signed(plan, dict(zip(plain, chain, strict=True)))
    if account and (fault := terms_fault(account.terms, plan.picks)):
        raise MismatchError(
            f"tag {version} {fault}",
            where=f"refs/tags/{version}",
            remedy="the tag's message does not belong to its commit",
            code="tag-differs",
        )
    if account and account.entry.from_branch:
        _must_hold(session, account, facts, version)
    return as_landed(session.scratch, plan, replace(landing, commit=head)) if landing else plan


def _have_contents(session: Session, account: Account | None, ends: tuple[str, str], tags: Mapping[str, str]) -> None:
    """The files of what is made again: of the commits between its ends, since the version before, and the sources."""
    before = tags.get(account.previous, "") if account else ""
    sources = named(account.sources) if account else ()
    have_contents(
        session.repository, session.scratch, (*ends, *filter(None, (before,)), *sources), sources,
        offline=session.options.offline,
    )  # fmt: skip


def _refuse_other_signatures(session: Session, account: Account | None, made: str, version: str) -> None:
    """Raises MismatchError where a tag says of what was signed another thing than its commits do."""
    told = account.signed_from if account else ""
    number = sum(1 for pick in account.made if pick.result) if account else 0
    if fault := signing_fault(session.scratch, told, made, number):
        raise MismatchError(
            f"tag {version} {fault}",
            where=f"refs/tags/{version}",
            remedy="somebody changed its commits after they were signed, or its message",
            code="tag-differs",
        )


def _must_hold(session: Session, account: Account, facts: Facts, version: str) -> None:
    """Raises MismatchError where a release that takes what is on its branch does not say what that is."""
    since = Since.read(session.scratch, facts.base, older(facts))
    picks = mark_own(session.scratch, account.made, older(facts))
    if fault := next(faults(session.scratch, since, account.sources, picks), ""):
        raise MismatchError(
            f"tag {version} {fault}",
            remedy="the branch holds something undeclared; compare its git log with the tag's message",
            code="tag-differs-from-history",
        )


def _base(session: Session, head: str, picks: Sequence[Pick], version: str) -> str:
    """The commit below the picks that the tag lists.  Raises MismatchError when history says otherwise."""
    parents = session.scratch.commit(head).parents
    tip = parents[0] if parents else ""
    for pick in reversed([each for each in picks if each.result]):
        if tip != pick.result:
            raise _not_its_history(version, pick.result, tip)
        above = session.scratch.commit(tip).parents
        tip = above[0] if above else ""
    if not tip:
        raise MismatchError(f"tag {version} has no history below it", code="tag-differs-from-history")
    for carrier in {pick.duplicate_of for pick in picks} - {""}:
        if not session.scratch.is_commit(carrier) or outside(session.scratch, [carrier], [head]):
            raise _not_its_history(version, carrier, "")
    return tip


def _not_its_history(version: str, listed: str, there: str) -> MismatchError:
    return MismatchError(
        f"tag {version} lists pick {listed[:12]}, its history has {there[:12] or 'nothing'} there",
        code="tag-differs-from-history",
        remedy="the tag's message does not belong to its commit",
    )


def _differs(session: Session, plan: Plan, head: str, version: str) -> MismatchError:
    made, tagged = session.scratch.tree_of(plan.head), session.scratch.tree_of(head)
    paths = session.scratch.git.run("diff-tree", "-r", "--name-only", "-z", made, tagged).fields()
    remedy = "the branch holds something undeclared; compare its git log with the tag's message"
    if paths == [config_at(session, version, head, plan.config_path).changelog]:
        remedy = f"somebody edited it, or another version of this tool made the tag: publish with that one ({remedy})"
    files = ", ".join(paths[:5]) or "only commit data (author, dates, message)"
    return MismatchError(
        f"tag {version} is {head[:12]}, release.yaml at the tag makes {plan.head[:12]}; they differ in {files}",
        remedy=remedy,
        code="tag-differs-from-plan",
    )
