"""A plan as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.declaration import BY_CI, NOWHERE, ON_BRANCH, PREVIOUS, REGISTRY
from orchestrator.core.pick import PickState
from orchestrator.report.record import size

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.core.pick import FollowUp, Pick
    from orchestrator.core.plan import Plan
    from orchestrator.release.steps.verify import VerifyResult


_MARK = {
    PickState.CLEAN: "+",
    PickState.ADAPTED: "~",
    PickState.DUPLICATE: "=",
    PickState.EMPTY: "0",
    PickState.CONFLICT: "!",
}


_NAMED = 3  # so many commits that only name a pick are listed


def plan_lines(plan: Plan, heavy: Sequence[str] = ()) -> list[str]:
    """What `plan` shows; `heavy` are lines on the heavy bases, as the registry has them."""
    lines = [
        _heading(plan),
        "",
        *(line for pick in plan.picks for line in _pick_lines(pick, {each.source for each in plan.picks})),
        *(f"  -  {skipped.source[:12]} skipped    {skipped.subject}  ({skipped.reason})" for skipped in plan.skipped),
        "",
        f"  release commit  {plan.head}{_of_commit(plan)}",
        f"  tag             {plan.version} (annotated)",
    ]
    for image in plan.images:
        floating = f", then {', '.join(image.floating)} forward" if image.floating else ""
        names = " = :".join([str(image.reference), *(name.tag for name in image.aliases)])
        if image.delta_budget:
            before = image.previous.tag if image.previous else "nothing"
            names += f", at most {size(image.delta_budget)} to pull after {before}"
        if image.parts:
            names += f", one for {' and '.join(part.platform for part in image.parts)}"
        first = "the digest of" if plan.promoted_from else "first as"
        lines.append(f"  image           {names}  ({first} :{image.candidate.tag}{floating})")
        if image.heavy and image.heavy.reference and not plan.promoted_from:
            how = "written without an engine" if image.heavy.is_direct else "by a builder"
            lines.append(f"                  thin layers on {image.heavy.name}, {how}")
    lines += [f"  heavy base      {line}" for line in heavy]
    lines += [f"  cache           {line}" for line in _caches(plan)]
    if builders := _builders(plan):
        lines.append(f"  built by        {builders}")
    pushed = f"{plan.version} alone" if plan.promoted_from else f"{plan.branch} and {plan.version}, together"
    lines.append(f"  pushed to       {plan.remote}: {pushed}")
    if plan.records:
        kept = f"on {plan.records.removeprefix(ON_BRANCH)} of {plan.remote}"
        kept = {NOWHERE: "none", REGISTRY: "beside the image, in its registry"}.get(plan.records, kept)
        lines.append(f"  records         {kept}")
    lines.append("")
    lines += [f"  freeze broken   {plan.freeze_broken}"] if plan.freeze_broken else []
    lines += [f"  note: {note}" for note in plan.notes]
    lines.append(f"  plan {plan.plan_id[:16]}")
    return lines


def _of_commit(plan: Plan) -> str:
    """What is said of the release commit's id."""
    if plan.promoted_from:
        return f"  (that of {plan.promoted_from.version})"
    if plan.signed_from:
        return f"  (signed; {plan.signed_from[:12]} without)"
    return "  (before it is signed)" if plan.sign_commits else ""


def _caches(plan: Plan) -> list[str]:
    """What the builds may take over, and where they leave theirs."""
    found = []
    for cache in (image.options.cache for image in plan.images if not plan.promoted_from):
        taken = [plan.previous or "the version before" if each == PREVIOUS else each for each in cache.sources]
        found.append(", ".join([*(f"from {each}" for each in taken), *([f"to {cache.to}"] if cache.to else [])]))
    return [line for line in dict.fromkeys(found) if line]


def _builders(plan: Plan) -> str:
    """Who builds, where that is not the classic builder, or not known yet."""
    if plan.built_by:
        return "CI, from the tag" if plan.built_by == BY_CI else f"release publish {plan.version}, from the tag"
    words = {"buildx": "docker buildx", "auto": "docker buildx where it can, else the classic builder"}
    engines = dict.fromkeys(image.engine for image in plan.images if not plan.promoted_from)
    return " and ".join(words[engine] for engine in engines if engine in words)


def proof_lines(proof: VerifyResult) -> list[str]:
    """What `plan --verify` adds: how much was asked, and how much of it was known."""
    if not proof.commands:
        return ["  verify: release.yaml declares no commands"]
    if proof.problem:
        return ["  verify: failed, see below"]
    return [f"  verify: {proof.commands} command(s) pass on {proof.trees} pick(s); {proof.ran} had to be run"]


def _heading(plan: Plan) -> str:
    picks = f"{len(_made(plan))} of {len(plan.picks)} picks"
    there = sum(pick.since_previous for pick in plan.picks)
    more = f"; {there} came there since {plan.previous or 'it began'}" if there else ""
    return f"{plan.version} after {plan.previous or 'nothing'}: {picks} onto {plan.branch} at {plan.base[:12]}{more}"


def _made(plan: Plan) -> list[Pick]:
    return [pick for pick in plan.picks if pick.result]


def _pick_lines(pick: Pick, declared: Collection[str]) -> list[str]:
    """The pick, what it needs, and what came after it; `declared` are the sources of the whole plan."""
    tail = f"  -> {pick.result[:12]}" if pick.result else ""
    if pick.duplicate_of and pick.duplicate_of != pick.source:
        tail = f"  = {pick.duplicate_of[:12]}"
    lines = [f"  {_MARK[pick.state]}  {pick.source[:12]} {pick.state:<9}  {pick.subject}{tail}"]
    lines += [f"       {each}" for each in pick.besides]
    if pick.prerequisites:
        from orchestrator.config.editor import needed, snippet

        names = " and ".join(sha[:12] for sha in pick.prerequisites)
        new = [sha for sha in pick.prerequisites if sha not in declared]
        lines.append(f"       pick {names} first: then it applies" + ("" if new else "; it is declared, but behind"))
        if new:
            lines.append("       before its entry in release.yaml, by hand or by --write:")
            lines += snippet(needed(new, pick.source), 9).splitlines()
    elif pick.search:
        lines.append(f"       {pick.search}")
    if pick.near:
        lines.append(
            f"       not on the branch, same lines or files: {' '.join(sha[:12] for sha in pick.near[:_NAMED])}"
        )
    return [*lines, *followup_lines(pick.source, pick.followups)]


def forecast_lines(pick: Pick, which: str, stat: Sequence[str], subjects: Mapping[str, str]) -> list[str]:
    """What `cut -i` shows of a pick before it asks; `subjects` are those of its prerequisites."""
    said = {
        PickState.CLEAN: "applies cleanly",
        PickState.ADAPTED: f"adapted: {pick.applied[:12]} is applied in its place",
        PickState.DUPLICATE: f"is on the branch already as {pick.duplicate_of[:12]}",
        PickState.EMPTY: "changes nothing on the branch",
        PickState.CONFLICT: "conflicts in " + ", ".join(f"{each.path} ({each.kind})" for each in pick.conflicts),
    }
    lines = ["", f"({which}) {pick.source[:12]} {pick.subject}", f"    author    {pick.author}"]
    lines += [f"    reason    {pick.reason}"] if pick.reason else []
    lines += [f"    approved  {', '.join(pick.approved_by)}"] if pick.approved_by else []
    lines.append(f"    forecast  {said[pick.state]}")
    lines += [f"    besides   {each}" for each in pick.besides]
    lines += [f"    needs     {sha[:12]} {subjects.get(sha, '')}".rstrip() for sha in pick.prerequisites]
    lines += [f"    lives on  {pick.lives_on}"] if pick.lives_on else []
    lines += followup_lines(pick.source, pick.followups)
    return [*lines, *(f"   {line}" for line in stat)]


def followup_lines(source: str, followups: Sequence[FollowUp]) -> list[str]:
    """What the source says of a pick since: a line each; those that only name it on one line together."""
    lines = []
    for each in followups:
        if each.kind != "mention":
            of = f" of {each.of[:12]}" if each.of != source else ""
            undone = "" if each.stands else "  (no longer)"
            lines.append(f"       {each.kind}{of}: {each.sha[:12]} {each.subject}{undone}")
    named = [each.sha[:12] for each in followups if each.kind == "mention"]
    if named:
        more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        lines.append(f"       named in {', '.join(named[:_NAMED])}{more}")
    return lines
