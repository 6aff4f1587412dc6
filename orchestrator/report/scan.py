"""Vulnerabilities for people and machines: a table, one JSON document, SARIF 2.1.0."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from orchestrator import __version__
from orchestrator.attest.scan.advisory import LEVELS
from orchestrator.attest.scan.findings import VulnerabilityState
from orchestrator.report.audit import SARIF_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.attest.scan.findings import ImageFindings, Vulnerability

_SARIF_LEVEL: Final = {"critical": "error", "high": "error", "medium": "warning", "unknown": "warning"}
_SCORE: Final = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0", "none": "0.0"}  # where GitHub sorts


def scan_lines(found: Sequence[ImageFindings], *, every: bool) -> list[str]:
    """A row a finding, those that are answered only with `every`."""
    lines = []
    for each in found:
        bill = each.bill
        lines += [f"{bill.repository}:{bill.tag}  {bill.platform}  {bill.digest}", f"  {counted(each)}"]
        lines += [row for one in each.findings if every or one.state is VulnerabilityState.OPEN for row in _rows(one)]
    return lines


def counted(found: ImageFindings) -> str:
    """In words: how many, and how bad."""
    levels = Counter(each.severity for each in found.open)
    told = ", ".join(f"{levels[level]} {level}" for level in reversed(LEVELS) if levels[level])
    answered = Counter(str(each.state) for each in found.findings if each.state is not VulnerabilityState.OPEN)
    said = [f"{len(found.open)} open ({told})" if told else "nothing open"]
    said += [f"{number} {state}" for state, number in sorted(answered.items())]
    return f"{', '.join(said)}; {len(found.bill.components)} packages were looked at"


def _rows(each: Vulnerability) -> list[str]:
    fixed = f"fixed in {each.fixed_in[0]}" if each.fixed_in else "no fixed version is known"
    state = "" if each.state is VulnerabilityState.OPEN else f"  {each.state}"
    head = f"  {each.severity:<8} {each.id:<20} {each.component.name} {each.component.version}  {fixed}{state}"
    lines = [head, f"           {each.summary}"] if each.summary else [head]
    lines += [f"           {each.why}"] if each.why else []
    if each.fixes and each.state is VulnerabilityState.OPEN and each.component.name == "torch":
        lines.append(
            f"           corrected upstream by {each.fixes[0]}: release patch import {each.fixes[0]} --repo PATH"
        )
    return lines


def scan_document(version: str, found: Sequence[ImageFindings]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "version": version,
        "images": [
            {
                "image": f"{each.bill.repository}:{each.bill.tag}",
                "digest": each.bill.digest,
                "platform": each.bill.platform,
                "packages": len(each.bill.components),
                "open": len(each.open),
                "findings": [_document(one) for one in each.findings],
            }
            for each in found
        ],
    }


def _document(each: Vulnerability) -> dict[str, Any]:
    return {
        "id": each.id,
        "names": list(each.names),
        "severity": each.severity,
        "summary": each.summary,
        "package": each.component.name,
        "version": each.component.version,
        "purl": each.component.purl,
        "fixed_in": list(each.fixed_in),
        "fixes": list(each.fixes),
        "state": str(each.state),
        "why": each.why,
    }


def scan_sarif(found: Sequence[ImageFindings], config: str) -> dict[str, Any]:
    """One run; a rule a vulnerability, a result a package.  What is answered is there, suppressed with its reason."""
    rows = [(each, one) for each in found for one in each.findings]
    rules = list({one.id: one for _, one in rows}.values())
    places = {each.id: number for number, each in enumerate(rules)}
    driver = {"name": "release scan", "version": __version__, "rules": [_rule(each) for each in rules]}
    results = [_result(each, one, places[one.id], config) for each, one in rows]
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(each: Vulnerability) -> dict[str, Any]:
    score = {"security-severity": _SCORE[each.severity]} if each.severity in _SCORE else {}
    return {
        "id": each.id,
        "shortDescription": {"text": each.summary or each.id},
        "helpUri": f"https://osv.dev/vulnerability/{each.id}",
        "properties": {"tags": ["security"], **score},
    }


def _result(image: ImageFindings, each: Vulnerability, rule: int, config: str) -> dict[str, Any]:
    bill, package = image.bill, f"{each.component.name} {each.component.version}"
    fixed = f"; fixed in {each.fixed_in[0]}" if each.fixed_in else ""
    name = f"{bill.repository}:{bill.tag}@{each.component.purl}"
    answered = [{"kind": "external", "justification": each.why}] if each.state is not VulnerabilityState.OPEN else []
    return {
        "ruleId": each.id,
        "ruleIndex": rule,
        "level": _SARIF_LEVEL.get(each.severity, "note"),
        "message": {"text": f"{package} in {bill.repository}:{bill.tag} ({bill.platform}): {each.id}{fixed}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": config}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": name, "kind": "module"}],
            }
        ],
        "partialFingerprints": {"release/v1": f"{each.id}:{each.component.purl}:{bill.platform}"},
        **({"suppressions": answered} if answered else {}),
    }
