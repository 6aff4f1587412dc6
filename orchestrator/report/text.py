"""Values as text for people: plans, standings, records, findings.  Pure: lines in, nothing printed."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from orchestrator.core.results import CheckState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.results import CheckResult, Problem
    from orchestrator.image.pytorch_builds import Build, Pin
    from orchestrator.picks.duplicates import DuplicateReport
    from orchestrator.release.checks import Finding
    from orchestrator.release.status import ReleaseStatus

_BESIDE = re.compile(r"(?<! ) {3,}(\([^()]*\))(?: {3,}|$)")
_CHECK_MARK = {CheckState.PASSED: "ok", CheckState.FAILED: "FAILED", CheckState.SKIPPED: "skipped"}


def remedy_lines(remedy: str, label: str = "  do: ", other: str = "  or: ") -> list[str]:
    """What to do, one way below the other; words in brackets beside a command have a line of their own.

    So a line with a command is that command, and can be copied whole.
    """
    lines: list[str] = []
    for way in remedy.split("   | ") if remedy else ():
        head, *more = [part for part in _BESIDE.split(way) if part.strip()]
        lines += [f"{other if lines else label}{head}", *(f"{' ' * len(label)}{part}" for part in more)]
    return lines


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """One line a problem, with its place, and its remedy below."""
    lines = []
    for problem in problems:
        where = f"{problem.where}: " if problem.where and not problem.message.startswith(problem.where) else ""
        lines.append(f"error: {where}{problem.message} [{problem.code}]")
        lines += remedy_lines(problem.remedy)
    return lines


def standing_lines(standings: Sequence[ReleaseStatus]) -> list[str]:
    """What `status` shows."""
    if not standings:
        return ["no release is in progress in this clone"]
    lines = []
    for each in standings:
        lines.append(f"{each.version}: {each.said}")
        lines += [f"  done     {title}" for title in each.done] if each.state != "released" else []
        lines += [f"  missing  {title}" for title in each.missing]
        lines += [line for command in each.next for line in remedy_lines(command, "  next     ", "  or       ")]
    return lines


def duplicate_lines(answer: DuplicateReport) -> list[str]:
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
        if result.state is CheckState.FAILED:
            lines += remedy_lines(result.remedy, "         do: ", "         or: ")
    return lines


def machine_lines(image: str, pins: Mapping[str, Pin], build: Build) -> list[str]:
    """What `doctor --image` shows."""
    from orchestrator.image.pytorch_builds import runs_on

    return [f"{image}: {build.name}, {len(pins)} locked packages", *(f"  {line}" for line in runs_on(build))]


def machine_document(image: str, pins: Mapping[str, Pin], build: Build) -> dict[str, Any]:
    from orchestrator.image.pytorch_builds import SOURCES

    return {"schema_version": 1, "image": image, "packages": len(pins), "build": asdict(build), "sources": SOURCES}
