"""Values as text for people: plans, standings, records, findings.  Pure: lines in, nothing printed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.core.results import CheckState, PickState
from orchestrator.image.pytorch_builds import SOURCES, runs_on

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from orchestrator.core.results import CheckResult, FollowUp, Pick, Plan, Problem
    from orchestrator.image.pytorch_builds import Build, Pin
    from orchestrator.picks.duplicates import Answer
    from orchestrator.release.checks import Finding
    from orchestrator.release.status import Standing
    from orchestrator.release.verifying import Proof
    from orchestrator.release.yank import Yanked

_MARK = {
    PickState.CLEAN: "+",
    PickState.ADAPTED: "~",
    PickState.DUPLICATE: "=",
    PickState.EMPTY: "0",
    PickState.CONFLICT: "!",
}
_NAMED = 3  # so many commits that only name a pick are listed
_CHECK_MARK = {CheckState.PASSED: "ok", CheckState.FAILED: "FAILED", CheckState.SKIPPED: "skipped"}


def size(number: float) -> str:
    """Bytes for people, in powers of 1024: `5.8 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def plan_lines(plan: Plan) -> list[str]:
    """What `plan` shows."""
    lines = [
        _heading(plan),
        "",
        *(line for pick in plan.picks for line in _pick_lines(pick, {each.source for each in plan.picks})),
        *(f"  -  {skipped.source[:12]} skipped    {skipped.subject}  ({skipped.reason})" for skipped in plan.skipped),
        "",
        f"  release commit  {plan.head}" + (f"  (that of {plan.promoted_from.version})" if plan.promoted_from else ""),
        f"  tag             {plan.version} (annotated)",
    ]
    for image in plan.images:
        floating = f", then {', '.join(image.floating)} forward" if image.floating else ""
        names = " = :".join([image.reference, *(name.rpartition(":")[2] for name in image.aliases)])
        if image.delta_budget:
            names += (
                f", at most {size(image.delta_budget)} to pull after {image.previous.rpartition(':')[2] or 'nothing'}"
            )
        first = "the digest of" if plan.promoted_from else "first as"
        lines.append(f"  image           {names}  ({first} :{image.candidate.rpartition(':')[2]}{floating})")
    pushed = f"{plan.version} alone" if plan.promoted_from else f"{plan.branch} and {plan.version}, together"
    lines += [f"  pushed to       {plan.remote}: {pushed}", ""]
    lines += [f"  freeze broken   {plan.freeze_broken}"] if plan.freeze_broken else []
    lines += [f"  note: {note}" for note in plan.notes]
    lines.append(f"  plan {plan.plan_id[:16]}")
    return lines


def proof_lines(proof: Proof) -> list[str]:
    """What `plan --verify` adds: how much was asked, and how much of it was known."""
    if not proof.commands:
        return ["  verify: release.yaml declares no commands"]
    if proof.problem:
        return ["  verify: failed, see below"]
    return [f"  verify: {proof.commands} command(s) pass on {proof.trees} pick(s); {proof.ran} had to be run"]


def _heading(plan: Plan) -> str:
    picks = f"{len(_made(plan))} of {len(plan.picks)} picks"
    return f"{plan.version} after {plan.previous or 'nothing'}: {picks} onto {plan.branch} at {plan.base[:12]}"


def _made(plan: Plan) -> list[Pick]:
    return [pick for pick in plan.picks if pick.result]


def _pick_lines(pick: Pick, declared: Collection[str]) -> list[str]:
    """The pick, what it needs, and what came after it; `declared` are the sources of the whole plan."""
    tail = f"  -> {pick.result[:12]}" if pick.result else ""
    if pick.duplicate_of and pick.duplicate_of != pick.source:
        tail = f"  = {pick.duplicate_of[:12]}"
    lines = [f"  {_MARK[pick.state]}  {pick.source[:12]} {pick.state:<9}  {pick.subject}{tail}"]
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
        PickState.ADAPTED: f"adapted: {pick.applied[:12]} stands in for it",
        PickState.DUPLICATE: f"is on the branch already as {pick.duplicate_of[:12]}",
        PickState.EMPTY: "changes nothing on the branch",
        PickState.CONFLICT: "conflicts in " + ", ".join(f"{each.path} ({each.kind})" for each in pick.conflicts),
    }
    lines = ["", f"({which}) {pick.source[:12]} {pick.subject}", f"    author    {pick.author}"]
    lines += [f"    reason    {pick.reason}"] if pick.reason else []
    lines += [f"    approved  {', '.join(pick.approved_by)}"] if pick.approved_by else []
    lines.append(f"    forecast  {said[pick.state]}")
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


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """One line a problem, with its place, and its remedy below."""
    lines = []
    for problem in problems:
        where = f"{problem.where}: " if problem.where else ""
        lines.append(f"error: {where}{problem.message} [{problem.code}]")
        if problem.remedy:
            lines.append(f"  do: {problem.remedy}")
    return lines


def standing_lines(standings: Sequence[Standing]) -> list[str]:
    """What `status` shows."""
    if not standings:
        return ["no release is in progress in this clone"]
    lines = []
    for each in standings:
        lines.append(f"{each.version}: {each.said}")
        lines += [f"  done     {title}" for title in each.done] if each.state != "released" else []
        lines += [f"  missing  {title}" for title in each.missing]
        lines += [f"  next     {command}" for command in each.next]
    return lines


def duplicate_lines(answer: Answer) -> list[str]:
    """What `duplicates` shows."""
    lines = [f"{len(answer.duplicates)} of {answer.examined} commits of {answer.range} are on {answer.branch} already"]
    for each in answer.duplicates:
        lines.append(f"  =  {each.commit[:12]} {each.subject}")
        lines.append(f"     as {each.duplicate_of[:12]} (by {' and '.join(each.signals)})")
    return lines


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """What `doctor` shows."""
    return check_lines([finding.result for finding in findings])


def check_lines(results: Sequence[CheckResult]) -> list[str]:
    """What `smoke` shows."""
    lines = []
    for result in results:
        lines.append(f"{_CHECK_MARK[result.state]:<8} {result.name}: {result.message}")
        if result.state is CheckState.FAILED and result.remedy:
            lines.append(f"         do: {result.remedy}")
    return lines


def record_lines(record: Mapping[str, Any]) -> list[str]:
    """What `show` shows."""
    lines = [
        f"{record['version']}" + (f": {record['summary']}" if record["summary"] else ""),
        *(f"  {line}" for line in (_mark_lines(record["yanked"]) if record.get("yanked") else ())),
        f"  after     {record['previous'] or 'nothing'}, on {record['branch']}",
        f"  commit    {record['commit']}",
        f"  tree      {record['tree']}",
        f"  tag       {record['tag']['object']}",
        *([_origin_line(record["promoted_from"])] if record.get("promoted_from") else []),
        f"  finished  {record['finished_at']} by {record['committer']}, release {record['tool']['version']}",
        "  picks",
    ]
    lines += [
        f"    {pick['source'][:12]} {pick['state']:<9} {pick['subject']}"
        + (f"  -> {pick['result'][:12]}" if pick["result"] else "")
        + (f"  (from {pick['lives_on']})" if pick.get("lives_on") else "")
        for pick in record["picks"]
    ]
    lines += [
        f"    {each['source'][:12]} skipped   {each['subject']}  ({each['reason']})" for each in record["skipped"]
    ]
    lines += [f"  freeze    broken: {record['freeze_broken']}"] if record.get("freeze_broken") else []
    for image in record["images"]:
        lines += _image_lines(image)
    took = ", ".join(f"{key} {seconds:.1f}" for key, seconds in sorted(record["seconds"].items()) if seconds >= 0.05)
    lines.append(f"  seconds   {took or 'all under 0.05'}")
    return lines


def _origin_line(origin: Mapping[str, Any]) -> str:
    return f"  promoted  from {origin['version']}: its commit, its bytes, which say {origin['version_inside']} inside"


def _mark_lines(yank: Mapping[str, Any]) -> list[str]:
    lines = [f"YANKED    {yank['at'][:10]} by {yank['by']}: {yank['reason']}"]
    lines += [f"  back    {move['tag']} to {yank['back_to']}, {move['new']}" for move in yank["moves"]]
    return [*lines, *(f"  left    {line}" for line in yank["left"])]


def yanked_lines(done: Yanked, *, dry_run: bool) -> list[str]:
    """What `yank` shows."""
    yank = done.yank
    how = "would be yanked" if dry_run and not done.already else "is yanked already" if done.already else "is yanked"
    lines = [f"{yank.version} {how}: {yank.reason}"]
    for move in yank.moves:
        state = "" if dry_run or move.tag in done.moved else "  (nothing had to be moved)"
        lines.append(f"  back    {move.tag} to {yank.back_to}, {move.repository}@{move.new}{state}")
    lines += [f"  left    {line}" for line in done.left]
    return [*lines, f"  kept    tag, record and images of {yank.version}"]


def _size_line(image: Mapping[str, Any]) -> str:
    sizes = f"{size(image['size'])}, {size(image['compressed_size'])} in the registry"
    return f"    size    {sizes}, {len(image['layers'])} layers"


def machine_lines(image: str, pins: Mapping[str, Pin], build: Build) -> list[str]:
    """What `doctor --image` shows."""
    return [f"{image}: {build.name}, {len(pins)} locked packages", *(f"  {line}" for line in runs_on(build))]


def machine_document(image: str, pins: Mapping[str, Pin], build: Build) -> dict[str, Any]:
    return {"schema_version": 1, "image": image, "packages": len(pins), "build": asdict(build), "sources": SOURCES}


def _delta(delta: Mapping[str, Any]) -> str:
    if delta["unknown"]:
        return f"not known: {delta['unknown']}"
    return f"{size(delta['size'])} in {delta['layers']} layers for a client that has {delta['previous']}"


def _image_lines(image: Mapping[str, Any]) -> list[str]:
    lines = [
        f"  image     {image['reference']}@{image['digest']}",
        *(f"    also    {name}" for name in image.get("aliases", ())),
        _size_line(image),
        f"    base    {image['base']['name'] or 'none'}",
    ]
    if delta := image.get("delta"):
        lines.insert(-1, f"    delta   {_delta(delta)}")
    if lock := image.get("lock"):
        lines.append(f"    lock    {lock['path']}  sha256:{lock['sha256'][:16]}")
    lines += [f"    patch   {each['name']}  sha256:{each['sha256'][:16]}" for each in image.get("patches", ())]
    lines += [f"    check   {check['state']:<8} {check['name']}  {check['message']}" for check in image["checks"]]
    floating = image["floating"] or {"moved": [], "left": []}
    lines += [f"    moved   {tag}" for tag in floating["moved"]]
    lines += [f"    left    {line}" for line in floating["left"]]
    return lines
