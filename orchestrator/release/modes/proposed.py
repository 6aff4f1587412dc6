"""A release planned again from its proposal, or from what its tag says, in any clone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError
from orchestrator.core.plan import Judgement, candidate_ref
from orchestrator.core.tag_message import tagged_reason
from orchestrator.landing import candidate
from orchestrator.plan.planner import seal
from orchestrator.plan.remake import account_at, made_again
from orchestrator.release import steps
from orchestrator.session.clone.contents import have_contents
from orchestrator.session.clone.history import have_history
from orchestrator.session.published import config_at, remote_name

if TYPE_CHECKING:
    from orchestrator.core.declaration import Config
    from orchestrator.core.plan import Plan
    from orchestrator.session.session import Session


def planned_again(session: Session, config: Config, version: str, head: str, message: str) -> Plan:
    """The plan of what this tag message tells, not sealed.  Raises MismatchError where it does not make `head`."""
    account = account_at(session, version, message, config)
    tags = {tag: sha for tag, sha in _public_tags(session, config.remote).items() if tag != version}
    return made_again(
        session, account, version=version, config=config, config_path=session.config_path(), tag_object="",
        head=head, tags=tags,
    )  # fmt: skip


def _public_tags(session: Session, remote: str) -> dict[str, str]:
    """Tag -> commit, as the remote has them; a clone may have been made without (`--no-tags`, `--depth`)."""
    tags = session.repository.local_tags()
    return tags if session.options.offline else {**tags, **session.repository.ls_remote(remote, "refs/tags/*").tags()}


def proposed_elsewhere(session: Session, version: str) -> Plan | None:
    """The plan of a version that is proposed on the remote and has no tag; None where there is no such proposal.

    Raises RemoteError where the remote does not answer.
    """
    remote, ref, tag = remote_name(session), candidate_ref(version), f"refs/tags/{version}"
    if session.options.offline or not session.repository.remote_url(remote):
        return None
    refs = session.repository.ls_remote(remote, ref, tag).refs
    return plan_from_candidate(session, version, refs[ref], remote) if ref in refs and tag not in refs else None


def plan_from_candidate(session: Session, version: str, tag_object: str, remote: str) -> Plan:
    """Plan a release again that was proposed, perhaps from another clone; the result must be what was proposed."""
    have_history(session.repository, remote, offline=session.options.offline)
    candidate.bring(session.repository, session.scratch, remote, [version])
    kind, data = session.scratch.read(tag_object)
    fields, _, message = data.decode("utf-8", "replace").partition("\n\n")
    head = session.scratch.resolve(tag_object)
    if kind != "tag" or not head or f"\ntag {version}\n" not in fields:
        raise MismatchError(
            f"what is proposed as {version} on {remote} is no tag of it",
            where=tag_object,
            remedy=f"somebody else wrote that ref; propose it again: release cut {version} --pull-request",
            code="bad-candidate",
        )
    have_contents(session.repository, session.scratch, (head,), offline=session.options.offline)
    config = config_at(session, version, head, session.config_path())
    plan = planned_again(session, config, version, head, message)
    branch = config.request_branch(version, always=True)
    plan = replace(plan, request=branch)
    return seal(plan, steps.keys(plan), Judgement(freeze_broken=tagged_reason(message)))
