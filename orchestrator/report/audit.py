"""What an audit and a verification found: a table, one JSON document, SARIF 2.1.0."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from orchestrator import __version__
from orchestrator.audit.verdicts import Kind
from orchestrator.core.errors import Exit
from orchestrator.core.results import CheckState, Problem
from orchestrator.report.text import remedy_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.audit.branch import BranchAudit
    from orchestrator.audit.verdicts import CommitVerdict
    from orchestrator.core.results import CheckResult

_DECLARE = "declare it for the next version, whose tag answers for it: - {commit: SHA, allow: [duplicate]}"
_REMEDY = {
    Kind.ADAPTED: "see what differs below; a resolution belongs in the tag (release cut), or in `approved-by:`",
    Kind.UNPROVED: f"compare the two with git show; where it is that fix in other words, {_DECLARE},"
    " else take it out by a revert",
    Kind.FORGED: f"compare the two with git show; {_DECLARE}, or take it out by a revert",
    Kind.UNKNOWN: "fetch the branch that it was picked from, then audit again; where that is gone, a clone that has the"
    " commit brings it back: release publish VERSION",
    Kind.FOREIGN: f"{_DECLARE}, or take it out by a revert",
    Kind.UNDECLARED: f"{_DECLARE}, or take it out by a revert",
    Kind.DUPLICATE: "look whether its change is there twice",
    Kind.REVERTED: "the version says that it has this fix, and has not: release the next one without it",
}
_MARK = {Kind.PROVED: "+", Kind.RELEASE: "*", Kind.MERGE: "m", Kind.REVERT: "-", Kind.REVERTED: "-"}
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def commit_problem(verdict: CommitVerdict) -> Problem | None:
    """What there is to object to in a commit."""
    if verdict.ok:
        return None
    remedy = _REMEDY.get(verdict.kind, "").replace("SHA", verdict.sha)
    return Problem(
        code=str(verdict.kind), message=f"{verdict.sha[:12]} {verdict.subject!r} {verdict.said}",
        remedy=remedy.replace("VERSION", verdict.version or "VERSION"), exit_code=Exit.MISMATCH,
    )  # fmt: skip


def line_problems(line: BranchAudit) -> list[Problem]:
    told = (each for each in line.verdicts if not (line.sources_unread and each.kind is Kind.UNKNOWN))
    return [*(problem for each in told if (problem := commit_problem(each))), *line.problems]


def audit_lines(line: BranchAudit, diffs: Mapping[str, Sequence[str]], *, every: bool) -> list[str]:
    """The table of one branch: a row a version, then what is wrong, with the difference of adapted picks."""
    counts = Counter(str(each.kind) for each in line.verdicts)
    told = ", ".join(f"{number} {kind}" for kind, number in counts.most_common()) or "no commits"
    lines = [f"{line.branch}: {len(line.verdicts)} commits since {line.base[:12] or 'the beginning'}: {told}", ""]
    for version in (*line.versions, ""):
        mine = [each for each in line.verdicts if each.version == version]
        if mine or version:
            bad = sum(not each.ok for each in mine)
            lines.append(
                f"  {version or 'no version':<16} {len(mine):>5} commits   {f'{bad} to look at' if bad else 'ok'}"
            )
        lines += [line for each in mine if every or not each.ok for line in _rows(each, diffs)]
    lines += ["", *(f"  {problem.code}: {problem.message}" for problem in line.problems)] if line.problems else []
    lines += ["", *(f"  not checked: {text}" for text in line.unchecked)] if line.unchecked else []
    lines += ["", *(f"  note: {text}" for text in line.notes)] if line.notes else []
    return [*lines, ""]


def _rows(verdict: CommitVerdict, diffs: Mapping[str, Sequence[str]]) -> list[str]:
    mark = _MARK.get(verdict.kind, "~" if verdict.ok else "!")
    head = f"    {mark} {verdict.sha[:12]} {verdict.kind:<14} {verdict.subject}"
    problem = commit_problem(verdict)
    remedy = remedy_lines(problem.remedy if problem else "", "        do: ", "        or: ")
    return [head, f"        {verdict.said}", *remedy, *(f"        {line}" for line in diffs.get(verdict.sha, ()))]


def end_line(lines: Sequence[BranchAudit], unchecked: Sequence[str]) -> str:
    """The last word: never "passed" where something, or everything, was not looked at."""
    wrong = sum(len(line_problems(line)) for line in lines)
    open_ = len(unchecked) + sum(len(line.unchecked) for line in lines)
    clean = "nothing wrong was found" if examined(lines) else "nothing was examined: there are no commits in that range"
    said = f"{wrong} finding{'' if wrong == 1 else 's'}" if wrong else clean
    return f"{said}; {open_} could not be checked" if open_ else said


def examined(lines: Sequence[BranchAudit]) -> int:
    """How many commits were judged."""
    return sum(len(line.verdicts) for line in lines)


def audit_document(
    lines: Sequence[BranchAudit],
    problems: Sequence[Problem],
    unchecked: Sequence[str],
    diffs: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """What `audit --json` prints."""
    return {
        "schema_version": 1,
        "examined": examined(lines),
        "lines": [
            {
                "branch": line.branch, "base": line.base, "tip": line.tip, "versions": line.versions,
                "counts": dict(Counter(str(each.kind) for each in line.verdicts)),
                "commits": [
                    {**asdict(each), "ok": each.ok, "said": each.said, "remedy": problem.remedy if problem else "",
                     "range_diff": list(diffs.get(each.sha, ()))}
                    for each in line.verdicts
                    for problem in (commit_problem(each),)
                ],
                "problems": [_public(each) for each in line.problems],
                "unchecked": line.unchecked,
                "notes": line.notes,
            }
            for line in lines
        ],
        "problems": [_public(each) for each in problems],
        "unchecked": list(unchecked),
    }  # fmt: skip


def _public(problem: Problem) -> dict[str, str]:
    return {key: getattr(problem, key) for key in ("code", "message", "where", "remedy")}


def sarif(lines: Sequence[BranchAudit], problems: Sequence[Problem], config: str) -> dict[str, Any]:
    """One run; a result a finding.  The physical place is release.yaml, where an answer would be written."""
    rows: list[tuple[str, str, Problem]] = []
    for line in lines:
        rows += [(line.branch, each.sha, found) for each in line.verdicts if (found := commit_problem(each))]
        rows += [(line.branch, "", each) for each in line.problems]
    rows += [("", "", each) for each in problems]
    rules = list(dict.fromkeys(problem.code for _, _, problem in rows))
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "release audit",
                        "version": __version__,
                        "rules": [{"id": code, "shortDescription": {"text": code.replace("-", " ")}} for code in rules],
                    }
                },
                "results": [_result(branch, sha, each, rules.index(each.code), config) for branch, sha, each in rows],
            }
        ],
    }


def _result(branch: str, sha: str, problem: Problem, rule: int, config: str) -> dict[str, Any]:
    name = "@".join(part for part in (branch, sha) if part) or "repository"
    remedy = f" ({problem.remedy})" if problem.remedy else ""
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": "error",
        "message": {"text": problem.message + remedy},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": quote(config)}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": name, "kind": "module"}],
            }
        ],
        "partialFingerprints": {"release/v1": f"{problem.code}:{sha or problem.message}"},
    }


_CHECK = {CheckState.PASSED: "ok", CheckState.FAILED: "WRONG", CheckState.SKIPPED: "unknown"}


def verify_lines(what: str, checks: Sequence[CheckResult]) -> list[str]:
    """What `verify` shows: a line a link, and the last word."""
    lines = [f"{_CHECK[check.state]:<8} {check.name}: {check.message}" for check in checks]
    return [*lines, f"{what}: {verify_word(checks)}"]


def verify_word(checks: Sequence[CheckResult]) -> str:
    wrong = sum(check.state is CheckState.FAILED for check in checks)
    unknown = sum(check.state is CheckState.SKIPPED for check in checks)
    if wrong:
        return f"{wrong} of {len(checks)} links are wrong" + (f", {unknown} could not be checked" if unknown else "")
    return f"not verified: {unknown} of {len(checks)} links could not be checked" if unknown else "verified"
