"""A plan whose commits got other ids: the same trees, signed, or as the forge made them of a pull request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.errors import MismatchError
from orchestrator.core.plan import LandingForm
from orchestrator.landing import forms
from orchestrator.plan.account import landed_pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.plan import Landing, Plan, PlannedImage
    from orchestrator.git.scratch import Scratch


def as_landed(scratch: Scratch, plan: Plan, landing: Landing) -> Plan:
    """The plan with the commits that landed in place of those that were proposed; draft, to be sealed anew.

    Raises MismatchError where they are not what the plan proposes: whoever calls this for a tag believes only this.
    """
    planned = forms.proposed(plan).commits
    ids, commit = landed_ids(scratch, planned, landing), scratch.commit(landing.commit)
    picks = tuple(landed_pick(pick, ids[pick.result]) if pick.result else pick for pick in plan.picks)
    return replace(
        plan,
        head=landing.commit,
        picked_tree=scratch.tree_of(commit.parents[0]),  # below a squash that is the branch as it was
        committer=str(commit.committer),
        when=str(commit.when),
        picks=picks,
        images=tuple(_image(image, plan.head, landing.commit) for image in plan.images),
        landed=landing,
        signed_from=plan.signed_from if landing.commit == plan.head else "",  # what the forge made is not ours
    )


def as_signed(plan: Plan, ids: Mapping[str, str]) -> Plan:
    """The plan with signed commits in place of those that it promised (`ids`); what it promised is its id."""
    return replace(
        plan,
        head=ids[plan.head],
        picks=tuple(landed_pick(pick, ids[pick.result]) if pick.result else pick for pick in plan.picks),
        images=tuple(_image(image, plan.head, ids[plan.head]) for image in plan.images),
        signed_from=plan.head,
    )


def landed_ids(scratch: Scratch, planned: Sequence[str], landing: Landing) -> dict[str, str]:
    """Proposed commit -> the one that landed for it.  Raises MismatchError where they are not the same."""
    if landing.commit == planned[-1]:
        return {sha: sha for sha in planned}
    if landing.form is LandingForm.SQUASH:
        fault = forms.squash_fault(scratch, landing.commit, planned)
        ids = dict.fromkeys(planned, landing.commit)
        fault = fault and f"{landing.commit[:12]} {fault}"
    else:
        landed = forms.below(scratch, landing.commit, len(planned))
        fault = forms.rebase_fault(scratch, landed, planned) if landed else "its history is another one"
        ids = dict(zip(planned, landed, strict=False))
    if fault:
        raise MismatchError(
            f"{landing.commit[:12]} is not the {landing.form} of what release.yaml makes: {fault}",
            remedy="the branch holds something undeclared; compare its git log with the tag's message",
            code="tag-differs-from-plan",
        )
    return ids


def _image(image: PlannedImage, before: str, after: str) -> PlannedImage:
    """The private name of an image follows the commit that it is built from."""
    candidate = image.candidate
    tag = candidate.tag.replace(f"candidate-{before[:12]}", f"candidate-{after[:12]}", 1)
    parts = tuple(_image(part, before, after) for part in image.parts)
    return replace(image, candidate=candidate.repository.tag(tag), parts=parts)
