"""Plans and releases as Markdown for pull requests and CI summaries.  Pure.

Commit subjects are foreign text: they stand in code spans, where GitHub and GitLab read neither HTML nor links,
mentions (`@team`), references (`#1`) nor commands; and in lists, because a table's cell can be broken out of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.pick import PickState
from orchestrator.core.text import code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.pick import Pick
    from orchestrator.core.plan import Plan
    from orchestrator.core.reference import Reference
    from orchestrator.core.results import Problem

MARK = "<!-- release plan -->"  # by which a bot finds the comment that it made
_STATES = {
    PickState.CLEAN: "applies",
    PickState.ADAPTED: "adapted",
    PickState.DUPLICATE: "is there already",
    PickState.EMPTY: "changes nothing",
    PickState.CONFLICT: "**conflicts**",
}


def plan_markdown(plan: Plan, problems: Sequence[Problem]) -> str:
    """A plan with its problems, as a comment on the pull request that declares it."""
    made = sum(1 for pick in plan.picks if pick.result)
    state = f"{len(problems)} problem(s): it cannot be cut as it is" if problems else "it can be cut"
    onto = f"{code(plan.branch)} at `{plan.base[:12]}`, after {code(plan.previous or 'nothing')}"
    lines = [
        MARK,
        f"### Plan of {code(plan.version)}: {state}",
        "",
        f"{made} of {len(plan.picks)} picks apply onto {onto}.",
        "",
        *_picks(plan.picks),
        *(f"- `{each.source[:12]}` left out: {code(each.subject)} ({code(each.reason)})" for each in plan.skipped),
        "",
    ]
    if problems:
        lines += ["#### Problems", "", *(line for each in problems for line in _problem(each)), ""]
    if plan.head:
        lines += [f"- release commit `{plan.head}`", f"- tag {code(plan.version)}"]
    lines += [f"- image {code(str(image.reference))}" for image in plan.images]
    lines += [f"- note: {code(note)}" for note in plan.notes]
    return "\n".join([*lines, f"- plan `{plan.plan_id[:16]}`"]) + "\n"


def summary_markdown(plan: Plan, digests: Mapping[Reference, str]) -> str:
    """A release, as the summary of the CI step that made it."""
    lines = [f"## {code(plan.version)}", "", f"`{plan.head}` on {code(plan.branch)}, after {code(plan.previous)}.", ""]
    lines += _picks(plan.picks)
    lines += ["", *(f"- {code(f'{reference}@{digest}')}" for reference, digest in digests.items())]
    return "\n".join(lines) + "\n"


def _picks(picks: Sequence[Pick]) -> list[str]:
    lines = []
    for pick in picks:
        lines.append(f"- `{pick.source[:12]}` {_STATES[pick.state]}: {code(pick.subject)}")
        if pick.reason:
            lines.append(f"  - why: {code(pick.reason)}")
        lines += [f"  - conflict in {code(each.path)} ({each.kind})" for each in pick.conflicts]
        if pick.prerequisites:
            lines.append(
                f"  - pick {' and '.join(f'`{sha[:12]}`' for sha in pick.prerequisites)} first: then it applies"
            )
        lines += [f"  - {each.kind}: `{each.sha[:12]}` {code(each.subject)}" for each in pick.followups if each.stands]
    return lines


def _problem(problem: Problem) -> list[str]:
    where = f"{code(problem.where)}: " if problem.where else ""
    lines = [f"- {where}{code(problem.message)} (`{problem.code}`)"]
    return [*lines, f"  - do: {code(problem.remedy)}"] if problem.remedy else lines
